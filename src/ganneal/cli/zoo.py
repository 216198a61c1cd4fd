"""`ganneal zoo`: the trained generators that ship."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganneal.cli.help import help_of


@dataclass(frozen=True)
class ZooOptions:
    """List the small trained generators that ship with ganneal, with what was measured of each and the command that
    made it. `ganneal sample zoo:NAME` draws from one, `ganneal.load("zoo:NAME")` loads it in Python."""


def help_text(_: Sequence[str]) -> str:
    """The help of the command."""
    return help_of(ZooOptions, "zoo", usage=[""])


def main(arguments: Sequence[str]) -> None:
    """Print the list."""
    if arguments:
        raise ValueError(f"unknown: {' '.join(arguments)}; ganneal zoo takes no arguments.")
    from ganneal.inference.zoo.page import listing

    print(listing())
