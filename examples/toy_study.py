"""Schedules on toys whose modes are known: common, nested and annealed training with their controls of equal step.

    OMP_NUM_THREADS=1 python examples/toy_study.py --out runs/toy-study

Eight Gaussians on a circle and 25 on a grid, small perceptrons, 10,000 discriminator updates, three seeds. The runs of
an arm are trained at once, stacked along a leading dimension: losses are summed over the stack and optimizers are
elementwise, so that each is the run it would have been alone. It is also a loop of its own around the library's
schemes, losses and optimizers, without the engine. Each arm is a file in --out; the same command goes on where it was
stopped. ``--part 0/2`` trains every second arm only; without it the command ends by writing
``docs/notes/toy-study.json`` and ``.png`` and printing the tables.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.data import Grid, Ring
from ganneal.data.sources.toys import Mixture
from ganneal.losses import NonSaturating
from ganneal.metrics.binned import binned_divergence
from ganneal.metrics.mixture import mixture_quality
from ganneal.models import MLP
from ganneal.optim import SGD, Adam, Averaging, OptimizerConfig, average_
from ganneal.plan import plan
from ganneal.schemes import Alternating, Nested, Scheme
from ganneal.steps import UpdateDiscriminator, UpdateGenerator
from ganneal.storage.atomic import write_bytes
from ganneal.weights import Geometric, MatchedConstant

DATA = {"ring": Ring(), "grid": Grid()}
MODES = {"ring": 8, "grid": 25}
CELL = 0.05
REACH = 1.4
"""Divergences are over cells of this side, from -1.4 to 1.4, with outer ones."""
MODEL = MLP(width=64)
LOSS = NonSaturating()
AVERAGING = Averaging(half_life=20_000)
SEEDS, BATCH, D_UPDATES = 3, 128, 10_000
LOOK_EVERY = 400
"""Discriminator updates; whole rounds of every scheme here."""
SAMPLES = 4_000
CHUNK = 100
"""Batches drawn at once."""
SHOWN = {"modes": "modes", "high_quality": "share on a mode", "modes_kl": "KL of the modes' shares"}
DIGITS = {"modes": 1, "high_quality": 2, "modes_kl": 3}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@dataclass(frozen=True)
class Arm:
    """One way of training, on every data set under every seed."""

    name: str
    optimizer: str
    scheme: Scheme
    d_optimizer: OptimizerConfig
    g_optimizer: OptimizerConfig
    d_updates: int = D_UPDATES


def control(scheme: Nested, optimizer: OptimizerConfig) -> tuple[Scheme, OptimizerConfig]:
    """Nested training without annealing and with the generator step of ``scheme``: by weight (SGD) or rate (Adam)."""
    if isinstance(optimizer, SGD):
        return replace(scheme, weights=MatchedConstant(scheme.weights)), optimizer
    assert isinstance(optimizer, Adam)
    plain = Nested(scheme.levels, scheme.d_steps)
    ratio = plan(scheme).nominal_steps_per_d_update / plan(plain).nominal_steps_per_d_update
    return plain, replace(optimizer, lr=optimizer.lr * ratio)


def arms_of(label: str, optimizer: OptimizerConfig) -> Iterator[Arm]:
    """All schedules under one optimizer for both players."""
    for d_steps in (1, 4):
        yield Arm(f"cts K={d_steps}", label, Alternating(d_steps), optimizer, optimizer)
        for levels in (4, 10):
            nats = Nested(levels, d_steps, Geometric())
            matched, g_optimizer = control(nats, optimizer)
            tail = f"N={levels} K={d_steps}"
            yield Arm(f"nts {tail}", label, Nested(levels, d_steps), optimizer, optimizer)
            yield Arm(f"nats {tail}", label, nats, optimizer, optimizer)
            yield Arm(f"matched {tail}", label, matched, optimizer, g_optimizer)


def equal_g(label: str, optimizer: OptimizerConfig, levels: int) -> Arm:
    """Common training with as many generator updates as a nested scheme with K = 1 makes."""
    figures = plan(Nested(levels))
    updates = D_UPDATES * figures.g_updates // figures.d_updates
    return Arm(f"cts K=1, G as N={levels}", label, Alternating(), optimizer, optimizer, updates)


FAST, SLOW, DESCENT = Adam(lr=1e-3), Adam(lr=2e-4), SGD(lr=0.03)
AGAIN = ("cts K=1", "nts N=4 K=1", "nts N=10 K=1")
"""What is also run at the lower rate."""
ARMS = [*arms_of("adam 1e-3", FAST), *arms_of("sgd 0.03", DESCENT)]
ARMS += [arm for arm in arms_of("adam 2e-4", SLOW) if arm.name in AGAIN]
ARMS += [equal_g("adam 1e-3", FAST, 4)]


class Stack(nn.Module):
    """Perceptrons of one shape side by side: points [runs, batch, inputs] to [runs, batch, outputs]."""

    def __init__(self, players: Sequence[nn.Module]):
        super().__init__()
        linears = [[part for part in player.modules() if isinstance(part, nn.Linear)] for player in players]
        layers = list(zip(*linears, strict=True))
        self.weights = nn.ParameterList([torch.stack([each.weight.detach().T for each in layer]) for layer in layers])
        self.biases = nn.ParameterList([torch.stack([each.bias.detach()[None] for each in layer]) for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = x if layer == last else F.leaky_relu(x, 0.2)
        return x


class Draws:
    """Real batches and latents, each run from its own seed, whatever runs beside it and whatever the schedule."""

    def __init__(self, points: Sequence[Tensor], seeds: Sequence[int], batch: int):
        self.points, self.batch = points, batch
        self.real_random = [np.random.default_rng((seed, 0)) for seed in seeds]
        self.latent_random = [torch.Generator().manual_seed(1_000_000 + seed) for seed in seeds]
        self.reals, self.latent = iter(()), iter(())

    def real(self) -> Tensor:
        """[runs, batch, 2]"""
        if (batch := next(self.reals, None)) is None:
            pairs = zip(self.points, self.real_random, strict=True)
            rows = [points[random.integers(len(points), size=(CHUNK, self.batch))] for points, random in pairs]
            self.reals = iter(torch.stack(rows, dim=1))
            return next(self.reals)
        return batch

    def latents(self) -> Tensor:
        """[runs, batch, latent size]"""
        if (batch := next(self.latent, None)) is None:
            size = (CHUNK, self.batch, MODEL.latent_size)
            self.latent = iter(torch.stack([torch.randn(size, generator=each) for each in self.latent_random], dim=1))
            return next(self.latent)
        return batch


def players(seeds: Sequence[int]) -> tuple[Stack, Stack]:
    """Generators and discriminators as the library initialises them under each seed."""
    pairs = []
    for seed in seeds:
        torch.manual_seed(seed)
        pairs.append(MODEL.build((2,)))
    return Stack([pair.generator for pair in pairs]), Stack([pair.discriminator for pair in pairs])


def move(loss: Tensor, player: Stack, optimizer: torch.optim.Optimizer, batch: int) -> None:
    """One step on per-sample losses [runs * batch]: the mean over each run's batch, summed over runs."""
    parameters = list(player.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss.sum() / batch, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()


@dataclass
class Training:
    """The stacked runs of an arm as they stand."""

    generator: Stack
    discriminator: Stack
    average: Stack
    d_updates: int = 0
    g_updates: int = 0


def rounds(arm: Arm, points: Sequence[Tensor], seeds: Sequence[int], batch: int = BATCH) -> Iterator[Training]:
    """Train run i on ``points[i]`` under ``seeds[i]``; yields after each round, without end."""
    generator, discriminator = players(seeds)
    state = Training(generator, discriminator, deepcopy(generator))
    d_optimizer = arm.d_optimizer.build(discriminator.parameters())
    g_optimizer = arm.g_optimizer.build(generator.parameters())
    draws, number, averaged_at = Draws(points, seeds, batch), 0, 0

    while True:
        steps = list(arm.scheme(number))
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            match step:
                case UpdateDiscriminator():
                    with torch.no_grad():
                        fake = generator(draws.latents())
                    real_output, fake_output = discriminator(draws.real()), discriminator(fake)
                    loss = LOSS.discriminator(real_output.flatten(), fake_output.flatten())
                    move(loss, discriminator, d_optimizer, batch)
                    state.d_updates += 1
                case UpdateGenerator(weight=weight):
                    output = discriminator(generator(draws.latents())).flatten()
                    move(LOSS.generator(output, weight=weight), generator, g_optimizer, batch)
                    state.g_updates += 1
                    if not isinstance(following, UpdateGenerator):
                        num_real = state.d_updates * batch
                        average_(state.average, generator, AVERAGING.decay(num_real, averaged_at))
                        averaged_at = num_real
        yield state
        number += 1


def look(samples: Tensor, mixture: Mixture) -> dict[str, float | None] | None:
    """Modes, share of good samples and divergences of samples [n, 2]; None where they are not finite."""
    if not samples.isfinite().all():
        return None
    quality = mixture_quality(samples, mixture)
    edges = np.arange(-REACH, REACH + CELL / 2, CELL)
    cells = binned_divergence(samples, mixture, [edges, edges])
    return {
        "modes": quality.modes_robust,
        "modes_touched": quality.modes_captured,
        "high_quality": quality.high_quality,
        "modes_kl": quality.weights_kl,
        "kl": cells.kl_target_to_model,
        "js": cells.js,
        "spread": float(samples.std(dim=0).norm()),
    }


def looks(state: Training, kinds: Sequence[str], number: int) -> list[dict[str, Any]]:
    """One entry for each run: present and averaged generator at the same latents."""
    latents = torch.randn(
        len(kinds), SAMPLES, MODEL.latent_size, generator=torch.Generator().manual_seed(1_000 + number)
    )
    with torch.no_grad():
        present, averaged = state.generator(latents), state.average(latents)
    clock = {"d_updates": state.d_updates, "g_updates": state.g_updates}
    return [
        clock | {"present": look(a, DATA[kind].mixture), "averaged": look(b, DATA[kind].mixture)}
        for kind, a, b in zip(kinds, present, averaged, strict=True)
    ]


def train(arm: Arm, seeds: int = SEEDS, look_every: int = LOOK_EVERY, batch: int = BATCH) -> dict[str, Any]:
    """Train ``arm`` on every data set under every seed, and keep what was seen on the way.

    CPU seconds are those of training, shared equally among the runs of the stack.
    """
    started, looking = process_time(), 0.0
    places = [(kind, seed) for kind in DATA for seed in range(seeds)]
    kinds = [kind for kind, _ in places]
    loaded = {kind: torch.from_numpy(data.load().samples) for kind, data in DATA.items()}
    curves: list[list[dict[str, Any]]] = [[] for _ in places]
    for state in rounds(arm, [loaded[kind] for kind in kinds], [seed for _, seed in places], batch):
        if state.d_updates >= look_every * (len(curves[0]) + 1) or state.d_updates >= arm.d_updates:
            before = process_time()
            for curve, seen in zip(curves, looks(state, kinds, len(curves[0])), strict=True):
                curve.append(seen)
            looking += process_time() - before
        if state.d_updates >= arm.d_updates:
            break
    runs = [{"data": kind, "seed": seed, "curve": curve} for (kind, seed), curve in zip(places, curves, strict=True)]
    parts = {key: repr(getattr(arm, key)) for key in ("scheme", "d_optimizer", "g_optimizer")}
    share = (process_time() - started - looking) / len(places)
    return {"name": arm.name, "optimizer": arm.optimizer} | parts | {"cpu_seconds": share, "runs": runs}


def stem(arm: Arm) -> str:
    """A file's name without what file systems dislike."""
    return f"{arm.optimizer} {arm.name}".replace(",", "").replace("=", "").replace(" ", "_")


def kept(arm: Arm, out: Path) -> dict[str, Any]:
    """What the arm's file holds, or what training gives, written there."""
    path = out / f"{stem(arm)}.json"
    if not path.exists():
        write_bytes(path, json.dumps(train(arm)).encode())
        print(f"{arm.optimizer}, {arm.name}: done", flush=True)
    return json.loads(path.read_text())


def held(run: dict[str, Any], which: str) -> dict[str, Any]:
    """The last look at a run's generator, and the best by divergence over cells."""
    seen = [each[which] for each in run["curve"]]
    finite = [each for each in seen if each is not None]
    return {"last": seen[-1], "best": min(finite, key=lambda each: each["js"], default=None)}


def collapsed(run: dict[str, Any]) -> bool:
    """Whether the present generator, not the averaged, held one mode or none at the last look, or was not finite."""
    last = run["present"]["last"]
    return last is None or last["modes"] <= 1


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Each arm's settings and, for each data set and seed, what its generators held."""
    arms = []
    for result in results:
        final = result["runs"][0]["curve"][-1]
        settings = {key: value for key, value in result.items() if key != "runs"}
        runs = [
            {"data": run["data"], "seed": run["seed"]} | {which: held(run, which) for which in ("averaged", "present")}
            for run in result["runs"]
        ]
        arms.append(settings | {key: final[key] for key in ("d_updates", "g_updates")} | {"runs": runs})
    setting = {"model": repr(MODEL), "loss": repr(LOSS), "averaging": repr(AVERAGING), "batch_size": BATCH}
    return setting | {"samples": SAMPLES, "data": {kind: repr(data) for kind, data in DATA.items()}, "arms": arms}


def values(arm: dict[str, Any], data: str, when: str, key: str, which: str = "averaged") -> list[float]:
    """One number for each seed that has it."""
    looks = [run[which][when] for run in arm["runs"] if run["data"] == data]
    return [each[key] for each in looks if each is not None and each[key] is not None]


def spread(numbers: Sequence[float], digits: int) -> str:
    if not numbers:
        return "–"
    mean, low, high = (f"{number:.{digits}f}" for number in (fmean(numbers), min(numbers), max(numbers)))
    return mean if low == high else f"{mean} ({low}–{high})"


def table(content: dict[str, Any], data: str, which: str = "averaged") -> str:
    """One data set as Markdown: means over the seeds, lowest and highest."""
    head = ["optimizer", "arm", "D / G updates", "CPU s"]
    head += [f"{name}, {when}" for name in SHOWN.values() for when in ("last", "best")] + ["collapsed"]
    lines = [head, ["---"] * len(head)]
    for arm in content["arms"]:
        clock = f"{arm['d_updates']:,} / {arm['g_updates']:,}"
        cells = [spread(values(arm, data, when, key, which), DIGITS[key]) for key in SHOWN for when in ("last", "best")]
        fell = [collapsed(run) for run in arm["runs"] if run["data"] == data]
        row = [arm["optimizer"], arm["name"], clock, f"{arm['cpu_seconds']:.0f}", *cells]
        lines.append([*row, f"{sum(fell)} of {len(fell)}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(content: dict[str, Any], path: Path) -> None:
    """A line of panels for each data set: a row an arm, a colour an optimizer, a dot a seed, a bar the mean."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(arm["name"] for arm in content["arms"]))
    labels = list(dict.fromkeys(arm["optimizer"] for arm in content["arms"]))
    figure, panels = pyplot.subplots(len(DATA), len(SHOWN), figsize=(12, 13), sharey=True, layout="constrained")
    for data, line in zip(DATA, panels, strict=True):
        for (key, title), axes in zip(SHOWN.items(), line, strict=True):
            for arm in content["arms"]:
                place = labels.index(arm["optimizer"])
                row = names.index(arm["name"]) + 0.26 * (place - (len(labels) - 1) / 2)
                numbers = values(arm, data, "last", key)
                color = COLOURS[place]
                axes.plot(numbers, [row] * len(numbers), "o", color=color, alpha=0.55, markersize=4)
                if numbers:
                    axes.plot([fmean(numbers)] * 2, [row - 0.13, row + 0.13], color=color, linewidth=2.5)
            axes.set_title(
                f"{data}: {title}, {'lower' if key == 'modes_kl' else 'higher'} is better", fontsize="medium"
            )
            for row in range(0, len(names), 2):
                axes.axhspan(row - 0.5, row + 0.5, color="0.95", zorder=0)
        line[0].set_xlim(-0.03 * MODES[data], 1.03 * MODES[data])
        line[1].set_xlim(-0.03, 1.03)
        line[2].set_xlim(left=-0.05)
    panels[0, 0].set_yticks(range(len(names)), names)
    panels[0, 0].set_ylim(len(names) - 0.5, -0.5)
    for place, label in enumerate(labels):
        panels[0, 0].plot([], [], "o-", color=COLOURS[place], label=label)
    figure.legend(loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(
        "Averaged generator after the last update; a dot is a seed, a bar the mean; no KL where no sample is on a mode",
        fontsize="medium",
    )
    figure.savefig(path, dpi=90)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Schedules on eight and on 25 Gaussians.")
    parser.add_argument("--out", type=Path, default=Path("runs/toy-study"))
    parser.add_argument("--part", default="0/1", help="I/N: every N-th arm from the I-th only")
    parser.add_argument("--page", type=Path, default=Path("docs/notes/toy-study"), help="where the summary goes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    first, of = map(int, options.part.split("/"))
    results = [kept(arm, options.out) for arm in ARMS[first::of]]
    if of == 1:
        content = summary(results)
        options.page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
        draw(content, options.page.with_suffix(".png"))
        for data in DATA:
            print(f"{data}\n\n{table(content, data)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
