"""`ganneal zoo`: the trained generators that ship."""

from dataclasses import dataclass

from ganneal.cli.command import Command


@dataclass(frozen=True)
class ZooCommand(Command):
    """List the small trained generators that ship with ganneal, with their measurements and the command that made each.
    `ganneal sample zoo:NAME` draws samples from one; `ganneal.load("zoo:NAME")` loads it in Python."""

    def __call__(self, typed: str) -> None:
        """Print the list."""
        from ganneal.inference.zoo.page import listing

        print(listing())
