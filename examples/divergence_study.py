"""Mode-seeking against mass-covering: which part of a mixture a generator keeps, along the tail-weight index.

    OMP_NUM_THREADS=1 python examples/divergence_study.py --out runs/divergence-study [--seeds 3]

Three parts. *Exact*: the normal distribution of least divergence from a mixture of two on the line, by quadrature on
a grid, for the nine divergences and the power family between them. *Line*: the same model as a GAN, whose discriminator
is a perceptron trained with js, started wide. *Plane*: a small perceptron on eight Gaussians on a circle. Each run is
a file in --out; the same command goes on where it was stopped, and ends by writing
``docs/notes/divergence-study.json`` and ``.png`` and printing the table.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from ganneal.data import Ring
from ganneal.divergences import DIVERGENCES, FDivergence, power
from ganneal.losses import Hybrid, Loss
from ganneal.metrics.mixture import mixture_quality
from ganneal.storage.atomic import write_bytes

WEIGHT, PLACE, WIDTH = 0.65, 1.5, 0.6
"""The mixture on the line: 0.65 N(-1.5, 0.6^2) + 0.35 N(1.5, 0.6^2)."""
LINE_STEPS, PLANE_STEPS = 1_500, 2_000
BATCH = 256
D_STEPS = 3
AVERAGED = 5
"""Results are means over so many looks in the last fifth of training."""
POWERS = [k / 8 for k in range(25)]
RING = Ring(std=0.08)
SHOWN = {"line": ("mean", "std"), "plane": ("modes", "on_modes")}
"""What the GANs of each part are looked at for."""


def ordered() -> list[str]:
    """The divergences from the most mass-covering to the most mode-seeking."""
    return sorted(DIVERGENCES, key=lambda name: DIVERGENCES[name].tail_weights.mode_seeking)


def log_data(x: Tensor) -> Tensor:
    """Log density of the mixture on the line."""
    parts = [
        math.log(weight) - 0.5 * ((x - place) / WIDTH) ** 2 - math.log(WIDTH * math.sqrt(2 * math.pi))
        for weight, place in ((WEIGHT, -PLACE), (1 - WEIGHT, PLACE))
    ]
    return torch.logaddexp(*parts)


def divergence_of_normals(row: FDivergence, means: Tensor, std: Tensor) -> Tensor:
    """The divergence of each normal from the mixture, by quadrature; not finite where it is infinite or nearly so."""
    x = torch.linspace(-10, 10, 801, dtype=torch.float64)
    log_p = log_data(x)
    log_q = -0.5 * ((x - means[:, None]) / std) ** 2 - torch.log(std * math.sqrt(2 * math.pi))
    d = log_p - log_q
    return torch.trapezoid(log_p.exp() * row.real_term(d) - log_q.exp() * row.fake_term(d), x)


def best_normal(row: FDivergence) -> dict[str, float]:
    """Mean and standard deviation of the normal of least divergence, to the step of a grid."""
    means = torch.arange(-2.0, 0.51, 0.025, dtype=torch.float64)
    best = (math.inf, 0.0, 0.0)
    for std in torch.arange(0.4, 2.2, 0.02, dtype=torch.float64):
        values = divergence_of_normals(row, means, std).nan_to_num(math.inf)
        at = int(values.argmin())
        best = min(best, (values[at].item(), means[at].item(), std.item()))
    return dict(zip(("value", "mean", "std"), best, strict=True))


def descended_normal(row: FDivergence, steps: int = 1_000) -> dict[str, float]:
    """Where the exact gradient leads from the start of the GANs; nowhere from where the divergence is infinite."""
    start = Affine().double()
    optimizer = torch.optim.Adam(start.parameters(), 0.01)
    value = divergence_of_normals(row, start.mean, start.log_std.exp())
    if not value.item() < 1e6:
        return {}
    for _ in range(steps):
        optimizer.zero_grad()
        divergence_of_normals(row, start.mean, start.log_std.exp()).sum().backward()
        optimizer.step()
    return {"mean": start.mean.item(), "std": start.log_std.exp().item()}


class Affine(nn.Module):
    """The normal distribution as a generator: mean + std z, wide at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_std = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.full((1,), math.log(2.0)))

    def forward(self, z: Tensor) -> Tensor:
        return self.mean + self.log_std.exp() * z


def perceptron(inputs: int, outputs: int, width: int) -> nn.Sequential:
    layers = (nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def play(
    loss: Loss,
    generator: nn.Module,
    discriminator: nn.Module,
    real: Callable[[], Tensor],
    latents: Callable[[], Tensor],
    rates: tuple[float, float],
    steps: int,
    look: Callable[[], dict[str, float]],
) -> dict[str, float]:
    """A plain loop: D_STEPS discriminator updates, one generator update; the mean of the last looks."""
    d_optimizer = torch.optim.Adam(discriminator.parameters(), rates[0], (0.5, 0.99))
    g_optimizer = torch.optim.Adam(generator.parameters(), rates[1], (0.5, 0.99))
    looks = []
    for step in range(1, steps + 1):
        for _ in range(D_STEPS):
            with torch.no_grad():
                fake = generator(latents())
            d_loss = loss.discriminator(discriminator(real()).squeeze(1), discriminator(fake).squeeze(1)).mean()
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
        g_loss = loss.generator(discriminator(generator(latents())).squeeze(1)).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        if step > 0.8 * steps and step % (steps // (5 * AVERAGED)) == 0:
            looks.append(look())
    return {key: fmean(each[key] for each in looks) for key in looks[0]}


def line(name: str, seed: int) -> dict[str, float]:
    """A normal model against the mixture on the line, the ratio estimated by a discriminator."""
    torch.manual_seed(seed)
    generator, discriminator = Affine(), perceptron(1, 1, 64)

    def real() -> Tensor:
        side = torch.where(torch.rand(BATCH, 1) < WEIGHT, -PLACE, PLACE)
        return side + WIDTH * torch.randn(BATCH, 1)

    def look() -> dict[str, float]:
        return {"mean": generator.mean.item(), "std": generator.log_std.exp().item()}

    loss = Hybrid("js", name, exp_cap=15.0)
    return play(loss, generator, discriminator, real, lambda: torch.randn(BATCH, 1), (2e-3, 1e-2), LINE_STEPS, look)


def plane(name: str, seed: int) -> dict[str, float]:
    """A small perceptron against eight Gaussians on a circle, which it cannot separate entirely."""
    torch.manual_seed(seed)
    generator, discriminator = perceptron(2, 2, 16), perceptron(2, 1, 64)
    means, modes = RING.mixture.means.float(), RING.modes

    def real() -> Tensor:
        return means[torch.randint(modes, (BATCH,))] + RING.std * torch.randn(BATCH, 2)

    @torch.no_grad()
    def look() -> dict[str, float]:
        quality = mixture_quality(generator(torch.randn(4_000, 2)).double(), RING.mixture)
        return {"on_modes": quality.high_quality, "modes": float(quality.modes_robust)}

    loss = Hybrid("js", name, exp_cap=15.0)
    return play(loss, generator, discriminator, real, lambda: torch.randn(BATCH, 2), (1e-3, 1e-3), PLANE_STEPS, look)


def kept(path: Path, make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What the file holds, or what ``make`` gives, written there."""
    if not path.exists():
        started = process_time()
        content = make()
        write_bytes(path, json.dumps(content | {"cpu_seconds": process_time() - started}).encode())
        print(path.stem, {key: round(value, 3) for key, value in content.items()}, flush=True)
    return json.loads(path.read_text())


def study(out: Path, seeds: int) -> dict[str, Any]:
    """All three parts, from their files where they are there."""
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    for name in ordered():
        row = DIVERGENCES[name]
        rows[name] = {
            "index": row.tail_weights.mode_seeking,
            "exact": kept(out / f"exact-{name}.json", lambda row=row: best_normal(row)),
            "descended": kept(out / f"descended-{name}.json", lambda row=row: descended_normal(row)),
            "line": [],
            "plane": [],
        }
    family = [kept(out / f"power-{k:g}.json", lambda k=k: best_normal(power(k))) | {"k": k} for k in POWERS]
    for seed in range(seeds):
        for part, run in (("line", line), ("plane", plane)):
            for name in rows:
                file = out / f"{part}-{name}-{seed}.json"
                rows[name][part].append(kept(file, lambda run=run, name=name, seed=seed: run(name, seed)))
    return {"rows": rows, "power": family, "seeds": seeds}


def table(content: dict[str, Any]) -> str:
    """The results as Markdown, means over seeds and the lowest and highest."""

    def spread(runs: list[dict[str, float]], key: str) -> str:
        values = [run[key] for run in runs]
        return f"{fmean(values):.2f} ({min(values):.2f}–{max(values):.2f})"

    lines = [
        "| generator | index | best normal: mean, std | descended to | GAN, line: mean | std | GAN, plane: modes of 8 "
        "| on modes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in content["rows"].items():
        exact, descended = row["exact"], row["descended"]
        led = f"{descended['mean']:.2f}, {descended['std']:.2f}" if "std" in descended else "–"
        seen = [spread(row[part], key) for part, keys in SHOWN.items() for key in keys]
        lines.append(
            f"| {name} | {row['index']:g} | {exact['mean']:.2f}, {exact['std']:.2f} | {led} | {' | '.join(seen)} |"
        )
    return "\n".join(lines)


def draw(content: dict[str, Any], path: Path) -> None:
    """Width of the normal model, modes kept and share of samples on modes, against the index."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    rows, family = content["rows"], content["power"]
    panels[0].plot([2 * each["k"] - 3 for each in family], [each["std"] for each in family], color="0.7", zorder=0)
    panels[0].plot([], [], color="0.7", label="power family, exact")
    for part, key, axes, title in (
        ("line", "std", panels[0], "width of a normal model of two modes"),
        ("plane", "modes", panels[1], "ring: modes kept, of 8"),
        ("plane", "on_modes", panels[2], "ring: share of samples on a mode"),
    ):
        top = {"std": 2.3, "modes": 8.4, "on_modes": 1.0}[key]
        # divergences of one index side by side, in the order of their names
        places: dict[float, list[str]] = {}
        for name, row in rows.items():
            places.setdefault(row["index"], []).append(name)
        for index, names in places.items():
            for place, name in enumerate(names):
                at = index + 0.22 * (place - (len(names) - 1) / 2)
                values = [run[key] for run in rows[name][part]]
                axes.plot([at] * len(values), values, "o", color="#0072b2", alpha=0.6, label="GAN, one seed")
                axes.plot([at], [fmean(values)], "_", color="#d55e00", markersize=14, label="mean of seeds")
                if part == "line":
                    exact = rows[name]["exact"]["std"]
                    axes.plot([at], [exact], "D", color="k", fillstyle="none", label="exact minimiser")
                    if led := rows[name]["descended"].get("std"):
                        axes.plot([at], [led], "x", color="k", label="exact gradient, from the GANs' start")
                if part == "line":
                    axes.annotate(name, (at, 0.03), rotation=90, fontsize=7, ha="center", color="0.35")
        axes.set_ylim(0, top)
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("mass-covering  ←  tail-weight index  →  mode-seeking", fontsize="small")
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize="small"
    )
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What nine generators keep of a mixture.")
    parser.add_argument("--out", type=Path, default=Path("runs/divergence-study"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--page", type=Path, default=Path("docs/notes/divergence-study"), help="where the summary goes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    content = study(options.out, options.seeds)
    options.page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    draw(content, options.page.with_suffix(".png"))
    print(table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
