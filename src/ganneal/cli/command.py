"""The protocol of a command: a frozen dataclass."""

import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ganneal.cli.options import Parts, parse


def say(text: str) -> None:
    """Print a message to the user on standard error."""
    # At once: hours of work may be followed through a pipe or a file.
    print(text, file=sys.stderr, flush=True)


class Command(ABC):
    """A command of the command line.

    A frozen dataclass: its fields are the options, their docstrings and its own are the help, and a call does the work.
    The command NAME is the class ``NameCommand`` of the module of its name.
    """

    # What belongs to the class is a ClassVar, lest a dataclass take it for a field, that is for an option.
    parts: ClassVar[Parts] = {}
    """The options that take the name of a registered part."""
    usage: ClassVar[Sequence[str]] = ()
    """Calls for the help, where the arguments alone do not show them."""
    prefix: ClassVar[str | None] = None
    """Prefix of its data options, for messages; None where it has none (`data.messages`)."""
    commands: ClassVar[Mapping[str, "type[Command]"]] = {}
    """The commands inside it, by name."""

    opens: ClassVar[str] = ""
    """Name of the first word where that word decides on the options after it."""

    @classmethod
    def begun(cls, first: str) -> "Command | type[Command]":
        """The default options after the first word ``first``."""
        return cls

    @classmethod
    def parse(cls, arguments: Sequence[str], name: str) -> "Command":
        """The command that ``arguments`` after ``name`` describe.

        Raises:
            ValueError: They describe none.
        """
        # Where the first word decides on the defaults of all options, none can be read before it.
        first = next(iter(arguments), "")
        if cls.opens and (not arguments or first.startswith("-")):
            raise ValueError(f"the {cls.opens} must come first, got {first!r}: see `ganneal {name} --help`.")
        called = f"{name} {shlex.quote(first)}" if cls.opens else name
        return parse(cls.begun(first), arguments, called, cls.parts)

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """Sections of the help before the options: title -> text."""
        return {}

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Further rows of the help that are no fields: option -> meaning."""
        return {}

    def everything(self) -> tuple[Any, Parts]:
        """The dataclass whose every field `--help-all` lists, and the options that take a registered name."""
        return self, self.parts

    @abstractmethod
    def __call__(self, typed: str) -> int | None:
        """Do the work. ``typed`` is the whole command for the record. Returns the exit status, None for 0."""
