"""`ganneal reproduce`: the rows of a published table, run and put beside what was reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command, say
from ganneal.cli.compare import seeds_of
from ganneal.cli.fields import ARGUMENT, Typed
from ganneal.cli.help import aligned_table as table_of
from ganneal.comparison import Executor, LocalProcesses
from ganneal.machine import cores
from ganneal.metrics.extractors import EXTRACTORS
from ganneal.registry import lookup
from ganneal.reproduction import ALIASES, SCALES, TABLES, Table, results
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.distances import DISTANCE_ROWS, TITLE, distances_table
from ganneal.reproduction.documents import write_documents
from ganneal.reproduction.plan import Planned, chosen_rows, planned, seconds
from ganneal.reproduction.running import check_extractor, row_identity, run_rows
from ganneal.reproduction.scales import Scale
from ganneal.training.interruption import Interrupted
from ganneal.wording import duration

PAGE = "reproduction.md"
DISTANCES = "table1"
"""The table that is measured on the data alone."""


@dataclass(frozen=True)
class ReproduceCommand(Command):
    """Run the rows of a published table through `ganneal compare`, equal in real images, measure them, and write
    results/SCALE-DATA-FAMILY.json and the page of all tables. The same command goes on where it was stopped."""

    usage = (
        "                       list tables and scales",
        "TABLE --scale SCALE [options]",
        "table1 [--data NAME=PATH...]   measure distances, train nothing",
        "page                   write the page again from all results",
    )

    table: Annotated[str | None, ARGUMENT] = None
    scale: Annotated[str | None, Typed(names=tuple(SCALES))] = None
    """Size of the networks and number of real images; needed for a table."""
    plan: bool = False
    """Print what would run, what is reduced and how long it takes; run nothing."""
    rows: Annotated[tuple[str, ...], Typed(value="ROW")] = ()
    """Only these: DATASET/ARM or ARM, * for anything."""
    seeds: Annotated[str, Typed(value="N")] = "1"
    """Number of seeds, 0 to N-1, or a list as 0,3,7."""
    data: Annotated[tuple[str, ...], Typed(value="NAME=PATH")] = ()
    """Where data sets lie."""
    extractor: Annotated[str | None, Typed(names=tuple(EXTRACTORS))] = None
    """Network whose features are compared, in place of the scale's."""
    jobs: int | None = None
    """Runs at once on this machine; left out, as many as it has cores."""
    out: Annotated[Path, Typed(value="DIR")] = Path("runs/reproduce")
    """Where the runs go."""
    results: Annotated[Path, Typed(value="DIR")] = Path("results")
    """Where the results go."""
    page: Annotated[Path | None, Typed(value="FILE")] = None
    """The page; left out, docs/reproduction.md, or reproduction.md in --results where there is no docs."""

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The tables, and the sets whose place can be told."""
        names = {"TABLE": ", ".join([*TABLES, *ALIASES]), "NAME": ", ".join(PUBLISHED_DATA)}
        return {"tables, and data sets": table_of(names)}

    def __call__(self, typed: str) -> None:
        """Run or print."""
        if self.table is None:
            if self != ReproduceCommand():
                raise ValueError("the table must come first: ganneal reproduce TABLE --scale SCALE [options].")
            print(_listed())
        elif self.table == "page":
            self._only("results", "page")
            write_documents(TABLES, results.read_all(self.results), self._page_file())
            print(self._page_file())
        elif self.table == DISTANCES:
            self._only("data")
            print(f"{TITLE}\n\n{distances_table(_paths(self.data))}", end="")
        else:
            self._reproduce(typed)

    def _only(self, *taken: str) -> None:
        """Refuse other options than those in ``taken``."""
        given = [f.name for f in fields(self) if f.name not in ("table", *taken) and getattr(self, f.name) != f.default]
        if given:
            allowed = ", ".join(f"--{name}" for name in taken)
            raise ValueError(f"--{given[0]} is not for {self.table}, which takes {allowed} only; leave it out.")

    def _page_file(self) -> Path:
        if self.page is not None:
            return self.page
        return Path("docs") / PAGE if Path("docs").is_dir() else self.results / PAGE

    def _reproduce(self, typed: str) -> None:
        name = ALIASES.get(self.table or "", self.table or "")
        table = lookup("table", TABLES, name)
        if self.scale is None:
            raise ValueError(f"--scale must be one of {', '.join(SCALES)}; cpu is the smallest.")
        scale, seeds = lookup("scale", SCALES, self.scale), seeds_of(self.seeds)
        extractor = None if self.extractor is None else lookup("extractor", EXTRACTORS, self.extractor)
        executor, paths = LocalProcesses(cores() if self.jobs is None else self.jobs), _paths(self.data)
        rows = [planned(row, scale, paths, extractor) for row in chosen_rows(table, self.rows)]
        if self.plan:
            print(shown_plan(table, rows, scale))
            return
        if all(one.experiment is None for one in rows):
            listed = "\n  ".join(f"{one.row.name}: {one.why}" for one in rows)
            raise ValueError(f"no row of {table.title} can be run:\n  {listed}")
        check_extractor(rows, scale)
        _run(self.scale, rows, seeds, (self.out / self.scale, self.results, self._page_file()), executor, typed)


def _listed() -> str:
    width = max(map(len, TABLES))
    lines = [f"  {name:<{width}}  {table.title} ({len(table.rows)} rows)" for name, table in TABLES.items()]
    wide = max(map(len, SCALES))
    scales = [f"  {name:<{wide}}  {scale.text}" for name, scale in SCALES.items()]
    lines.append(f"  {DISTANCES:<{width}}  {TITLE} ({len(DISTANCE_ROWS)} rows, nothing is trained)")
    return "\n".join(["tables:", *lines, "", "scales:", *scales, "", "ganneal reproduce --help says more."])


def _paths(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--data takes NAME=PATH, got {text!r}, as lsun-church=/data/church_outdoor_train_lmdb.")
        lookup("data set", PUBLISHED_DATA, name)
        found[name] = path
    return found


def shown_plan(table: Table, rows: Sequence[Planned], scale: Scale) -> str:
    """The rows with their budgets and estimated times, and what is reduced."""
    lines, total, unknown = [table.title, ""], 0.0, 0
    width = max(len(one.row.name) for one in rows)
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in rows:
        if one.experiment is None:
            lines.append(f"  {one.row.name:<{width}}  not run: {one.why}")
            continue
        reduction = scale.families[one.row.family]
        groups.setdefault(tuple(one.reduced_by()), []).append(one.row.name)
        if one.row.like is not None:
            lines.append(f"  {one.row.name:<{width}}  the processor seconds of {one.row.like}, seed by seed")
            continue
        if reduction.cost is None:
            unknown += 1
            time = "time not measured"
        else:
            own = seconds(one.experiment, reduction.cost)
            total, time = total + own, f"about {duration(own)} of one core"
        lines.append(f"  {one.row.name:<{width}}  {reduction.num_real:,} real images, {time}")
    lines += ["", f"in all about {duration(total)} of one core for each seed" if total else ""]
    lines += [f"and {unknown} rows whose time was not measured"] if unknown else []
    for changes, names in groups.items():
        lines += ["", f"changed against the published settings in {', '.join(names)}:"]
        lines += [f"  {change}" for change in changes] or ["  nothing"]
    return "\n".join(lines)


def _run(
    scale_name: str,
    rows: Sequence[Planned],
    seeds: Sequence[int],
    folders: tuple[Path, Path, Path],
    executor: Executor,
    command: str,
) -> None:
    out, results_folder, page_file = folders
    ledger = results.read_all(results_folder)[scale_name]
    files = {one.row.name: results.ledger_file(results_folder, scale_name, one.row) for one in rows}
    for one in rows:
        if one.experiment is not None and (kept := ledger.get(one.row.name)) is not None:
            results.check_same(one.row.name, kept, row_identity(one), one.experiment, files[one.row.name])

    def written(one: Planned, entry: results.Entry) -> None:
        assert one.experiment is not None
        row, file = one.row.name, files[one.row.name]
        found = results.read(file)
        found[row] = results.with_stored_seeds(row, found.get(row), entry, one.experiment, file)
        results.write_results(file, found)

    for one in rows:
        if one.experiment is None:
            say(f"{one.row.name}: not run, {one.why}")
    try:
        run_rows(
            rows, SCALES[scale_name], seeds, out, executor, ledger=ledger, written=written, say=say, command=command
        )
    except Interrupted as stop:
        kept_in = f"stopped; finished runs are kept in {out}. The same command goes on."
        raise Interrupted(stop.signum, kept_in) from None
    finally:
        write_documents(TABLES, results.read_all(results_folder), page_file)
    print(", ".join(map(str, [*dict.fromkeys(files.values()), page_file])))
