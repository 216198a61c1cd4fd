"""`ganneal reproduce`: the rows of a published table, run and put beside what was reported."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ganneal.cli.compare import seeds_of
from ganneal.cli.configure import take_flag, take_option
from ganneal.comparison import Executor, LocalProcesses
from ganneal.comparison.executors import cores
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig
from ganneal.registry import lookup
from ganneal.reproduction import ALIASES, SCALES, TABLES, Table, results
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.distances import DISTANCE_ROWS, TITLE, distances_table
from ganneal.reproduction.page import reproduction_page
from ganneal.reproduction.plan import Planned, chosen_rows, planned, seconds
from ganneal.reproduction.running import check_extractor, row_identity, run_rows
from ganneal.reproduction.scales import Scale
from ganneal.storage.atomic import write_bytes
from ganneal.training.interruption import Interrupted
from ganneal.wording import duration

PAGE = "reproduction.md"
DISTANCES = "table1"
"""The table that is measured on the data alone."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return f"""usage: ganneal reproduce                        list tables and scales
       ganneal reproduce TABLE --scale SCALE [options]
       ganneal reproduce table1 [--data NAME=PATH...]   measure distances, train nothing
       ganneal reproduce page                   write the page again from all results

Run the rows of a published table through `ganneal compare`, equal in real images, measure them, and write
results/SCALE-DATA-FAMILY.json and the page of all tables. The same command goes on where it was stopped.

tables: {", ".join([*TABLES, *ALIASES])}
scales: {", ".join(SCALES)}

options:
  --scale SCALE         needed
  --plan                print what would run, what is reduced and how long it takes; run nothing
  --rows ROW...         only these: DATASET/ARM or ARM, * for anything
  --seeds N             seeds 0..N-1 (default 1), or a list as 0,3,7
  --data NAME=PATH...   where a data set lies: {", ".join(PUBLISHED_DATA)}
  --extractor NAME      network whose features are compared, in place of the scale's
  --jobs N              runs at once on this machine (default: the cores)
  --out DIR             where the runs go (default runs/reproduce)
  --results DIR         where the results go (default results)
  --page FILE           the page (default docs/{PAGE}, or {PAGE} in --results where there is no docs)"""


def _listed() -> str:
    width = max(map(len, TABLES))
    lines = [f"  {name:<{width}}  {table.title} ({len(table.rows)} rows)" for name, table in TABLES.items()]
    wide = max(map(len, SCALES))
    scales = [f"  {name:<{wide}}  {scale.text}" for name, scale in SCALES.items()]
    lines.append(f"  {DISTANCES:<{width}}  {TITLE} ({len(DISTANCE_ROWS)} rows, nothing is trained)")
    return "\n".join(["tables:", *lines, "", "scales:", *scales, "", "ganneal reproduce --help says more."])


def _take_several(rest: list[str], option: str) -> list[str]:
    """The values after ``option`` up to the next option, removed from ``rest``."""
    if option not in rest:
        return []
    start = rest.index(option)
    end = next((i for i in range(start + 1, len(rest)) if rest[i].startswith("--")), len(rest))
    values = rest[start + 1 : end]
    if not values:
        raise ValueError(f"{option} needs a value.")
    del rest[start:end]
    return values


def _paths(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--data takes NAME=PATH, got {text!r}, as lsun-church=/data/church_outdoor_train_lmdb.")
        lookup("data set", PUBLISHED_DATA, name)
        found[name] = path
    return found


def _jobs(text: str | None) -> Executor:
    if text is not None and not text.isdecimal():
        raise ValueError(f"--jobs must be a whole number, got {text!r}.")
    return LocalProcesses(int(text) if text is not None else cores())


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


def write_page(results_folder: Path, path: Path) -> None:
    """Write the page from every results file."""
    write_bytes(path, reproduction_page(TABLES, results.read_all(results_folder)).encode())


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
        write_page(results_folder, page_file)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

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
    print(", ".join(map(str, [*dict.fromkeys(files.values()), page_file])))


def _page_file(given: str | None, results_folder: Path) -> Path:
    if given is not None:
        return Path(given)
    return Path("docs") / PAGE if Path("docs").is_dir() else results_folder / PAGE


def _extractor(name: str | None) -> ExtractorConfig | None:
    return None if name is None else lookup("extractor", EXTRACTORS, name)


def main(arguments: Sequence[str]) -> None:
    """Parse, run or print."""
    if not arguments:
        print(_listed())
        return
    given, *rest = arguments
    if given.startswith("-"):
        raise ValueError(f"the table comes first, got {given!r}: ganneal reproduce TABLE --scale SCALE [options].")
    results_folder = Path(take_option(rest, "--results") or "results")
    page_file = _page_file(take_option(rest, "--page"), results_folder)
    if given == "page":
        _refuse(rest)
        write_page(results_folder, page_file)
        print(page_file)
        return
    if given == DISTANCES:
        paths = _paths(_take_several(rest, "--data"))
        _refuse(rest)
        print(f"{TITLE}\n\n{distances_table(paths)}", end="")
        return
    name = ALIASES.get(given, given)
    table = lookup("table", TABLES, name)
    scale_name = take_option(rest, "--scale")
    if scale_name is None:
        raise ValueError(f"--scale must be one of {', '.join(SCALES)}; cpu is the smallest.")
    scale = lookup("scale", SCALES, scale_name)
    patterns, paths = _take_several(rest, "--rows"), _paths(_take_several(rest, "--data"))
    extractor, seeds = _extractor(take_option(rest, "--extractor")), seeds_of(take_option(rest, "--seeds") or "1")
    executor, out = _jobs(take_option(rest, "--jobs")), take_option(rest, "--out") or "runs/reproduce"
    only_plan = take_flag(rest, "--plan")
    _refuse(rest)
    rows = [planned(row, scale, paths, extractor) for row in chosen_rows(table, patterns)]
    if only_plan:
        print(shown_plan(table, rows, scale))
        return
    if all(one.experiment is None for one in rows):
        listed = "\n  ".join(f"{one.row.name}: {one.why}" for one in rows)
        raise ValueError(f"no row of {table.title} can be run:\n  {listed}")
    check_extractor(rows, scale)
    folders = Path(out) / scale_name, results_folder, page_file
    _run(scale_name, rows, seeds, folders, executor, shlex.join(["ganneal", "reproduce", *arguments]))


def _refuse(rest: Sequence[str]) -> None:
    if rest:
        raise ValueError(f"unknown: {' '.join(rest)}; ganneal reproduce --help lists the options.")
