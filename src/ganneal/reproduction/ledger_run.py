"""Rows at a scale from plan to page: they run, each run enters the ledger as it ends, the documents follow."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ganneal.comparison import Executor
from ganneal.evaluation.stored import Say
from ganneal.reproduction import SCALES, TABLES, Table, results
from ganneal.reproduction.documents import write_documents
from ganneal.reproduction.plan import Planned
from ganneal.reproduction.running import check_extractor, row_identity, run_rows
from ganneal.training.interruption import Interrupted


class Places(NamedTuple):
    """Folders that a reproduction writes to."""

    runs: Path
    results: Path
    page: Path


def run_into_ledger(
    table: Table,
    rows: Sequence[Planned],
    scale_name: str,
    seeds: Sequence[int],
    places: Places,
    executor: Executor,
    *,
    say: Say,
    command: str,
) -> list[Path]:
    """Run the ``rows`` of ``table`` that can be run, equal in real images, and measure them; the same call goes on.

    Args:
        command: What a person typed to get here, for the record.
    Returns:
        The files of the ledger that the rows belong to, and the page.
    Raises:
        ValueError: No row can be run, or the ledger has a row of another experiment.
        FileNotFoundError: Weights of a network that measures are missing.
        Interrupted: A signal came; the runs that are in the ledger stay there.
    """
    _check_any(table, rows)
    features = check_extractor(rows, SCALES[scale_name])
    ledger = results.read_all(places.results)[scale_name]
    files = {one.row.name: results.ledger_file(places.results, scale_name, one.row) for one in rows}
    for one in rows:
        # Before anything trains: what cannot be written into the ledger would have run for nothing.
        if one.experiment is not None and (kept := ledger.get(one.row.name)) is not None:
            results.check_same(one.row.name, kept, row_identity(one), one.experiment, files[one.row.name])
            results.check_features(one.row.name, kept, features[one.row.name], files[one.row.name])

    def written(one: Planned, entry: results.Entry) -> None:
        assert one.experiment is not None
        row, file = one.row.name, files[one.row.name]
        # Read anew for each run, so that rows which entered the file in the meantime stay.
        found = results.read(file)
        found[row] = results.with_stored_seeds(row, found.get(row), entry, one.experiment, file)
        results.write_results(file, found)

    for one in rows:
        if one.experiment is None:
            say(f"{one.row.name}: not run, {one.why}")
    how = {"ledger": ledger, "written": written, "say": say, "command": command}
    try:
        run_rows(rows, SCALES[scale_name], seeds, places.runs, executor, **how)
    except Interrupted as stop:
        kept_in = f"stopped; finished runs are kept in {places.runs}. The same command goes on."
        raise Interrupted(stop.signum, kept_in) from None
    finally:
        # After an error or an interruption too: the page shows every run that is in the ledger.
        write_documents(TABLES, results.read_all(places.results), places.page)
    return [*dict.fromkeys(files.values()), places.page]


def _check_any(table: Table, rows: Sequence[Planned]) -> None:
    if all(one.experiment is None for one in rows):
        listed = "\n  ".join(f"{one.row.name}: {one.why}" for one in rows)
        raise ValueError(f"no row of {table.title} can be run:\n  {listed}")
