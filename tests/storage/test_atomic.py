"""Atomic writes under real failures: a full disk, a kill between two instructions, an error in the middle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.for_each import for_each

from ganneal.storage.atomic import replaced_folder, write_bytes

OLD, NEW = b"old" * 1000, b"new" * 1_000_000


def in_a_process(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run ``script`` apart, with the arguments as ``paths``."""
    head = "import os, resource, sys\nfrom pathlib import Path\npaths = [Path(a) for a in sys.argv[1:]]\n"
    return subprocess.run(
        [sys.executable, "-c", head + script, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_file_is_written_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "file.bin", NEW)
    assert contents(tmp_path) == {"a/b/file.bin": NEW}


@for_each("data", [b"", b"x", NEW])
def test_a_file_is_replaced_whole(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file.bin").write_bytes(OLD)
    write_bytes(tmp_path / "file.bin", data)
    assert contents(tmp_path) == {"file.bin": data}


FULL_DISK = """
from ganneal.storage.atomic import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_bytes(paths[0], b"new" * 1_000_000)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_does_not_fit_leaves_the_old_file_and_no_temporary(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "file.bin"
    if existing:
        path.write_bytes(OLD)
    result = in_a_process(FULL_DISK, path)
    assert result.stdout.split() == ["OSError", "27"], result.stderr  # EFBIG
    assert contents(tmp_path) == ({"file.bin": OLD} if existing else {})


KILLED = """
from ganneal.storage.atomic import write_bytes
os.{call} = lambda *arguments: os._exit(9)
write_bytes(paths[0], b"new" * 1_000_000)
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_killed_write_leaves_the_old_file_and_the_next_write_clears_up(tmp_path: Path, call: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    assert in_a_process(KILLED.format(call=call), path).returncode == 9
    assert path.read_bytes() == OLD
    write_bytes(path, b"newer")
    assert contents(tmp_path) == {"file.bin": b"newer"}


def test_data_reach_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, move = os.fsync, os.replace

    def logged_fsync(descriptor: int) -> None:
        calls.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).is_dir()}")
        fsync(descriptor)

    def logged_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        move(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    write_bytes(tmp_path / "file.bin", b"data")
    assert calls == ["sync False", "replace", "sync True"]


def test_a_folder_in_the_way_is_an_error_without_leftovers(tmp_path: Path) -> None:
    (tmp_path / "file.bin").mkdir()
    with pytest.raises(OSError):
        write_bytes(tmp_path / "file.bin", b"data")
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("existing", [True, False])
def test_a_filled_folder_takes_the_place_of_the_old_one(tmp_path: Path, existing: bool) -> None:
    final = tmp_path / "deep" / "final"
    if existing:
        write_bytes(final / "old.bin", OLD)
        write_bytes(final / "both.bin", OLD)
    with replaced_folder(final) as folder:
        assert os.listdir(folder) == []
        write_bytes(folder / "both.bin", b"new")
        write_bytes(folder / "inner" / "new.bin", b"new")
        assert contents(final) == ({"old.bin": OLD, "both.bin": OLD} if existing else {})
    assert contents(tmp_path) == {"deep/final/both.bin": b"new", "deep/final/inner/new.bin": b"new"}
    assert os.listdir(tmp_path / "deep") == ["final"]


@for_each("error", [OSError, ValueError, KeyboardInterrupt, SystemExit])
@for_each("existing", [True, False])
def test_an_error_in_the_block_keeps_the_old_folder_and_nothing_else(
    tmp_path: Path, error: type[BaseException], existing: bool
) -> None:
    final = tmp_path / "final"
    if existing:
        write_bytes(final / "old.bin", OLD)
    with pytest.raises(error), replaced_folder(final) as folder:
        write_bytes(folder / "new.bin", b"new")
        raise error
    assert contents(tmp_path) == ({"final/old.bin": OLD} if existing else {})
    assert os.listdir(tmp_path) == (["final"] if existing else [])


FULL_DISK_IN_FOLDER = """
from ganneal.storage.atomic import replaced_folder, write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with replaced_folder(paths[0]) as folder:
        write_bytes(folder / "small.bin", b"new")
        write_bytes(folder / "large.bin", b"new" * 1_000_000)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


def test_a_folder_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    write_bytes(tmp_path / "final" / "old.bin", OLD)
    result = in_a_process(FULL_DISK_IN_FOLDER, tmp_path / "final")
    assert result.stdout.split() == ["OSError", "27"], result.stderr  # EFBIG
    assert contents(tmp_path) == {"final/old.bin": OLD} and os.listdir(tmp_path) == ["final"]


KILLED_IN_FOLDER = """
from ganneal.storage.atomic import replaced_folder
with replaced_folder(paths[0]) as folder:
    (folder / "new.bin").write_bytes(b"new")
    os._exit(9)
"""


def test_a_kill_in_the_block_leaves_the_old_folder_and_the_next_one_clears_up(tmp_path: Path) -> None:
    write_bytes(tmp_path / "final" / "old.bin", OLD)
    assert in_a_process(KILLED_IN_FOLDER, tmp_path / "final").returncode == 9
    assert contents(tmp_path / "final") == {"old.bin": OLD}
    with replaced_folder(tmp_path / "final") as folder:
        assert os.listdir(folder) == []
        (folder / "newer.bin").write_bytes(b"newer")
    assert contents(tmp_path) == {"final/newer.bin": b"newer"} and os.listdir(tmp_path) == ["final"]


def test_a_rename_that_fails_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "final" / "old.bin", OLD)
    move = os.replace

    def broken(source: Path, target: Path) -> None:
        if target == tmp_path / "final" and contents(Path(source)) == {"new.bin": b"new"}:
            raise OSError(5, "input/output error")
        move(source, target)

    with pytest.raises(OSError, match="input/output error"), replaced_folder(tmp_path / "final") as folder:
        (folder / "new.bin").write_bytes(b"new")
        monkeypatch.setattr(os, "replace", broken)
    assert contents(tmp_path / "final") == {"old.bin": OLD}


KILLED_BETWEEN_RENAMES = """
from ganneal.storage.atomic import replaced_folder
move = os.replace
def killed(source, target):
    if target == paths[0]:
        os._exit(9)
    move(source, target)
with replaced_folder(paths[0]) as folder:
    (folder / "new.bin").write_bytes(b"new")
    os.replace = killed
"""


def test_a_kill_between_renames_loses_neither_folder_to_the_next_attempt(tmp_path: Path) -> None:
    write_bytes(tmp_path / "final" / "old.bin", OLD)
    assert in_a_process(KILLED_BETWEEN_RENAMES, tmp_path / "final").returncode == 9
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "final"):
        raise RuntimeError("the next attempt fails too")
    assert contents(tmp_path / "final") in ({"old.bin": OLD}, {"new.bin": b"new"})
