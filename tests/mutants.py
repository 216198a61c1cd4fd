"""Small wrong edits of the source, each of which some test must notice; prints those that none does.

The tests nearest to an edit run until the first one fails. Tests that fail without any edit end the program: they would
catch everything. An edit whose old text is not found exactly once is refused.

Source and tests are imported once. An edit within functions changes their code in a child process, which then runs the
tests; every other edit is made in a copy of the repository, where a new interpreter runs them.

    python tests/mutants.py                        # all edits, ten minutes of one core
    python tests/mutants.py losses/relativistic    # those of files whose path holds this text
"""

import argparse
import contextlib
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "src")) if path not in sys.path]

from tests.edits import engine, mathematics, measures, readers  # noqa: E402

SOURCE = Path("src/ganneal")
LONGEST = 300
"""Processor seconds of the tests of one edit; an edit that makes them run longer is caught."""
ASLEEP = 1800
"""Seconds after which tests that wait for something are ended too."""
MARKS = ("not runs and not slow", "runs and not slow")
"""What is run first, and then: most edits are caught by quick tests."""
NOTHING_TO_RUN = 5
"""pytest's status where no test has these marks."""
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")


class Edit(NamedTuple):
    """One wrong edit of ``file``, below the package, and the tests nearest to it."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The file's ``text`` with the edit.

        Raises:
            ValueError: The old text is not there exactly once.
        """
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.file}: {self.old!r} must be found once, got {found} times; mend tests/edits.")
        return text.replace(self.old, self.new)

    def __str__(self) -> str:
        return f"{self.file}: {self.old.strip()!r} -> {self.new.strip()!r}"


def edits() -> Iterator[Edit]:
    """All of them, file by file."""
    for part in (mathematics, engine, measures, readers):
        for (file, tests), pairs in part.EDITS.items():
            for old, new in pairs:
                yield Edit(file, old, new, tuple(f"tests/{name}" for name in tests.split()))


Place = tuple[str, int]
"""Qualified name of a function and the last line of its code."""


def _place(code: CodeType) -> Place:
    return code.co_qualname, max((line or 0 for *_, line in code.co_lines()), default=0)


def _nested(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _own(code: CodeType) -> tuple[object, ...]:
    """What ``code`` does by itself, without the code nested in it."""
    return code.co_code, code.co_names, tuple(c for c in code.co_consts if not isinstance(c, CodeType))


def changed_functions(old: str, new: str) -> dict[Place, CodeType] | None:
    """New code for each outermost function that ``new`` has otherwise than ``old``.

    None where the texts differ in what runs at import, so that functions alone do not make the difference.
    """
    found: dict[Place, CodeType] = {}
    pairs = [(compile(old, "old", "exec"), compile(new, "new", "exec"))]
    while pairs:
        before, after = pairs.pop()
        if _own(before) != _own(after) or len(_nested(before)) != len(_nested(after)):
            return None
        for one, other in zip(_nested(before), _nested(after), strict=True):
            runs_now = not one.co_flags & 0x2  # CO_NEWLOCALS, which the body of a class lacks
            if runs_now:
                pairs.append((one, other))
            elif one.replace(co_filename="") != other.replace(co_filename=""):
                if _place(one) in found or one.co_freevars != other.co_freevars:
                    return None
                found[_place(one)] = other
    return found


def exchange(path: Path, changed: dict[Place, CodeType]) -> bool:
    """Give the functions of the module at ``path`` their ``changed`` code; False where one is not found."""
    left = set(changed)
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == str(path):
            if (place := _place(function.__code__)) in changed:
                function.__code__ = changed[place]
                left.discard(place)
    return not left


def in_a_child(work: Callable[[], int]) -> tuple[int, str]:
    """Status and output of ``work`` in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ganneal-mutants-") as folder:
        log = Path(folder) / "output"
        child = os.fork()
        if not child:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
            signal.alarm(ASLEEP)
            with open(log, "w") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            os.environ["GANNEAL_CACHE"] = f"{folder}/cache"
            status = 1
            try:
                status = work()
            finally:
                sys.stdout.flush()
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), log.read_text()


def run_here(tests: Sequence[str], *more: str) -> int:
    """Status of ``tests`` in this process, where they have been imported."""
    import pytest

    return int(pytest.main([*QUIET, *more, *tests]))


def run_edited_here(edit: Edit, changed: dict[Place, CodeType]) -> int:
    """Status of the nearest tests with ``changed`` functions."""
    if not exchange(ROOT / SOURCE / edit.file, changed):
        return -1
    for marks in MARKS:
        if status := run_here(edit.tests, "-x", "-m", marks):
            if status != NOTHING_TO_RUN:
                return status
    return 0


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """The working tree's files, without what git ignores."""
    with tempfile.TemporaryDirectory(prefix="ganneal-mutants-") as folder:
        to = Path(folder) / "ganneal"
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to / name)
        yield to


def run_edited_copy(edit: Edit, root: Path) -> int:
    """Status of the nearest tests in ``root``, a copy of the repository, under the edit."""
    path = root / SOURCE / edit.file
    before = path.read_text()
    path.write_text(edit.applied(before))
    try:
        environment = os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", *QUIET, "-x", *edit.tests]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=ASLEEP).returncode
    except subprocess.TimeoutExpired:
        return 1
    finally:
        path.write_text(before)


def is_caught(edit: Edit, root: Path) -> bool:
    """Whether a test fails under the edit."""
    text = (ROOT / SOURCE / edit.file).read_text()
    changed = changed_functions(text, edit.applied(text))
    if changed is not None:
        status, _ = in_a_child(lambda: run_edited_here(edit, changed))
        if status != 255:  # a function that is not there to be changed
            return status != 0
    return run_edited_copy(edit, root) != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="parts of the paths of files; all where none is given")
    asked = parser.parse_args().files
    chosen = [edit for edit in edits() if not asked or any(part in edit.file for part in asked)]
    for edit in chosen:
        edit.applied((ROOT / SOURCE / edit.file).read_text())
    os.chdir(ROOT)
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    every = list(dict.fromkeys(test for edit in chosen for test in edit.tests))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        run_here(every, "--collect-only")
    for tests in every:
        status, said = in_a_child(lambda tests=tests: run_here([tests]))
        if status:
            print(said[-3000:])
            return 2
    missed = []
    with copied() as root:
        for number, edit in enumerate(chosen, 1):
            found = is_caught(edit, root)
            print(f"{number}/{len(chosen)} {'caught' if found else 'MISSED'} {edit}", flush=True)
            missed += [] if found else [edit]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} wrong edits are caught by the nearest tests.")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
