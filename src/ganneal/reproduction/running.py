"""Running the rows of a table: as comparisons that go on where they were stopped, written down after each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganneal.comparison import Executor, compare
from ganneal.data import find_data
from ganneal.evaluation.stored import Say
from ganneal.metrics.extractors import ExtractorConfig, InceptionTorchvision
from ganneal.reproduction import results
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.measured import measure, of_outcome
from ganneal.reproduction.plan import Planned, studies
from ganneal.reproduction.scales import Scale
from ganneal.storage.encoding import encode
from ganneal.storage.json_files import read_json

Ledger = Callable[[], Sequence[results.Entry]]


def run_rows(
    rows: Sequence[Planned],
    scale: Scale,
    seeds: Sequence[int],
    out: Path,
    executor: Executor,
    *,
    ledger: Ledger,
    written: Callable[[str, results.Entry], None],
    say: Say,
    command: str,
) -> None:
    """Train and measure the rows that can be run, one study after the other; ended runs are not repeated.

    Args:
        out: Where the studies lie, each in a folder of its own.
        ledger: Called for every row that is in results files by then: what is measured there is not measured again.
        written: Called with the name and the entry of each row that was measured.
    Raises:
        ValueError: A study is of another experiment than the one in its folder.
        Interrupted: A signal came; running jobs have saved, the same call goes on.
    """
    for name, study in studies(rows, scale, seeds).items():
        say(f"{name}: {len(study.arms)} rows, {study.equal_in(study.arms[0])} each")
        found = compare(study, out / name, executor, say=say, command=command)
        own = {one.row.arm: one for one in rows if f"{one.row.dataset}-{one.row.family}" == name}
        for arm in found.content["arms"]:
            one = own[arm["name"]]
            say(f"{name}: measuring {arm['name']}")
            written(one.row.name, _entry(one, arm, out / name, scale, ledger(), command))


def _entry(
    one: Planned,
    arm: Mapping[str, Any],
    folder: Path,
    scale: Scale,
    known: Sequence[results.Entry],
    command: str,
) -> results.Entry:
    """One row for the results file."""
    runs, found = [], []
    reported, score = one.row.reported.keys(), score_extractor([one], scale)
    for outcome in arm["runs"]:
        run = of_outcome(outcome)
        values: Mapping[str, Any] = {}
        if makes_numbers(outcome):
            before = results.already_measured(known, run, scale.samples, reported)
            values = before or measure(folder / outcome["path"], scale.samples, reported, score)
            found.append(values)
        runs.append(run | {key: values.get(key, {}) for key in ("last", "best")})
    first = found[0] if found else {"names": {}, "protocol": {}}
    return row_identity(one) | {
        "names": first["names"],
        "protocol": first["protocol"],
        "runs": runs,
        "provenance": _provenance(folder, arm),
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
    }


def makes_numbers(outcome: Mapping[str, Any]) -> bool:
    """Whether the run finished with weights whose samples are numbers; else it counts as one that diverged."""
    return outcome["status"] == "finished" and (outcome["metric"] is None or outcome["last"] is not None)


def row_identity(one: Planned) -> results.Entry:
    """What is trained, as the results file has it: the identity of the experiment without the seed, and the budget."""
    assert one.experiment is not None
    return {
        "label": one.row.label,
        "experiment": {key: value for key, value in one.experiment.identity().items() if key != "seed"},
        "budget": encode(one.experiment.budget),
        "reduced_by": one.reduced_by(),
    }


def _provenance(folder: Path, arm: Mapping[str, Any]) -> dict[str, Any]:
    """Versions and hardware of the first run that began."""
    for outcome in arm["runs"]:
        file = folder / outcome["path"] / "experiment.json"
        if file.exists():
            return read_json(file)["provenance"]
    return {}


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


def check_extractor(rows: Sequence[Planned], scale: Scale) -> None:
    """Build each network that measures, so that missing weights are known before anything trains.

    Raises:
        ValueError: It cannot take such images, or its weights are not there.
        FileNotFoundError: The file of its weights is not there.
    """
    seen, score = set(), score_extractor([one for one in rows if one.experiment is not None], scale)
    for one in rows:
        if one.experiment is None:
            continue
        size = getattr(one.experiment.data, "size", None)
        shape = (3, size, size) if size else PUBLISHED_DATA[one.row.dataset].shape
        for extractor in (one.experiment.records.extractor, score if "IS" in one.row.reported else None):
            if extractor is not None and (repr(extractor), shape) not in seen:
                seen.add((repr(extractor), shape))
                extractor.build(shape)
