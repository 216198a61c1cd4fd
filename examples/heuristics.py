"""Two rules of thumb of papers, measured in the plane with trained discriminators: two tables of docs/notes/theory.md.

    python examples/heuristics.py              # writes them into docs/notes/theory.md; about three minutes of a core

The first weight of annealed functional gradients against the distance of data and start (Equations 9 and 10 of the NATS
paper), and how far images move for a small change of the latent against the norm of D's gradient (Li-CFG).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

import torch
from estimated_chain import estimated_chain
from propositions import written
from torch import Tensor

from ganneal.data import Ring
from ganneal.data.tools.pairwise import median_pairwise_distance
from ganneal.metrics import frechet_distance
from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.propositions.neighbourhood import stretch
from ganneal.theory.pushes import pushes
from ganneal.weights import Geometric

PAGE = Path(__file__).parents[1] / "docs" / "notes" / "theory.md"
MARKS = {
    name: (f"<!-- {name}, by examples/heuristics.py -->", f"<!-- end of {name} -->")
    for name in ("first weights", "penalties")
}
COUNT, PUSHES, UPDATES, SEEDS = 1_000, 15, 50, (0, 1, 2)
DATA_STD, START_STD = 0.5, 0.1
AWAY = (2.0, 4.0, 8.0, 16.0, 32.0)
FIRST = tuple(2.0**k for k in range(-3, 6))
ARRIVED = 0.25
"""Share of the first distance that is left where samples count as arrived."""
CENTERS: tuple[float | None, ...] = (None, 0.0, 0.3, 1.0, 3.0)
STEP_SIZE = 0.5
RING = Ring(std=0.1)


def start(seed: int) -> Tensor:
    return START_STD * torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(100 + seed))


def data_at(distance: float) -> Callable[[int, torch.Generator], Tensor]:
    """Draws a normal distribution so far from the start."""
    middle = torch.tensor([distance, 0.0])
    return lambda count, random: middle + DATA_STD * torch.randn(count, 2, generator=random)


def left(distance: float, first: float, seed: int) -> tuple[float, float]:
    """Root of the Fréchet distance after the chain, and the mean length of D's gradient before the first push."""
    weights = Geometric(first, first / 100)((1,) * PUSHES, 0)
    chain = estimated_chain(data_at(distance), start(seed), weights, updates=UPDATES, seed=seed)
    real = data_at(distance)(COUNT, torch.Generator().manual_seed(200 + seed))
    if not torch.isfinite(chain.samples).all():
        return float("inf"), chain.norms[0]
    return frechet_distance(real.double().numpy(), chain.samples.double().numpy()) ** 0.5, chain.norms[0]


def first_weights() -> str:
    """For each distance the least first weight with which samples arrive, and the best of the grid."""
    head = (
        "| D2 | D's gradient, exact | trained | least w_1 that arrives | its first move v_1 | v_1/D2 | best w_1 |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = []
    for distance in AWAY:
        found = {first: [left(distance, first, seed) for seed in SEEDS] for first in FIRST}
        ends = {first: median(end for end, _ in values) for first, values in found.items()}
        arriving = [first for first in FIRST if ends[first] < ARRIVED * distance]
        norm = median(norm for _, norm in found[FIRST[0]])
        exact = exact_norm(distance)
        real = data_at(distance)(COUNT, torch.Generator().manual_seed(0)).numpy()
        d2 = median_pairwise_distance(real, start(0).numpy())
        move = arriving[0] * norm if arriving else None
        least = "none | - | -" if move is None else f"{arriving[0]:g} | {move:.2f} | {move / d2:.2f}"
        rows.append(f"| {d2:.1f} | {exact:.0f} | {norm:.2f} | {least} | {min(ends, key=lambda w: ends[w]):g} |")
    return "\n".join([head, *rows])


def exact_norm(distance: float) -> float:
    """Mean length of the score difference at the start: what the exact discriminator's gradient has."""
    x = start(0)
    scores = -(x - torch.tensor([distance, 0.0])) / DATA_STD**2 + x / START_STD**2
    return scores.norm(dim=1).mean().item()


def stretched(center: float | None, seed: int) -> tuple[float, float]:
    """Mean length of D's gradient over a chain from the narrow start to the ring, and the stretch at its end."""
    mixture = GaussianMixture.of(RING.mixture)
    latents = start(seed) / START_STD
    sizes = [STEP_SIZE * weight for weight in Geometric(1, 0.01)((1,) * PUSHES, 0)]
    chain = estimated_chain(
        lambda count, random: mixture.sample(count, random).float(),
        START_STD * latents,
        sizes,
        updates=UPDATES,
        center=center,
        seed=seed,
    )
    exact = [discriminator.double() for discriminator in chain.discriminators]
    moved = stretch(lambda z: pushes(START_STD * z, exact, sizes)[-1].samples, latents.double())
    return fmean(chain.norms), moved


def penalties() -> str:
    """For each centre of a gradient penalty the length of D's gradient and the stretch."""
    head = (
        "| penalty (‖∇D‖ - ε)² | mean length of D's gradient | moves of images over moves of latents |\n"
        "| --- | --- | --- |"
    )
    rows = []
    for center in CENTERS:
        found = [stretched(center, seed) for seed in SEEDS]
        norm, moved = (median(values) for values in zip(*found, strict=True))
        rows.append(f"| {'none' if center is None else f'ε = {center:g}'} | {norm:.2f} | {moved:.2f} |")
    return "\n".join([head, *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure two rules of thumb for docs/notes/theory.md.")
    parser.add_argument("--page", type=Path, default=PAGE)
    page = parser.parse_args(arguments).page
    tables = {"first weights": first_weights(), "penalties": penalties()}
    page.write_text(written(page.read_text(), tables, MARKS))
    print("\n\n".join(tables.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
