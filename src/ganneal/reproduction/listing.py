"""Tables, scales and planned rows as text for a person."""

from collections.abc import Sequence

from ganneal.reproduction import SCALES, TABLES, Table
from ganneal.reproduction.distances import DISTANCE_ROWS, TITLE
from ganneal.reproduction.plan import Planned, seconds
from ganneal.reproduction.scales import Scale
from ganneal.wording import duration

DISTANCES = "table1"
"""The table that is measured on the data alone."""


def tables_and_scales() -> str:
    """Every table with its title and number of rows, and every scale."""
    width = max(map(len, TABLES))
    lines = [f"  {name:<{width}}  {table.title} ({len(table.rows)} rows)" for name, table in TABLES.items()]
    wide = max(map(len, SCALES))
    scales = [f"  {name:<{wide}}  {scale.text}" for name, scale in SCALES.items()]
    lines.append(f"  {DISTANCES:<{width}}  {TITLE} ({len(DISTANCE_ROWS)} rows, nothing is trained)")
    return "\n".join(["tables:", *lines, "", "scales:", *scales, "", "ganneal reproduce --help says more."])


def planned_rows(table: Table, rows: Sequence[Planned], scale: Scale) -> str:
    """The rows with their budgets and estimated times, and what is reduced."""
    lines, total, unknown = [table.title, ""], 0.0, 0
    # The total is of rows with a measured cost; how many have none is said beside it.
    width = max(len(one.row.name) for one in rows)
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in rows:
        if one.experiment is None:
            lines.append(f"  {one.row.name:<{width}}  not run: {one.why}")
            continue
        reduction = scale.families[one.row.family]
        # Rows of a family are mostly reduced alike: the changes are listed once, with the rows they are of.
        groups.setdefault(tuple(one.reduced_by()), []).append(one.row.name)
        # What such a row takes is another's time, which the ledger knows and no estimate does.
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
