"""The results file of one table at one scale: a row each, with everything that its numbers depend on."""

import json
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from ganneal.experiment import Experiment
from ganneal.storage.atomic import write_bytes
from ganneal.storage.encoding import difference

FORMAT = 1
ROW_FIELDS = frozenset(("experiment", "budget", "names", "protocol", "runs", "provenance", "command", "date"))
RUN_FIELDS = frozenset(("seed", "status", "last", "best", "num_real", "cpu_seconds"))

Entry = dict[str, Any]


def file_of(folder: Path, table: str, scale: str) -> Path:
    """Where the results of ``table`` at ``scale`` lie."""
    return folder / f"{table}-{scale}.json"


def read(path: Path) -> dict[str, Entry]:
    """The rows of a results file by name; none where there is no file.

    Raises:
        ValueError: It is damaged, or not a results file.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        rows = content["rows"]
        whole = content["format"] == FORMAT and all(
            ROW_FIELDS <= row.keys() and all(RUN_FIELDS <= run.keys() for run in row["runs"]) for row in rows.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); restore it, or move it away to begin a new one. "
            f"Runs are kept apart from it and are not repeated."
        ) from error
    if not whole:
        raise ValueError(f"{path} is no results file of format {FORMAT}; move it away to begin a new one.")
    return rows


def write_results(path: Path, table: str, scale: str, rows: Mapping[str, Entry]) -> None:
    """Write the results file, rows in the order given."""
    content = {"format": FORMAT, "table": table, "scale": scale, "rows": rows}
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def with_stored_seeds(name: str, old: Entry | None, new: Entry, experiment: Experiment, path: Path) -> Entry:
    """``new`` with the runs of other seeds that the file has of the same row.

    Raises:
        ValueError: The file's row is of another experiment, budget or protocol.
    """
    if old is None:
        return new
    check_same(name, old, new, experiment, path)
    own = {run["seed"] for run in new["runs"]}
    runs = [*(run for run in old["runs"] if run["seed"] not in own), *new["runs"]]
    return new | {"runs": sorted(runs, key=lambda run: run["seed"])}


def already_measured(
    entries: Iterable[Entry], run: Mapping[str, Any], samples: int, reported: Set[str]
) -> dict[str, Any] | None:
    """What `measure` found of ``run`` before, for this table or for another that shares its rows.

    Args:
        run: What the comparison knows of it.
        samples, reported: How many were to be drawn, and the scores that are asked for.
    """
    for entry in entries:
        if entry["protocol"].get("samples") != samples or not reported <= entry["names"].keys():
            continue
        for other in entry["runs"]:
            # Processor seconds to the last digit tell one run from every other, a repetition of it included.
            if other["status"] == "finished" and run.items() <= other.items():
                return {key: (entry | other)[key] for key in ("names", "protocol", "last", "best")}
    return None


def check_same(name: str, old: Entry, new: Entry, experiment: Experiment, path: Path) -> None:
    """Refuse to put runs of two experiments into one row.

    Args:
        experiment: What ``new`` describes.
    Raises:
        ValueError: The identity of the experiment, the budget or the protocol differs; the message shows in what.
    """
    # A row stores no seed, for each of its runs has its own.
    changes = experiment.changes_from({"seed": experiment.seed} | old["experiment"])
    # The budget is no identity of an experiment, but runs of two budgets make no mean.
    shared = [key for key in ("budget", "protocol") if new.get(key) and old[key]]
    changes += difference(*({key: _without_place(entry[key]) for key in shared} for entry in (old, new)))
    if changes:
        listed = "\n  ".join(changes)
        raise ValueError(
            f"{path} holds {name} of another experiment:\n  {listed}\nmove the file away, or give another folder "
            f"(--results)."
        )


def _without_place(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` without the name of the real samples: their hash, which stays, tells the data."""
    return {key: value for key, value in content.items() if key != "reference"}


def read_all(folder: Path) -> dict[tuple[str, str], dict[str, Entry]]:
    """Every results file in ``folder``, by table and scale.

    Raises:
        ValueError: One of them is damaged.
    """
    from ganneal.reproduction import SCALES, TABLES

    return {
        (table, scale): rows for table in TABLES for scale in SCALES if (rows := read(file_of(folder, table, scale)))
    }
