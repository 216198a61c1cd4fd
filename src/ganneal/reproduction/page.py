"""The page of all tables: reported beside measured, whether orders agree, what differs and what was not run."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ganneal.comparison.paired import FAILURE_RULE
from ganneal.comparison.results import has_ratio, summary
from ganneal.data.tools.download import DOWNLOADS
from ganneal.reproduction.claims import VERDICTS, CheckedClaim, check_claims, claims, questions, stands
from ganneal.reproduction.datasets import PUBLISHED_DATA, needed
from ganneal.reproduction.evidence_figures import LEVELS_FIGURE, SCALE_SHOWN, figure_contents
from ganneal.reproduction.results import Entry
from ganneal.reproduction.scales import SCALES
from ganneal.reproduction.table import BETTER, Table, TableRow
from ganneal.wording import markdown_table, number, span

REPRODUCTION_HEAD = """# Reproduction

Every row of the tables below is an experiment that one command runs:

    ganneal reproduce                                    # lists tables and scales
    ganneal reproduce table9 --scale cpu --plan    # what would run, what is reduced, how long it takes
    ganneal reproduce table9 --scale cpu --jobs 1  # the same command goes on where it was stopped

The command trains all rows of a table on the same number of real images and measures them. It writes
`results/SCALE-DATA-FAMILY.json` and this page. Finished runs need only those files.

**Compare orders, not values.** At small scales networks, budgets and compared features are not the paper's. An order
of two rows *agrees* or *disagrees* if the 95 % t interval of the paired differences over seeds leaves out 0 and p is
at most 0.05. p is corrected by Holm's procedure for all orders of the table in one score. Else the order is
*undecided*. One seed decides nothing.

**Values.** A value is a mean over seeds with that interval. The last weights decide. "Best" are the weights of the
best evaluation during training, measured on fresh samples like the last. A `?` marks reported digits that had to be
repaired in the source at hand. Controls of ours were never published, so no order of theirs is reported. The last
column of the next table counts our own questions about them; [Does nested annealing
help?](does-nested-annealing-help.md) has the answers.
"""


def reproduction_page(tables: Mapping[str, Table], found: Mapping[str, Mapping[str, Entry]]) -> str:
    """The Markdown page of ``tables`` with the results ``found``, by scale and name of the row."""
    parts = [REPRODUCTION_HEAD, _scales(), _overview(tables, found)]
    parts += [_section(name, tables, found) for name in tables]
    return "\n".join(parts)


def _scales() -> str:
    rows = [[f"`{name}`", scale.text, f"{scale.samples:,}"] for name, scale in SCALES.items()]
    return markdown_table(["scale", "is", "samples measured"], rows) + "\n"


def _of_table(table: Table, found: Mapping[str, Entry]) -> dict[str, Entry]:
    return {row.name: found[row.name] for row in table.all_rows if row.name in found}


def _overview(tables: Mapping[str, Table], found: Mapping[str, Mapping[str, Entry]]) -> str:
    rows = []
    for name, table in tables.items():
        for scale in SCALES:
            entries = _of_table(table, found.get(scale, {}))
            found_here = [each.verdict for each in check_claims(claims(table), entries)]
            counts = [str(found_here.count(verdict)) for verdict in VERDICTS]
            answers = [one.verdict for group in questions(table) for one in check_claims(group, entries)]
            counts.append(" / ".join(str(answers.count(verdict)) for verdict in VERDICTS) if answers else "–")
            # Scales at which nothing has run are left out, but for the last, so that every table has a line.
            if entries or scale == list(SCALES)[-1]:
                run = sum(row.name in entries for row in table.rows)
                rows.append([f"`{name}`", f"`{scale}`", f"{run} of {len(table.rows)}", *counts])
    head = ["table", "scale", "rows run", "orders agree", "disagree", "undecided", "not run", "our questions, alike"]
    return markdown_table(head, rows) + "\n"


def _section(name: str, tables: Mapping[str, Table], found: Mapping[str, Mapping[str, Entry]]) -> str:
    table = tables[name]
    parts = [f"## {table.title}\n", f"`ganneal reproduce {name} --scale SCALE`. Source: {table.source}.\n"]
    parts.append("\n".join(f"- {note}" for note in table.notes) + "\n")
    by_scale = {scale: entries for scale in SCALES if (entries := _of_table(table, found.get(scale, {})))}
    parts += [_at_scale(table, scale, entries) for scale, entries in by_scale.items()]
    parts += _pictures(name, figure_contents(tables, found.get(SCALE_SHOWN, {})))
    # Nothing has run: what was reported, and what each row lacks.
    if not by_scale:
        scores = table.scores
        rows = [[row.label, _data(row), *_reported(row, scores), _not_run(row)] for row in table.rows]
        head = ["row", "data", *(f"{score}, reported" for score in scores), "measured"]
        parts.append(markdown_table(head, rows) + "\n")
    return "\n".join(parts)


def _at_scale(table: Table, scale: str, entries: Mapping[str, Entry]) -> str:
    # Not every reported column has a counterpart: the mean of a sweep's ten best is over runs that nobody makes here.
    measured = [score for score in table.scores if score in BETTER]
    # What stands in the place of FID is named by its features: only those of the 2015 Inception network make an FID.
    names = {score: _name(score, entries.values()) for score in measured}
    head = ["row", "data", *(f"{score}, reported" for score in table.scores)]
    head += [f"{names[score]}, {which}" for score in measured for which in ("last", "best")]
    head += ["last/best in training", "seeds", "real images", "G updates", "CPU s", "share of a core"]
    rows = []
    for row in table.all_rows:
        own = [row.label, _data(row), *_reported(row, table.scores)]
        entry = entries.get(row.name)
        rows.append(
            own + (_measured(entry, measured) if entry else [_not_run(row), *[""] * (len(head) - len(own) - 1)])
        )
    shown = markdown_table(head, rows) + "\n"
    parts = [f"### {table.title.partition('.')[0]} at `{scale}`\n", shown, _protocol(entries)]
    parts.append(_orders(table, check_claims(claims(table), entries)) + f"\n{FAILURE_RULE}\n")
    # Those that nobody has run would be a page of dashes.
    asked = [one for group in questions(table) for one in check_claims(group, entries)]
    if answered := [one for one in asked if one.verdict != "not run"]:
        parts.append(f"Our questions with both rows run, {len(answered)} of {len(asked)}:\n")
        parts.append(_orders(table, answered))
    return "\n".join(parts)


def _pictures(table: str, contents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The curves of each loss under Table IX, the distance against N_d under Table XII."""
    mine = [name for name in contents if (name == LEVELS_FIGURE) == (table == "table12")]
    alt = "Distance against real images and processor seconds" if table == "table9" else "Distance against N_d"
    return [f"![{alt}]({name})\n" for name in mine] if table in ("table9", "table12") else []


def _name(score: str, entries: Any) -> str:
    """The name of what was measured in place of ``score``."""
    names = dict.fromkeys(entry["names"][score] for entry in entries if score in entry["names"])
    return " or ".join(names) or score


def _data(row: TableRow) -> str:
    return PUBLISHED_DATA[row.dataset].title


def _reported(row: TableRow, scores: Sequence[str]) -> list[str]:
    return [row.reported[score].text if score in row.reported else "–" for score in scores]


def _not_run(row: TableRow) -> str:
    return "not run" if row.dataset in DOWNLOADS else f"not run: {needed(row.dataset)}"


def _measured(entry: Entry, scores: Sequence[str]) -> list[str]:
    runs = entry["runs"]
    # The number of seeds has a column of its own.
    values = [span(summary(stands(entry, s, w))).removesuffix(" (1 seed)") for s in scores for w in ("last", "best")]
    outcomes = [run["outcome"] for run in runs]
    finished = [one for one in outcomes if one["status"] == "finished"]
    # Of the evaluations in training, which share one draw of latents: the decay is the generator's, not the draw's.
    ratios = [one["last_seen"] / one["best_seen"] for one in finished if has_ratio(one)]
    trouble = [f"{one['seed']} {one['status']}" for one in outcomes if one["status"] != "finished"]
    seeds = f"{len(runs)} ({','.join(trouble)})" if trouble else str(len(runs))
    # Runs that diverged count here: they used what they used.
    clocks = [f"{fmean(one[key] for one in outcomes):,.0f}" if runs else "–" for key in ("num_real", "g_updates")]
    return [
        *values,
        f"{fmean(ratios):.2f}" if ratios else "–",
        seeds,
        *clocks,
        number(fmean(one["cpu_seconds"] for one in outcomes)) if runs else "–",
        ", ".join(f"{run['core_share']:.2f}" for run in runs if run["core_share"] is not None) or "–",
    ]


def _protocol(entries: Mapping[str, Entry]) -> str:
    """The meaning of the values above, and the rows' differences from the published settings."""
    # Rows that were measured differently stand in one table with both protocols named, and are not compared.
    protocols = {_said(entry["protocol"]) for entry in entries.values() if entry["protocol"]}
    runs = [run for entry in entries.values() for run in entry["runs"]]
    # Bits depend on the version of torch and the number of threads, processor seconds on the machine.
    machines = dict.fromkeys(_machine(run["provenance"]) for run in runs)
    commits = sorted({str(run["provenance"].get("commit"))[:8] for run in runs})
    dates = sorted({run["date"] for run in runs})
    lines = [f"- Measured: {'; '.join(sorted(protocols)) or 'nothing'}."]
    commands = list(dict.fromkeys(run["command"] for run in runs))
    more = f" and {len(commands) - 1} more calls" if len(commands) > 1 else ""
    lines.append(
        f"- Made by `{commands[0]}`{more}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, at commit "
        f"{', '.join(commits)}, {'; '.join(machines)}. Equal in real images, not in time, but for rows in the time of "
        f"another."
    )
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, entry in entries.items():
        # The published settings are the experiments of the scale `paper`; rows that differ from them alike share a
        # line.
        groups.setdefault(tuple(entry["reduced_by"]), []).append(name.partition("/")[2])
    lines += [f"- Changed against the published settings ({_rows(own)}): {_changes(c)}." for c, own in groups.items()]
    return "\n".join(lines) + "\n"


def _machine(made: Mapping[str, Any]) -> str:
    """The machine that ran it."""
    hardware = made.get("accelerator") or made.get("processor")
    return f"torch {made.get('torch')}, {made.get('threads')} thread(s), {hardware}"


def _said(protocol: Mapping[str, Any]) -> str:
    score = f", the score of {protocol['score']['extractor']}" if "score" in protocol else ""
    return (
        f"{protocol['samples']:,} samples against {protocol['real_samples']:,} images of {protocol['reference']}, "
        f"features of {protocol['extractor']}{score}, sampler {protocol['sampler']}"
    )


def _rows(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _changes(changes: Sequence[str]) -> str:
    return "; ".join(f"`{change}`" for change in changes) or "nothing"


def _orders(table: Table, checked: Sequence[CheckedClaim]) -> str:
    rows = []
    for each in checked:
        claim = each.claim
        better, worse = (table.row(name) for name in (claim.better, claim.worse))
        order = f"{better.label} better than {worse.label}"
        printed = "–" if claim.reported is None else " / ".join(claim.reported)
        rows.append([_data(better), order, claim.score, printed, f"**{each.verdict}**", each.why or "–"])
    return markdown_table(["data", "order", "score", "reported", "here", "why"], rows) + "\n"
