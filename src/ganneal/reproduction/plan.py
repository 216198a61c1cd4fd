"""Plan of a table at a scale: each row's experiment and reductions, or the reason why it cannot be run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import ceil
from typing import Any

from ganneal.comparison import Arm, Like, Study
from ganneal.data import Encoded
from ganneal.experiment import Budget, Experiment
from ganneal.experiments.fitting import with_field
from ganneal.metrics.extractors import ExtractorConfig
from ganneal.plan import plan
from ganneal.registry import nearest
from ganneal.reproduction.datasets import PUBLISHED_DATA, source
from ganneal.reproduction.scales import HALVED, POINTS, SCALES, Cost, Reduction, Scale
from ganneal.reproduction.table import Table, TableRow
from ganneal.storage.encoding import difference, encode


@dataclass(frozen=True)
class Planned:
    """A row as it would be run."""

    row: TableRow
    experiment: Experiment | None
    """None where it cannot be run."""
    why: str = ""

    def reduced_by(self) -> list[str]:
        """Differences of the experiment from the published settings, a line for each field."""
        assert self.experiment is not None
        # The papers leave training lengths out: a row is held against the scale `paper`, whose lengths are ours.
        published = SCALES["paper"]
        before = reduced(self.row.experiment, published, published.families[self.row.family])
        return difference(*(_shown(experiment) for experiment in (before, self.experiment)))


def _shown(experiment: Experiment) -> dict[str, Any]:
    # Threads and device change the last bits of a run, names and records not even those.
    content = encode(experiment)
    return {key: value for key, value in content.items() if key not in ("name", "records", "threads", "device")}


def chosen_rows(table: Table, patterns: Sequence[str]) -> list[TableRow]:
    """The rows that a pattern names, with or without the data set, and those whose time they take; else all.

    Raises:
        ValueError: A pattern names no row.
    """
    known, chosen = {row.name: row for row in table.all_rows}, set[str]()
    for pattern in patterns or ("*",):
        found = {row.name for row in known.values() if any(fnmatchcase(name, pattern) for name in (row.name, row.arm))}
        if not found:
            raise ValueError(f"no row {pattern!r} in {table.title}. {nearest(pattern, known)}")
        chosen |= found
    # A row in the time of another cannot run without it.
    models = {f"{row.dataset}/{row.like}" for row in table.all_rows if row.name in chosen and row.like is not None}
    return [row for row in table.all_rows if row.name in chosen | models]


def planned(row: TableRow, scale: Scale, paths: Mapping[str, str], extractor: ExtractorConfig | None = None) -> Planned:
    """The row at ``scale``.

    Args:
        paths: Where a data set lies, by its name, in place of where it is looked for.
        extractor: Network whose features are compared, in place of the scale's.
    """
    try:
        data = source(row.dataset, paths.get(row.dataset))
    except FileNotFoundError as error:
        return Planned(row, None, str(error))
    experiment = reduced(row.experiment, scale, scale.families[row.family])
    size = PUBLISHED_DATA[row.dataset].size
    if scale.halves and size > HALVED and isinstance(data, Encoded):
        data = replace(data, size=HALVED)  # type: ignore[type-var]
    # By the published size, halved or not: the smallest scale has one network for both.
    network = extractor or scale.extractors[size]
    records = replace(experiment.records, extractor=network)
    return Planned(row, replace(experiment, name=row.arm, data=data, records=records))


def reduced(experiment: Experiment, scale: Scale, reduction: Reduction) -> Experiment:
    """``experiment`` with the changes and the budget of a scale; widths of a network that has none stay."""
    # The changes of the family come last, so that they win over those of the scale.
    for path, value in {**scale.everywhere, **reduction.changes}.items():
        experiment = with_field(experiment, path.split("."), value)
    width = reduction.widths.get(type(experiment.model).__name__, {})
    model = replace(experiment.model, **width)  # type: ignore[type-var]
    # A curve whose points are put off on a busy machine could not be compared with another's: any share of the time.
    every = reduction.num_real // POINTS
    log_every = min(experiment.records.log_every, every)
    records = replace(experiment.records, evaluate_every=every, evaluate_share=1.0, log_every=log_every)
    return replace(experiment, model=model, budget=Budget(num_real=reduction.num_real), records=records)


def seconds(experiment: Experiment, cost: Cost) -> float:
    """About how long the row trains on one core, from what an update was measured to take."""
    assert experiment.budget.num_real is not None
    d_updates = ceil(experiment.budget.num_real / experiment.batch_size)
    # Round 1 is like all that follow; round 0 of functional gradients draws the projected pool besides.
    round = plan(experiment.scheme, 1)
    per_round = round.d_updates * cost.d_update + round.g_updates * cost.g_update + cost.round
    return per_round * d_updates / round.d_updates


def studies(rows: Sequence[Planned], scale: Scale, seeds: Sequence[int]) -> dict[str, Study]:
    """The rows that can be run as studies, by the name of their folder: one for each data set and family."""
    arms: dict[str, list[Arm]] = {}
    for one in rows:
        if one.experiment is not None:
            like = None if one.row.like is None else Like(one.row.like, "cpu_seconds")
            arms.setdefault(one.row.study, []).append(Arm(one.row.arm, one.experiment, like))
    # One study for each data set and family, as their rows are equal in real images and measured alike.
    lengths = {one.row.study: scale.families[one.row.family].num_real for one in rows}
    return {
        # `claims` compares rows by the ledger, so that any arm will do as the baseline of the study itself.
        name: Study(name, tuple(own), tuple(seeds), "num_real", lengths[name], baseline=own[0].name)
        for name, own in arms.items()
    }
