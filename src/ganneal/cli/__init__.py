"""The command line; each command is a module of its own, imported when it is called."""

import errno
import shlex
import signal
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from ganneal import __version__
from ganneal.storage.streams import lenient_streams, silence, unread
from ganneal.training.interruption import Interrupted

# Commands are imported when they are called: most need torch, and `ganneal --help` does not wait for it.
if TYPE_CHECKING:
    from ganneal.cli.command import Command

COMMANDS = {
    "train": "train an experiment, or your own folder of images; the same command resumes",
    "sample": "draw images from a trained run",
    "evaluate": "measure a run, or one set of images against another",
    "compare": "experiments x seeds under one clock: a table with intervals and verdicts",
    "reproduce": "the rows of a published table, run and put beside what was reported",
    "export": "write a trained generator as one file that runs without ganneal",
    "playground": "a page in the browser to play with a trained generator",
    "report": "one HTML page of a run, of several, or of a comparison",
    "games": "optimizers on small games with a known equilibrium: a picture and a table",
    "theory": "statements about ideal players, measured; their figures",
    "plan": "print what a schedule does: moves, weights, cost",
    "data": "look at a set of images, convert it, fetch a small public one",
    "zoo": "list the small trained generators that ship",
    "fetch": "download the weights that FID needs, once, on request",
}

BARE = ("train", "compare", "evaluate", "games", "plan", "data")
"""Commands that print their help when called without arguments."""


def _help() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        "usage: ganneal COMMAND ...\n\n"
        "Train generative adversarial networks; the schedule of the two-player game is a first-class object.\n\n"
        f"commands:\n{commands}\n\n"
        "ganneal COMMAND --help says more; ganneal --version prints the version."
    )


def _show_warning(message: Warning | str, category: type[Warning], *place: object) -> None:
    """Print a warning without its place in the source."""
    print(f"warning: {message}", file=sys.stderr)


def _advice(name: str, number: int) -> str:
    """Advice on an error of the operating system in the command ``name``."""
    match number:
        # A file may also be too large for the limit of `ulimit -f` or for the file system, as 4 GB are for FAT32.
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            first = "Free some room there"
        case errno.EROFS:
            first = "Make that disk writable, or name another place"
        case errno.EACCES | errno.EPERM:
            first = "Get the right to write there, or name another place"
        case errno.ENOENT | errno.ENOTDIR | errno.EISDIR:
            first = "Something was moved or removed meanwhile: put it back, or name another place"
        case errno.EIO:
            first = "Check that disk"
        case _:
            first = "Correct that"
    goes_on = name in ("train", "compare", "reproduce")
    then = "the same command goes on from the last checkpoint" if goes_on else "give the same command again"
    return f"{first}, and {then}. Nothing finished is lost."


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process's exit status.

    Where nobody reads what it prints any more, it ends without a word and with the status of SIGPIPE. Where the rest
    cannot be written, it goes on, and ends with status 1.
    """
    with lenient_streams() as streams:
        try:
            try:
                status = _run(sys.argv[1:] if arguments is None else arguments)
            finally:
                # The last buffered lines are written only here, so a full disk may show only here, after an error too.
                streams.out.end()
            if streams.out.lost is not None:
                print(
                    f"error: standard output cannot be written ({streams.out.lost.strerror}). The files that the "
                    "command wrote are complete. Send its output elsewhere and run it again.",
                    file=sys.stderr,
                )
            streams.err.end()
        except BrokenPipeError:
            for number in unread():
                silence(number)
            # The status that a shell gives a program which the signal ended, as before `| head`.
            return 128 + signal.SIGPIPE
    # Who closes standard error does not want to hear, and there is nobody to tell of it either.
    unprinted = streams.out.lost or (streams.err.lost if sys.stderr is not None else None)
    return status or int(unprinted is not None)


def _found(name: str, rest: list[str]) -> "tuple[type[Command], str, list[str]]":
    """The command called ``name``, or the inner one that ``rest`` begins with; its whole name; the remaining words."""
    from ganneal.registry import lookup

    lookup("command", COMMANDS, name)
    # Found by name alone, lest a list of the classes import every command.
    command: type[Command] = getattr(import_module(f"ganneal.cli.{name}"), f"{name.capitalize()}Command")
    if not command.commands or not rest or rest[0].startswith("-"):
        return command, name, rest
    inner, *rest = rest
    return lookup(f"{name} command", command.commands, inner), f"{name} {inner}", rest


def _run(arguments: list[str]) -> int:
    """Run `main` without the handling of closed output, which raises `BrokenPipeError` here."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(f"ganneal {__version__}")
        return 0
    name, *rest = arguments
    try:
        command, name, rest = _found(name, rest)
        from ganneal.data.messages import spelled

        with warnings.catch_warnings(), spelled(command.prefix):
            # Put back at the end of the block: tests and notebooks call `main` within a process that goes on.
            warnings.showwarning = _show_warning
            from ganneal.cli.help import help_asked

            if text := help_asked(command, name, rest if rest or name not in BARE else ["--help"]):
                print(text)
                return 0
            # The record of a run holds the line as a shell takes it, so that it can be pasted.
            return command.parse(rest, name)(shlex.join(["ganneal", *arguments])) or 0
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # A pipe that breaks elsewhere, as to a worker process, is an error like any other.
        if isinstance(error, BrokenPipeError) and unread():
            raise
        if error.errno is None:  # our own, which says what to do
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(f"error: {error}\n{_advice(name, error.errno)}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt) as error:
        print(f"\n{error}" if str(error) else "\ninterrupted", file=sys.stderr)
        # 130 after Ctrl-C, 143 after SIGTERM, as a shell says it.
        return 128 + getattr(error, "signum", signal.SIGINT)
