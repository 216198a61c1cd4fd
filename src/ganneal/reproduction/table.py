"""A published table as data: rows with the numbers printed, the experiment of each, and what is claimed of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ganneal.experiment import Experiment
from ganneal.metrics.intervals import Better
from ganneal.reproduction.datasets import PUBLISHED_DATA

Family = Literal["classical", "functional", "biggan", "biggan64", "ddgan", "sngan"]
"""Rows of one family share a budget at each scale."""
BETTER: dict[str, Better] = {"FID": "lower", "IS": "higher"}
"""Scores that can be measured, by the name they are reported under."""


@dataclass(frozen=True)
class Reported:
    """A number as it is printed.

    >>> Reported("4.79?").number, Reported("4.79?").doubtful, Reported("51.16±33.71").number
    (4.79, True, 51.16)
    """

    text: str
    """A question mark at the end: its digits had to be repaired, and rest on the neighbours."""

    @property
    def number(self) -> float:
        """Its value; the mean of a number with a spread."""
        return float(self.text.removesuffix("?").partition("±")[0])

    @property
    def doubtful(self) -> bool:
        """True if its digits are uncertain."""
        return self.text.endswith("?")


@dataclass(frozen=True)
class TableRow:
    """One line of a published table: a model trained by a scheme on a data set."""

    dataset: str
    arm: str
    """Names what is trained: rows of several tables with one arm and data set are one run."""
    label: str
    family: Family
    experiment: Experiment
    """In the published settings."""
    reported: Mapping[str, Reported]
    """By score: FID, IS, or another name that is shown and not measured. Empty for a row of ours."""
    like: str | None = None
    """Arm whose processor seconds it trains for, seed by seed; None trains on the images of its family."""

    @property
    def name(self) -> str:
        """Data set and arm."""
        return f"{self.dataset}/{self.arm}"

    @property
    def study(self) -> str:
        """Data set and family, whose rows train on as many real images and are measured alike."""
        # The name of its file in the ledger and of its folder, so it may not change.
        return f"{self.dataset}-{self.family}"


@dataclass(frozen=True)
class Table:
    """A published table."""

    title: str
    source: str
    rows: tuple[TableRow, ...]
    pairs: tuple[tuple[str, str], ...]
    """Names of two rows whose order is a claim: which is better follows from the numbers reported."""
    notes: tuple[str, ...] = ()
    """Differences of the protocol here, and contradictions in the published table."""
    controls: tuple[TableRow, ...] = ()
    """Rows run beside the published ones: controls of ours, and rows of another table they are held against."""
    questions: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Pairs of row names in groups: is the first better than the second? p is corrected within a group."""

    def __post_init__(self) -> None:
        # Assertions, for the tables are ours: no input of a user gets here.
        names = [row.name for row in self.all_rows]
        assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
        asked = [*self.pairs, *(pair for group in self.questions for pair in group)]
        unknown = {name for pair in asked for name in pair} - set(names)
        assert not unknown, unknown
        assert all(row.dataset in PUBLISHED_DATA for row in self.all_rows)

    @property
    def all_rows(self) -> tuple[TableRow, ...]:
        """The published rows and then the controls."""
        return self.rows + self.controls

    def row(self, name: str) -> TableRow:
        """The row called ``name``."""
        return next(row for row in self.all_rows if row.name == name)

    @property
    def scores(self) -> list[str]:
        """Every score that is reported, in the order in which they first come."""
        return list(dict.fromkeys(score for row in self.rows for score in row.reported))


def reported(**scores: str) -> dict[str, Reported]:
    """Numbers as printed, by score.

    >>> reported(FID="16.78")
    {'FID': Reported(text='16.78')}
    """
    return {score: Reported(text) for score, text in scores.items()}
