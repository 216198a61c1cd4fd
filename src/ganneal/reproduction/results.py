"""The ledger: what came of every run at one scale, a file for each data set and family, an entry for each row.

A finished run needs nothing else: tables, pages and runs to come are made from these files alone. An entry holds the
experiment and, for each seed, the outcome, the curve, and what the numbers depend on: commit, machine, threads.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ganneal.comparison.job import SEAL, seal
from ganneal.experiment import Experiment
from ganneal.reproduction import SCALES, TABLES
from ganneal.reproduction.table import TableRow
from ganneal.storage.atomic import write_bytes
from ganneal.storage.encoding import difference, encode

LEDGER_FORMAT = 2

Entry = dict[str, Any]


class MeasuredBy(NamedTuple):
    """The network whose features a row is measured by, as its protocol names it."""

    extractor: str
    sha256: str | None
    """Hash of its weights; None for one without."""


def ledger_file(folder: Path, scale: str, row: TableRow) -> Path:
    """File for the results of ``row`` at ``scale``. Rows of one data set and family share a file."""
    return folder / f"{scale}-{row.study}.json"


def read(path: Path) -> dict[str, Entry]:
    """The entries of a ledger file by the name of the row; none where there is no file.

    Raises:
        ValueError: It is damaged, or not a ledger file.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        known = content["format"] == LEDGER_FORMAT
        # Entries of another format are not opened: their fields mean something else.
        rows = {name: _opened(name, row) for name, row in content["rows"].items()} if known else {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); restore it, or move it away to begin a new one. "
            f"Runs are kept apart from it and are not repeated."
        ) from error
    if not known:
        raise ValueError(f"{path} is no results file of format {LEDGER_FORMAT}; move it away to begin a new one.")
    return rows


def _opened(name: str, sealed: Entry) -> Entry:
    """The entry without its seal, which must be that of its content."""
    row = {key: value for key, value in sealed.items() if key != SEAL}
    # Written out again from what was read, an entry has the same text: order of keys and floats both survive `json`.
    if sealed[SEAL] != seal(row):
        raise ValueError(f"{name} is not what was written")
    return row


def write_results(path: Path, rows: Mapping[str, Entry]) -> None:
    """Write the ledger file, rows by name."""
    # In order of names, so that two versions of a ledger differ where their runs do.
    sealed = {name: rows[name] | {SEAL: seal(rows[name])} for name in sorted(rows)}
    content = {"format": LEDGER_FORMAT, "rows": sealed}
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def with_stored_seeds(name: str, old: Entry | None, new: Entry, experiment: Experiment, path: Path) -> Entry:
    """``new`` with the runs of other seeds that the ledger has of the same row.

    Raises:
        ValueError: The ledger's row is of another experiment, budget or protocol.
    """
    if old is None:
        return new
    check_same(name, old, new, experiment, path)
    # A run that was made again takes the place of its seed's earlier one.
    own = {run["outcome"]["seed"] for run in new["runs"]}
    runs = [*(run for run in old["runs"] if run["outcome"]["seed"] not in own), *new["runs"]]
    # A row of which every run so far diverged has no protocol yet, nor has a run that did.
    kept = {key: new[key] or old[key] for key in ("names", "protocol")}
    return new | kept | {"runs": sorted(runs, key=lambda run: run["outcome"]["seed"])}


def known_outcomes(entry: Entry | None, scores: set[str], samples: int) -> dict[int, dict[str, Any]]:
    """Outcomes by seed that need no other run: all but failed ones, where every one of ``scores`` was measured.

    Args:
        entry: None knows nothing.
        samples: How many were to be drawn.
    """
    if entry is None:
        return {}
    # The protocol is the row's: with another number of samples all its runs are measured anew.
    measured = scores <= entry["names"].keys() and entry["protocol"].get("samples") == samples
    return {
        run["outcome"]["seed"]: run["outcome"]
        for run in entry["runs"]
        # One without values has none to measure: it diverged, or its samples are no numbers.
        if run["outcome"]["status"] != "failed" and (measured or not run["last"])
    }


def check_same(name: str, old: Entry, new: Entry, experiment: Experiment, path: Path) -> None:
    """Refuse to put runs of two experiments into one row.

    Args:
        experiment: What ``new`` describes.
    Raises:
        ValueError: The identity of the experiment, the budget or the protocol differs; the message shows in what.
    """
    # A row stores no seed, for each of its runs has its own.
    changes = experiment.changes_from({"seed": experiment.seed} | _completed(old["experiment"], experiment))
    # The budget is no identity of an experiment, but runs of two budgets make no mean.
    shared = [key for key in ("budget", "like", "protocol") if new.get(key) and old[key]]
    changes += difference(*({key: _without_place(entry[key]) for key in shared} for entry in (old, new)))
    if changes:
        listed = "\n  ".join(changes)
        raise ValueError(
            f"{path} holds {name} of another experiment:\n  {listed}\nmove the file away, or give another folder "
            f"(--results)."
        )


def check_features(name: str, old: Entry, features: MeasuredBy, path: Path) -> None:
    """Refuse to put values of other features into a row, or to take those it has for them.

    Raises:
        ValueError: The row was measured by another network.
    """
    protocol = old["protocol"]
    # A row whose runs have all diverged was measured by none.
    if protocol and features != (protocol["extractor"], protocol["extractor_sha256"]):
        raise ValueError(
            f"{path} holds {name} measured by {protocol['extractor']}, got {features.extractor}; leave --extractor "
            f"out, move the file away, or give another folder (--results)."
        )


def _completed(stored: Any, part: Any) -> Any:
    """``stored``, an `encode` of a part like ``part``, with the fields gained since at their defaults.

    Runs on disk are refused where a field is missing. The ledger outlives them: the default of a new field trains as
    was trained before there was the field.
    """
    if isinstance(stored, list) and isinstance(part, tuple | list):
        # What one of the two lists has beyond the other stays, to be shown as a difference.
        pairs = zip(stored, part, strict=False)
        return [_completed(old, new) for old, new in pairs] + stored[len(part) :]
    if not is_dataclass(part) or not isinstance(stored, dict) or stored.get("type") != type(part).__name__:
        return stored
    gained = {f.name: encode(f.default) for f in fields(part) if f.name not in stored and f.default is not MISSING}
    return gained | {key: _completed(value, getattr(part, key, None)) for key, value in stored.items()}


def _without_place(content: Any) -> Any:
    """``content`` without the name of the real samples: their hash, which stays, tells the data."""
    return {k: v for k, v in content.items() if k != "reference"} if isinstance(content, dict) else content


def read_all(folder: Path) -> dict[str, dict[str, Entry]]:
    """Every entry in ``folder`` by scale and name of the row.

    Raises:
        ValueError: A file is damaged.
    """
    rows = [row for table in TABLES.values() for row in table.all_rows]
    return {
        scale: {
            name: entry
            for file in dict.fromkeys(ledger_file(folder, scale, row) for row in rows)
            for name, entry in read(file).items()
        }
        for scale in SCALES
    }
