"""Running the rows of a table: as comparisons that go on where they were stopped, each run written down as it ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ganneal.comparison import Executor, compare
from ganneal.comparison.job import Job
from ganneal.data import find_data
from ganneal.evaluation.stored import Say
from ganneal.metrics.extractors import ExtractorConfig, InceptionTorchvision
from ganneal.reproduction import results
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.measured import curve, measure
from ganneal.reproduction.plan import Planned, studies
from ganneal.reproduction.scales import Scale
from ganneal.storage.encoding import encode
from ganneal.storage.json_files import read_json


def run_rows(
    rows: Sequence[Planned],
    scale: Scale,
    seeds: Sequence[int],
    out: Path,
    executor: Executor,
    *,
    ledger: Mapping[str, results.Entry],
    written: Callable[[Planned, results.Entry], None],
    say: Say,
    command: str,
) -> None:
    """Train and measure the rows that can be run, one study after the other; runs in the ledger are not repeated.

    Args:
        out: Where the studies lie, each in a folder of its own. A run that was stopped goes on from there.
        ledger: What is known of each row by its name.
        written: Called with each run as soon as it has ended, as an entry of its row with that run alone.
    Raises:
        ValueError: A study is of another experiment than the one in its folder.
        Interrupted: A signal came; running jobs have saved, the same call goes on.
    """
    for name, study in studies(rows, scale, seeds).items():
        own = {one.row.arm: one for one in rows if one.row.study == name}
        known = {
            (arm, seed): outcome
            for arm, one in own.items()
            for seed, outcome in results.known_outcomes(
                ledger.get(one.row.name), _scores(one, scale), scale.samples
            ).items()
        }
        missing = [(arm.name, seed) for arm in study.arms for seed in study.seeds if (arm.name, seed) not in known]
        say(f"{name}: {len(missing)} of {len(study.arms) * len(study.seeds)} runs are not in the ledger")
        # Without a study's folder: the ledger alone answers.
        if not missing:
            continue

        # The default binds the rows of this study; a closure would look `own` up when it is called.
        def ended(job: Job, outcome: dict[str, Any], own: Mapping[str, Planned] = own) -> None:
            one = own[job.arm]
            say(f"measuring {job.arm} seed {job.seed}")
            # Run by run, so that a kill costs the one at work and no other.
            written(one, _entry(one, job.path, outcome, scale, command))

        compare(study, out / name, executor, say=say, command=command, known=known, ended=ended)


def _scores(one: Planned, scale: Scale) -> set[str]:
    """Scores that a run of the row must have: the distance, and another where a network of its own gives it."""
    return {"FID"} | ({"IS"} & set(one.row.reported) if scale.score is not None else set())


def _entry(one: Planned, path: Path, outcome: Mapping[str, Any], scale: Scale, command: str) -> results.Entry:
    """The row of ``one`` with the run at ``path`` alone."""
    values: Mapping[str, Any] = {}
    # A run without values is in the ledger all the same: it diverged, and is worse than any that has one.
    if makes_numbers(outcome):
        values = measure(path, scale.samples, one.row.reported.keys(), score_extractor([one], scale))
    description = path / "experiment.json"
    run = {
        "outcome": dict(outcome),
        "last": values.get("last", {}),
        "best": values.get("best", {}),
        "curve": curve(path, outcome["metric"]),
        # Below 1, other work took the rest: seconds then say little about the machine, processor seconds do.
        "core_share": outcome["cpu_seconds"] / outcome["seconds"] if outcome["seconds"] else None,
        "provenance": read_json(description)["provenance"] if description.exists() else {},
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
    }
    return row_identity(one) | {"names": values.get("names", {}), "protocol": values.get("protocol", {}), "runs": [run]}


def makes_numbers(outcome: Mapping[str, Any]) -> bool:
    """True if the run finished with weights whose samples are finite. Otherwise it counts as diverged."""
    return outcome["status"] == "finished" and (outcome["metric"] is None or outcome["last"] is not None)


def row_identity(one: Planned) -> results.Entry:
    """Identity of the training for the ledger: the experiment's without the seed, and the budget."""
    assert one.experiment is not None
    return {
        "label": one.row.label,
        "experiment": {key: value for key, value in one.experiment.identity().items() if key != "seed"},
        "budget": encode(one.experiment.budget) if one.row.like is None else None,
        "like": one.row.like,
        "reduced_by": one.reduced_by(),
    }


def score_extractor(rows: Sequence[Planned], scale: Scale) -> ExtractorConfig | None:
    """The scale's network of the Inception Score with its weights found; None where none is needed.

    Raises:
        FileNotFoundError: The weights are not there; the message says where to get them and where to put them.
    """
    score = scale.score
    if not isinstance(score, InceptionTorchvision) or not any("IS" in one.row.reported for one in rows):
        return score
    assert score.path is not None
    try:
        return replace(score, path=str(find_data(score.path)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the Inception Score at this scale needs torchvision's weights; download "
            f"https://download.pytorch.org/models/{score.path} into the folder of data. {error}"
        ) from error


def check_extractor(rows: Sequence[Planned], scale: Scale) -> dict[str, results.MeasuredBy]:
    """Build each network that measures, so that missing weights are known before anything trains.

    Returns:
        The features that are compared, by the name of the row.
    Raises:
        ValueError: It cannot take such images, or its weights are not there.
        FileNotFoundError: The file of its weights is not there.
    """
    # To build a network reads its weights: once for each kind of image.
    build = cache(lambda config, shape: config.build(shape))
    score, found = score_extractor([one for one in rows if one.experiment is not None], scale), {}
    for one in rows:
        if one.experiment is None:
            continue
        size = getattr(one.experiment.data, "size", None)
        # A source without a size of its own has the published one.
        shape = (3, size, size) if size else PUBLISHED_DATA[one.row.dataset].shape
        if score is not None and "IS" in one.row.reported:
            build(score, shape)
        if (config := one.experiment.records.extractor) is not None:
            extractor = build(config, shape)
            found[one.row.name] = results.MeasuredBy(extractor.name, extractor.sha256)
    return found
