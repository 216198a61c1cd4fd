"""`ganneal fetch`: download weights that cannot ship with ganneal, checked by their SHA-256."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT


@dataclass(frozen=True)
class FetchCommand(Command):
    """Download the weights that FID, KID and the Inception Score are defined by (96 MB)."""

    what: Annotated[Literal["inception"], ARGUMENT]
    """Weights to download."""
    out: str | None = None
    """File to write. Default: the place where `ganneal evaluate` looks."""
    url: str | None = None
    """Address of a mirror. The SHA-256 of the download is checked."""

    def __call__(self, typed: str) -> None:
        """Download, check and write."""
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        from ganneal.metrics.extractors.inception_file import FID_FILE, fetch_inception

        # On standard error and gone at the end, so that the output is the one line with the place of the file.
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("inception", total=FID_FILE.size)
            out = None if self.out is None else Path(self.out).expanduser()
            path = fetch_inception(
                out, url=self.url, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
        print(f"{FID_FILE.name}, SHA-256 as it should be: {path}")
