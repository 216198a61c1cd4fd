"""`ganneal playground`: a page in the browser to play with a trained generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from ganneal.cli.help import help_of


@dataclass(frozen=True)
class PlaygroundOptions:
    """Play with a trained generator in the browser: seeds, classes, truncation, the way between two seeds."""

    run: Annotated[str, tyro.conf.Positional]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: str = "last"
    """last | best, the weights of the best evaluation; or a snapshot by its number of real images."""
    host: str = "127.0.0.1"
    """Address to serve at; the default is seen by this machine alone, 0.0.0.0 by everybody who can reach it."""
    port: int | None = None
    """Left out, the first that is free from 7860 on."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return help_of(PlaygroundOptions, "playground")


def main(arguments: Sequence[str]) -> None:
    """Parse, load, and serve until interrupted."""
    options = tyro.cli(PlaygroundOptions, args=list(arguments), prog="ganneal playground")
    from ganneal.inference.playground.drawing import Playground
    from ganneal.inference.playground.page import serve

    serve(Playground.of(options.run, options.checkpoint), options.host, options.port)
