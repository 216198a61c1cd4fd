"""Thirty-one small configurations that together enter every move of the engine, and digests of what they make.

    python tests/digests/configurations.py                  # prints {name: [weights, rows]}
    python tests/digests/configurations.py --record         # writes tests/digests/digests.json

A change that must not change training's bits leaves every digest as it is. Only the public surface is used, so that the
same file runs on any state of the source tree.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("digests.json")
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "default",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
}
"""Instructions that every x86-64 processor has, in one thread: machines then round alike."""
CLOCKS = ("seconds", "cpu_seconds")
"""Columns of a log row that are no function of the seed."""


def configurations(images: str) -> Iterator[Any]:
    """The experiments; ``images`` names an .npz of 32 labelled colour images of 32 px."""
    import ganneal
    from ganneal import augment, losses, models, normalization, optim, regularizers, schemes, task, weights
    from ganneal.data import Arrays
    from ganneal.experiments import digits_cts, digits_ddgan, ring_cts, ring_ddgan

    quiet = ganneal.Records(log_every=24, evaluate_count=0, sample_count=4, tensorboard=False)
    annealed = schemes.Nested(3, weights=weights.Geometric(1, 0.3))
    small = {"batch_size": 8, "records": quiet, "threads": 1}
    ring = replace(ring_cts(), model=models.MLP(width=8, depth=2), budget=ganneal.Budget(d_updates=7), **small)
    digits = replace(digits_cts(), model=models.DCGAN(width=4), budget=ganneal.Budget(d_updates=4), **small)
    colour = replace(digits, data=Arrays(images, images="images", labels="labels"), budget=ganneal.Budget(d_updates=3))
    labelled = replace(colour, task=task.Labelled(), scheme=annealed)
    pushed = schemes.FunctionalGradient(steps=2, step_size=0.1, pool_size=16, epochs=2)
    pool = replace(pushed, fakes="pool")
    penalty = regularizers.REGULARIZERS
    adaptive = augment.Transforms(probability=augment.Adaptive(target=-0.9, speed=16, every=8))

    def named(base: Any, name: str, **changes: Any) -> Any:
        return replace(base, name=name, **changes)

    yield named(ring, "cts")
    yield named(ring, "nats-wgan-gp", scheme=annealed, loss=losses.LOSSES["wgan"], regularizer=penalty["wgan-gp"])
    yield named(ring, "nts-hinge-sgd", scheme=schemes.Nested(3), loss=losses.LOSSES["hinge"], g_optimizer=optim.SGD())
    yield named(ring, "conjugate", d_optimizer=optim.CG(), g_optimizer=optim.CG())
    yield named(ring, "rmsprop", d_optimizer=optim.RMSProp(), g_optimizer=optim.RMSProp())
    yield named(ring, "ragan", scheme=annealed, loss=losses.LOSSES["ragan"])
    yield named(ring, "rpgan-r1-r2", loss=losses.LOSSES["rpgan"], regularizer=penalty["r1-r2"], accumulate=2)
    yield named(ring, "hybrid-weighted", scheme=annealed, loss=losses.LOSSES["hybrid"], g_batch_size=16)
    yield named(ring, "clipping", loss=losses.LOSSES["wgan"], regularizer=penalty["clipping"])
    yield named(ring, "lecam", regularizer=regularizers.LeCam(start=2))
    yield named(ring, "entropy", regularizer=penalty["ver"])
    yield named(ring, "gradient-normalized", normalization=normalization.NORMALIZATIONS["gradient"])
    yield named(ring, "labelled", task=task.Labelled(), scheme=annealed)
    yield named(ring, "replay", scheme=pushed)
    yield named(ring, "pool-annealed", scheme=replace(pool, weights=weights.Geometric(1, 0.3)))
    yield named(ring, "replay-spectral", scheme=pushed, normalization=normalization.NORMALIZATIONS["spectral"])
    yield named(
        ring_ddgan(), "denoising", model=models.MODELS["denoising-mlp"], scheme=annealed, budget=ring.budget, **small
    )
    yield named(digits, "digits")
    yield named(digits, "digits-bf16", precision="bf16", scheme=annealed)
    yield named(digits, "digits-spectral", normalization=normalization.NORMALIZATIONS["spectral"], scheme=annealed)
    yield named(digits, "digits-diffaugment", augmentation=augment.AUGMENTATIONS["diffaugment"], flip=True, translate=1)
    yield named(digits, "digits-ada", augmentation=adaptive)
    yield named(digits, "digits-consistent", regularizer=penalty["bcr"])
    yield named(digits, "digits-latent-consistent", regularizer=penalty["zcr"])
    yield named(digits, "digits-replay", scheme=pushed, model=models.DCGANExt(width=4))
    yield named(digits, "digits-moving-buffers", keep_d_buffers=False, scheme=annealed)
    yield named(digits, "digits-recomputed", averaging=optim.Averaging(half_life=50, statistics="recompute"))
    yield named(digits_ddgan(), "digits-denoising", budget=digits.budget, **small)
    yield named(labelled, "sngan", model=models.SNGAN(g_width=4, d_width=4))
    yield named(labelled, "biggan", model=models.BigGAN(width=4), loss=losses.LOSSES["hinge"])
    yield named(colour, "r3gan", model=models.R3GAN(widths=(16,), group_size=8), loss=losses.LOSSES["rpgan"])


def digest(run: Any, rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Digests of every tensor of the players and their average, and of all columns of the log but the clocks."""
    weights = hashlib.sha256()
    for module in (run.generator, run.discriminator, run.average):
        for name, value in sorted(module.state_dict().items()):
            weights.update(name.encode() + value.detach().contiguous().numpy().tobytes())
    kept = [{key: value for key, value in row.items() if key not in CLOCKS} for row in rows]
    return weights.hexdigest()[:16], hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def canary() -> str:
    """A digest of a small network trained in plain torch: where it differs, this machine rounds otherwise."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), nn.Tanh(),
        nn.Flatten(), nn.Linear(4 * 64, 3), nn.Softplus(),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(8, 8, 4, 4)).log().exp().pow(1.5).mean().backward()
        optimizer.step()
    state = torch.cat([value.flatten().float() for value in network.state_dict().values()])
    return hashlib.sha256(torch.__version__.encode() + state.numpy().tobytes()).hexdigest()[:16]


def digests(only: list[str]) -> dict[str, list[str]]:
    """Digests by name of the configurations whose name is in ``only``; all where it is empty."""
    import numpy as np

    import ganneal

    random = np.random.default_rng(0)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npz"
        np.savez(images, images=random.integers(0, 256, (32, 3, 32, 32), dtype=np.uint8), labels=np.arange(32) % 3)
        for experiment in configurations(str(images)):
            if only and experiment.name not in only:
                continue
            out = Path(folder) / experiment.name
            run = ganneal.train(experiment, out)
            rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            found[experiment.name] = list(digest(run, rows))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Digests of what small configurations train.")
    parser.add_argument("names", nargs="*", help="configurations; all where none is named")
    parser.add_argument("--record", action="store_true", help="write the digests of all beside this file")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in PORTABLE.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | PORTABLE)
    warnings.simplefilter("ignore")
    found = {"canary": canary(), "digests": digests(options.names)}
    if options.record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
