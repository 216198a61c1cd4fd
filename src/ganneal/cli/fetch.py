"""`ganneal fetch`: download weights that cannot ship with ganneal, checked by their SHA-256."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ganneal.cli.help import help_of


@dataclass(frozen=True)
class FetchOptions:
    """Download the weights that FID, KID and the Inception Score are defined by (96 MB)."""

    what: Annotated[Literal["inception"], tyro.conf.Positional]
    """What to download."""
    out: str | None = None
    """File to write; left out, it goes where `ganneal evaluate` looks by itself."""
    url: str | None = None
    """A mirror to download from; whatever comes is checked."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return help_of(FetchOptions, "fetch")


def main(arguments: Sequence[str]) -> None:
    """Parse, download, check and write."""
    options = tyro.cli(FetchOptions, args=list(arguments), prog="ganneal fetch")
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from ganneal.metrics.extractors.inception_file import FID_FILE, fetch_inception

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("inception", total=FID_FILE.size)
        out = None if options.out is None else Path(options.out).expanduser()
        path = fetch_inception(
            out, url=options.url, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print(f"{FID_FILE.name}, SHA-256 as it should be: {path}")
