"""Everything that the page "Does nested annealing help?" rests on, run in a fixed order, the most decisive first.

Each line of `STAGES` is a call of ``ganneal reproduce``. Runs that the ledger in ``results/`` has are not repeated, so
this may be stopped at any time and started again, on another machine too.
"""

import argparse
import sys
from collections.abc import Iterator

from ganneal.cli import main as ganneal

LOSSES = ("original", "hinge", "lsgan", "wgan")
CONTROLS = ("cts", "nts-{n}", "nats-{n}", "matched-step-{n}", "long-step-{n}", "cts-time-{n}")
LEVELS = (10, 5)
SIGNALS = 128
"""A process that a signal ended has a status above this."""


def _table_nine(losses: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    for loss in losses:
        for levels in LEVELS:
            yield "table9", [f"{loss}-{name.format(n=levels)}" for name in CONTROLS]


def _table_twelve(levels: int) -> tuple[str, list[str]]:
    return "table12", [f"{loss}-{name}-{levels}" for loss in LOSSES for name in ("nts", "nats", "matched-step")]


def stages() -> Iterator[tuple[str, list[str], str]]:
    """Table, rows and number of seeds of each call, in order; no rows are all of them."""
    rest = [*_table_nine(LOSSES[1:]), _table_twelve(15), _table_twelve(20)]
    reversed_original, reversed_cfg = ("table10", ["original-*"]), ("table10", ["cfg-*"])
    yield from ((*stage, "1") for stage in [*_table_nine(LOSSES[:1]), *rest, reversed_original])
    for seeds in ("2", "3"):
        yield from ((*stage, seeds) for stage in [*_table_nine(LOSSES), reversed_original])
    yield (*reversed_cfg, "3")
    for table in ("table8", "table7", "table2", "table11", "table10", "conjugate-gradient"):
        yield table, [], "1"


def main(arguments: list[str]) -> int:
    """Run the stages up to the first that a signal ends; the greatest status of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/evidence", help="where runs go (default runs/evidence)")
    parser.add_argument("--results", default="results", help="where the ledger lies (default results)")
    parser.add_argument("--data", nargs="*", default=[], help="where sets lie, NAME=PATH, as for ganneal reproduce")
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    given, worst = parser.parse_args(arguments), 0
    for table, rows, seeds in stages():
        chosen = ["--rows", *rows] if rows else []
        places = ["--data", *given.data] if given.data else []
        command = ["reproduce", table, "--scale", "cpu", *chosen, "--seeds", seeds, "--jobs", "1", *places]
        print("ganneal", *command, flush=True)
        if given.list:
            continue
        status = ganneal([*command, "--out", given.out, "--results", given.results])
        if status > SIGNALS:  # everything that ran has been saved
            return status
        worst = max(worst, status)  # data that one table lacks keeps no other from running
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
