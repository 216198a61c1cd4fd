"""`ganneal zoo`: the trained generators that ship."""

from collections.abc import Sequence

HELP = """usage: ganneal zoo

List the small trained generators that ship with ganneal, with what was measured of each and the command that made it.
ganneal sample zoo:NAME draws from one, ganneal.load("zoo:NAME") loads it in Python."""


def main(arguments: Sequence[str]) -> None:
    """Print the list."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP)
        return
    if arguments:
        raise ValueError(f"unknown: {' '.join(arguments)}; ganneal zoo takes no arguments.")
    from ganneal.inference.zoo.page import listing

    print(listing())
