"""`ganneal playground`: a page in the browser to play with a trained generator."""

from dataclasses import dataclass
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT


@dataclass(frozen=True)
class PlaygroundCommand(Command):
    """Play with a trained generator in the browser: seeds, classes, truncation, interpolation between two seeds."""

    run: Annotated[str, ARGUMENT]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: str = "last"
    """Weights: last, best (of the best evaluation), or a snapshot by its number of real images."""
    host: str = "127.0.0.1"
    """Address to serve at. 127.0.0.1 is visible to this machine alone, 0.0.0.0 to every machine that can reach it."""
    port: int | None = None
    """Port to serve at. Default: the first free port from 7860 on."""

    def __call__(self, typed: str) -> None:
        """Load, and serve until interrupted."""
        from ganneal.inference.playground.drawing import Playground
        from ganneal.inference.playground.page import serve

        serve(Playground.of(self.run, self.checkpoint), self.host, self.port)
