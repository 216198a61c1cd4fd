"""What a fault is: something done before a command, inside its process, or undone after it."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Random = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """Where a fault strikes."""

    root: Path
    """The folder of the trial: data, ``run/`` or ``study/``, ``cache/``."""
    command: str
    random: Random
    places: int
    """Places that the command passes undisturbed: moves, and calls that write."""

    def place(self) -> int:
        """One of them."""
        return int(self.random.integers(1, self.places + 1))

    def files(self, *patterns: str) -> list[Path]:
        """What is there already."""
        return sorted(path for pattern in patterns for path in self.root.glob(pattern) if path.is_file())


def nothing() -> None:
    """No part of this fault."""


@dataclass(frozen=True)
class Fault:
    """One fault, ready to strike; what it did is ``said``."""

    said: str
    inside: Callable[[], object] = nothing
    """Called in the process of the command, before it."""
    undo: Callable[[], object] = nothing
    """Called when the command has ended: the disk has room again, the right is there again."""
    mend: Callable[[], object] | None = None
    """What an error told a person to do, where the same command alone cannot go on."""


def passing(reached: Callable[[int, str], object]) -> None:
    """Call ``reached`` with the number and name of every place that this process passes from now on."""
    import builtins
    import io

    from ganneal.engine import loop as engine

    count = 0

    def watched(name: str, original: Callable[..., object], counts: Callable[..., bool]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            if counts(*arguments, **options):
                count += 1
                reached(count, name)
            return original(*arguments, **options)

        return call

    def always(*_: object, **__: object) -> bool:
        return True

    def writes(path: object, mode: str = "r", *_: object, **__: object) -> bool:
        return isinstance(path, str | Path) and any(sign in mode for sign in "wax+")

    for name in ("fsync", "replace", "mkdir", "truncate"):
        setattr(os, name, watched(name, getattr(os, name), always))
    builtins.open = watched("open", builtins.open, writes)  # type: ignore[assignment]
    io.open = builtins.open
    engine.apply = watched("move", engine.apply, always)  # type: ignore[assignment]


def failing(errno: int, first: int, last: int | None = None) -> Callable[[], None]:
    """Every call that writes fails with ``errno``, from place ``first`` to ``last``, or to the end."""

    def inside() -> None:
        def reached(number: int, name: str) -> None:
            if name != "move" and number >= first and (last is None or number <= last):
                raise OSError(errno, os.strerror(errno))

        passing(reached)

    return inside


def at(place: int, strike: Callable[[], object]) -> Callable[[], None]:
    """``strike`` once, when ``place`` is reached."""

    def inside() -> None:
        passing(lambda number, name: strike() if number == place else None)

    return inside


def end_by(signum: int) -> Callable[[], None]:
    """End this process."""
    return lambda: os.kill(os.getpid(), signum)


def restored(paths: list[Path]) -> Callable[[], None]:
    """Copies of ``paths`` to put back, as a person with a backup does."""
    kept = {path: path.read_bytes() for path in paths if path.is_file()}

    def mend() -> None:
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return mend


def removed(path: Path) -> Callable[[], None]:
    """Remove a file or folder."""
    return lambda: shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


TERMINATE, KILL = signal.SIGTERM, signal.SIGKILL
