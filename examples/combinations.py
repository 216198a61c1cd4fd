"""Which parts go together: every pair of them tried, and a pairwise cover of the allowed ones trained for a step.

    python examples/combinations.py            # writes docs/combinations.md
    python examples/combinations.py --check    # fails where the page is not what it would write

A cover is a list of experiments in which any two allowed parts of different kinds meet at least once; each makes one
update of either player, and a push where the scheme has any, on tiny networks and images of noise.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import torch

from ganneal.augment import AUGMENTATIONS
from ganneal.checks import DataAndPlayers, check
from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, MLP, Model
from ganneal.normalization import NORMALIZATIONS
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import SCHEMES, FunctionalGradient, Scheme
from ganneal.steps import Step

PAGE = Path(__file__).parents[1] / "docs" / "combinations.md"
COUNT = 4

MODELS: dict[str, Model] = {
    "DCGAN, layer norm": DCGAN(width=2, latent_size=2, d_norm="layer"),
    "DCGAN, batch norm": DCGAN(width=2, latent_size=2, d_norm="batch"),
    "DCGAN, no norm": DCGAN(width=2, latent_size=2, d_norm="none"),
    "MLP on points": MLP(width=4, depth=2),
}


def _small(scheme: Scheme) -> Scheme:
    """Two pushes of a pool of one batch, where there are pushes."""
    if not isinstance(scheme, FunctionalGradient):
        return scheme
    return replace(scheme, steps=2, pool_size=COUNT, epochs=min(scheme.epochs, 1))


PARTS: dict[str, Mapping[str, Any]] = {
    "scheme": {name: _small(scheme) for name, scheme in SCHEMES.items()},
    "loss": LOSSES,
    "regularizer": REGULARIZERS,
    "normalization": NORMALIZATIONS,
    "augmentation": AUGMENTATIONS,
    "model": MODELS,
}
KINDS = list(PARTS)
Choice = tuple[str, str]
"""A kind and a name."""
Row = tuple[str, ...]
"""A name for each kind."""


@dataclass(frozen=True)
class Noise:
    """Images of noise at 16 px, or points; what they show does not matter."""

    points: bool = False

    def load(self) -> Dataset:
        random = torch.Generator().manual_seed(0)
        if self.points:
            return Dataset(torch.randn(16, 2, generator=random).numpy())
        return Dataset(torch.randint(0, 256, (16, 1, 16, 16), generator=random, dtype=torch.uint8).numpy())


def experiment(row: Mapping[str, str]) -> Experiment:
    """An experiment of the named parts, with the first of each other kind."""
    parts = {kind: PARTS[kind][row.get(kind, next(iter(PARTS[kind])))] for kind in KINDS}
    return Experiment(
        name="combination",
        data=Noise(points=isinstance(parts["model"], MLP)),
        batch_size=COUNT,
        budget=Budget(d_updates=1),
        records=Records(log_every=10**9),
        **parts,
    )


def refusal(row: Mapping[str, str], datasets: Mapping[bool, Dataset]) -> str | None:
    """Why the parts of ``row`` cannot be combined, or None."""
    try:
        made = experiment(row)
        dataset = datasets[made.data.points]  # type: ignore[attr-defined]
        pair = made.model.build(dataset.shape)
        check(made, DataAndPlayers(dataset, pair))
        pair.discriminator = made.normalization.apply(pair.discriminator)
        made.regularizer.build(pair)
    except ValueError as error:
        return str(error)
    return None


def refused_pairs(datasets: Mapping[bool, Dataset]) -> dict[frozenset[Choice], str]:
    """The pairs of parts that are refused, with the reason."""
    found = {}
    for one, other in combinations(KINDS, 2):
        for a, b in product(PARTS[one], PARTS[other]):
            if reason := refusal({one: a, other: b}, datasets):
                found[frozenset({(one, a), (other, b)})] = reason
    return found


def pairs_of(row: Mapping[str, str]) -> Iterator[frozenset[Choice]]:
    for choice, other in combinations(row.items(), 2):
        yield frozenset({choice, other})


def cover(refused: Mapping[frozenset[Choice], str]) -> list[dict[str, str]]:
    """Rows of allowed parts in which every allowed pair meets: greedy, each row built around a pair not yet met."""
    missing = {
        frozenset({(one, a), (other, b)}): None
        for one, other in combinations(KINDS, 2)
        for a, b in product(PARTS[one], PARTS[other])
        if frozenset({(one, a), (other, b)}) not in refused
    }  # a dict keeps the order, so that every run makes the same rows
    rows = []
    while missing:
        row = dict(sorted(next(iter(missing)), key=lambda choice: KINDS.index(choice[0])))
        for kind in KINDS:
            if kind not in row:
                row[kind] = _best(row, kind, missing, refused)
        for pair in pairs_of(row):
            missing.pop(pair, None)
        rows.append(row)
    return rows


def _best(row: dict[str, str], kind: str, missing: Mapping[Any, Any], refused: Mapping[Any, Any]) -> str:
    """The allowed part that meets most of the others for the first time."""

    def met(name: str) -> int:
        return sum(frozenset({(kind, name), other}) in missing for other in row.items())

    allowed = [
        name for name in PARTS[kind] if not any(frozenset({(kind, name), other}) in refused for other in row.items())
    ]
    return max(allowed, key=met)


def beginning(scheme: Scheme) -> list[Step]:
    """The steps of the first round up to the first of its last kind: one update of either player, and a push."""
    steps = list(scheme(0))
    firsts = [next(i for i, step in enumerate(steps) if type(step) is kind) for kind in {type(s) for s in steps}]
    return steps[: max(firsts) + 1]


def train(row: Mapping[str, str], datasets: Mapping[bool, Dataset]) -> None:
    """The first step of each kind in the scheme's round, and those before it.

    Raises:
        RuntimeError: It failed, or a weight is no number afterwards.
    """
    made = experiment(row)
    try:
        run = Run(made, datasets[made.data.points])  # type: ignore[attr-defined]
        for step in beginning(made.scheme):
            engine.apply(step, run)
    except Exception as error:
        raise RuntimeError(f"allowed by pairs, but it failed: {dict(row)}") from error
    if not run.is_finite():
        raise RuntimeError(f"weights that are no numbers after one update of {dict(row)}")


def _together(refused: Mapping[frozenset[Choice], str]) -> list[tuple[str, str, str]]:
    """Parts of one kind, parts of another that each of them refuses, and the reason."""
    met: dict[tuple[str, str, str, str], list[str]] = {}
    for one, other in combinations(KINDS, 2):
        for a, b in product(PARTS[one], PARTS[other]):
            if reason := refused.get(frozenset({(one, a), (other, b)})):
                met.setdefault((reason, one, other, b), []).append(a)
    rows: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (reason, one, other, b), names in met.items():
        rows.setdefault((reason, one, other, tuple(names)), []).append(b)
    return [(_named(one, a), _named(other, b), reason) for (reason, one, other, a), b in rows.items()]


def _named(kind: str, names: Sequence[str]) -> str:
    return f"{kind} {', '.join(f'`{name}`' for name in names)}"


def page(refused: Mapping[frozenset[Choice], str]) -> str:
    """The page on what goes with what: the refused pairs with the reason that the error gives."""
    kinds = {kind for pair in refused for kind, _ in pair}
    free = [kind for kind in KINDS if kind not in kinds]
    lines = [
        "# What goes with what",
        "",
        "Parts of different kinds can be combined freely, with the exceptions below. ganneal refuses",
        f"these before it trains. The kinds are {', '.join(KINDS)}. `python examples/combinations.py`",
        "writes this page and trains one update of experiments in which all other pairs meet; a test repeats it.",
        "",
        *([f"Every {' and every '.join(free)} goes with everything.", ""] if free else []),
        "| these parts | not with these | what the error says |",
        "| --- | --- | --- |",
        *(f"| {one} | {other} | {reason} |" for one, other, reason in _together(refused)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--stride", type=int, default=1, help="train every so manieth experiment of the cover only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    datasets = {points: Noise(points).load() for points in (False, True)}
    refused = refused_pairs(datasets)
    rows = cover(refused)
    for row in rows[:: options.stride]:
        train(row, datasets)
    trained = len(rows[:: options.stride])
    print(f"{len(refused)} pairs refused; {trained} trained of {len(rows)} experiments in which all others meet")
    if not options.check:
        PAGE.write_text(page(refused))
    elif PAGE.read_text() != page(refused):
        sys.exit(f"{PAGE} is not current: run python examples/combinations.py")


if __name__ == "__main__":
    main()
