"""A film of samples in the plane moving under each training scheme, at equal real images.

    python examples/schemes_film.py --out docs/schemes.gif                 # a ring of eight; about a minute of a core
    python examples/schemes_film.py --data grid --schemes cts nats --num-real 2000000 --out grid.gif

Every frame shows the same latents through the averaged generator, or the generator and its pushes under functional
gradients, whose steps of a round sum to those of `ring-cfg`. The first frame is the untrained one; the last stays for a
while. The table that is printed says how many modes each scheme holds at the end.

With Adam at one rate nested schemes go further per discriminator update than common training, and may fall apart for
that alone (docs/schedules.md): --equal-step divides the generator's rate by the nominal steps of its scheme.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganneal.data import Grid, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.metrics.mixture import GaussianMixture, mixture_quality
from ganneal.plan import plan
from ganneal.schemes import SCHEMES, FunctionalGradient, Scheme
from ganneal.steps import UpdateGenerator

DATA = {"ring": Ring(), "grid": Grid()}
SHOWN = 1_000
"""Samples in each frame."""
MILLISECONDS, LAST = 120, 2_500
"""How long a frame stays, and the last one."""


def scheme_named(name: str) -> Scheme:
    """A registered scheme; pushes at the size that suits the ring."""
    scheme, usual = SCHEMES[name], EXPERIMENTS["ring-cfg"]().scheme
    if not (isinstance(scheme, FunctionalGradient) and isinstance(usual, FunctionalGradient)):
        return scheme
    mean = sum(scheme.weights((1,) * scheme.steps, 0)) / scheme.steps
    return replace(scheme, step_size=usual.step_size / mean, pool_size=usual.pool_size)


def experiment(
    scheme: str, data: str, num_real: int, frames: int, seed: int, *, equal_step: bool = False
) -> Experiment:
    """The small perceptrons of the ring's experiments, trained by ``scheme``."""
    common = EXPERIMENTS["ring-cts"]()
    schedule = scheme_named(scheme)
    updates = any(isinstance(step, UpdateGenerator) for step in schedule(0))
    steps = plan(schedule).nominal_steps_per_d_update if equal_step and updates else 1.0
    return replace(
        common,
        g_optimizer=replace(common.g_optimizer, lr=common.g_optimizer.lr / steps),  # type: ignore[type-var]
        name=f"{data}-{scheme}",
        data=DATA[data],
        scheme=schedule,
        seed=seed,
        budget=Budget(num_real=num_real),
        records=Records(log_every=max(1, num_real // frames), evaluate_count=0),
    )


def filmed(of: Experiment) -> Iterator[tuple[int, Tensor]]:
    """Real images seen and samples, before training and about every ``log_every`` real images."""
    torch.set_num_threads(1)
    run = Run(of)
    yield 0, run.sampler().sample(SHOWN)
    for _ in engine.training_rows(run):
        yield run.counters.num_real, run.sampler().sample(SHOWN)


def frames(tracks: Mapping[str, Sequence[tuple[int, Tensor]]], target: GaussianMixture) -> Iterator[Image.Image]:
    """A picture for each moment, a panel for each scheme; tracks that end early stay at their end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(tracks), 3.0), dpi=80)
    canvas = FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.08, top=0.9, wspace=0.04)
    reach = 1.45 * float(target.means.abs().max())
    drawn = []
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(tracks))), tracks, strict=True):
        axes.plot(*target.means.T.numpy(), "o", color="0.8", markersize=9, zorder=0)
        (points,) = axes.plot([], [], ".", color="C0", markersize=1.6)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[], title=name)
        drawn.append((points, axes.set_xlabel("", fontsize=8, labelpad=2)))
    for index in range(max(map(len, tracks.values()))):
        for (points, label), track in zip(drawn, tracks.values(), strict=True):
            seen, samples = track[min(index, len(track) - 1)]
            points.set_data(*samples.T.numpy())
            modes = mixture_quality(samples.double(), target).modes_robust
            label.set_text(f"{seen:,} real, {modes} modes of {len(target.means)}")
        canvas.draw()
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def save(pictures: Sequence[Image.Image], path: Path) -> None:
    """An endless GIF of few colours, the last frame longer."""
    palette = pictures[-1].quantize(32)
    indexed = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    times = [MILLISECONDS] * (len(indexed) - 1) + [LAST]
    path.parent.mkdir(parents=True, exist_ok=True)
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=times, loop=0, optimize=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Film samples in the plane under several training schemes.")
    parser.add_argument("--schemes", nargs="+", default=["cts", "nts", "nats"], choices=list(SCHEMES))
    parser.add_argument("--data", default="ring", choices=list(DATA))
    parser.add_argument("--num-real", type=int, default=400_000, help="real images of each run (default: 400000)")
    parser.add_argument("--frames", type=int, default=50, help="about so many moments (default: 50)")
    parser.add_argument("--equal-step", action="store_true", help="of the generators per discriminator update")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("schemes.gif"))
    options = parser.parse_args(arguments)
    for name in ("num_real", "frames"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(options, name)}")

    target, tracks = GaussianMixture.of(DATA[options.data].mixture), {}
    print("scheme           modes   within 3 std   real images")
    for name in options.schemes:
        of = experiment(
            name, options.data, options.num_real, options.frames, options.seed, equal_step=options.equal_step
        )
        tracks[name] = list(filmed(of))
        seen, samples = tracks[name][-1]
        quality = mixture_quality(samples.double(), target)
        print(f"{name:<15}{quality.modes_robust:>4} of {len(target.means):<3}{quality.high_quality:>12.3f}{seen:>14,}")
    save(list(frames(tracks, target)), options.out)
    print(f"film: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
