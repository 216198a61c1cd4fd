"""`ganneal report`: one self-contained HTML page of a run, a comparison, or several runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import Typed


@dataclass(frozen=True)
class ReportCommand(Command):
    """Write one HTML file that opens offline: samples over time, curves, schedule, verdicts and the commands behind
    them."""

    runs: Annotated[tuple[str, ...], Typed("argument", value="RUN")]
    """One run directory, one comparison directory, or several run directories to compare by eye."""
    out: Path | None = None
    """The page to write. Default: report.html in the one directory."""
    data_path: Annotated[str | None, Typed(name="data.path", value="PATH")] = None
    """Present place of one run's data. Default: the recorded place, then its place relative to the run."""
    watch: bool = False
    """Serve the page of one run to this machine until Ctrl-C. The page updates as the run trains."""
    port: int | None = None
    """Port for --watch. Default: the first free port from 8000 on."""

    def __call__(self, typed: str) -> None:
        """Write, and say where the page is; or serve it."""
        from ganneal.report import write_report
        from ganneal.report.watch import watch

        if self.watch:
            if len(self.runs) != 1 or self.out is not None or self.data_path is not None:
                raise ValueError("--watch serves the page of one run; give one, and leave --out and --data.path out.")
            return watch(self.runs[0], self.port, lambda text: print(text, flush=True))
        if self.port is not None:
            raise ValueError(f"--port is of the page that --watch serves, got {self.port}; add --watch.")
        path = write_report(self.runs, self.out, data_path=self.data_path)
        print(f"report, {path.stat().st_size / 1e6:.1f} MB: {path}")
