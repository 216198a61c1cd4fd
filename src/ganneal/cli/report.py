"""`ganneal report`: one self-contained HTML page of a run, a comparison, or several runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ganneal.cli.help import help_of
from ganneal.cli.options import PlaceOption


@dataclass(frozen=True)
class ReportOptions:
    """Write one HTML file that opens offline: samples over time, curves, schedule, verdicts, how it was made."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    """One run directory, one comparison directory, or several run directories to see side by side."""
    out: Path | None = None
    """The page; left out, it is report.html in the one directory."""
    data: PlaceOption = PlaceOption()
    """Where the data of one run lies now; left out, it is looked for where it was, and where it lay from the run."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return help_of(ReportOptions, "report")


def main(arguments: Sequence[str]) -> None:
    """Parse, write, and say where the page is."""
    options = tyro.cli(ReportOptions, args=list(arguments), prog="ganneal report")
    from ganneal.report import write_report

    path = write_report(options.runs, options.out, data_path=options.data.path)
    print(f"report, {path.stat().st_size / 1e6:.1f} MB: {path}")
