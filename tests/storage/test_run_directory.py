"""The lock of a run's directory: one holder, whoever else knocks, and no trace where nothing was begun."""

import multiprocessing
import os
import platform
import subprocess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

import ganneal
from ganneal.storage.run_directory import DirectoryInUse, RunDirectory, provenance


def test_a_process_that_is_refused_leaves_the_lock_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with RunDirectory(out).locked():  # nothing but the lock is there yet
        for _ in range(2):
            with pytest.raises(DirectoryInUse, match="another process is training in"), RunDirectory(out).locked():
                pass
            assert [file.name for file in out.iterdir()] == [".lock"]
        (out / "metrics.jsonl").touch()
    assert sorted(file.name for file in out.iterdir()) == [".lock", "metrics.jsonl"]


def test_a_directory_in_which_nothing_was_begun_goes_away(tmp_path: Path) -> None:
    out = tmp_path / "some" / "run"
    with pytest.raises(RuntimeError, match="no data"), RunDirectory(out).locked():
        raise RuntimeError("no data")
    assert list(tmp_path.iterdir()) == []
    with RunDirectory(out).locked():
        (tmp_path / "some" / "other").mkdir()
    assert list((tmp_path / "some").iterdir()) == [tmp_path / "some" / "other"]
    with RunDirectory(out).locked():  # the folder around it was there before
        (tmp_path / "some" / "other").rmdir()
    assert list((tmp_path / "some").iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, opened = tmp_path / "run", []
    original = os.open

    def open_late(path: str | Path, *arguments: int) -> int:
        descriptor = original(path, *arguments)
        if not opened and str(path).endswith(".lock"):  # the holder ends between our opening and our locking
            os.unlink(path)
            os.rmdir(out)
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    with RunDirectory(out).locked():
        assert len(opened) == 2 and (out / ".lock").exists()
        with pytest.raises(DirectoryInUse), RunDirectory(out).locked():
            pass


def hold_often(out: Path, journal: Path, barrier: Barrier) -> None:
    """Take the lock again and again; while it is held, a file made exclusively must not be there already."""
    barrier.wait()
    held = 0
    while held < 100:
        try:
            with RunDirectory(out).locked():
                os.close(os.open(journal, os.O_CREAT | os.O_EXCL))
                os.unlink(journal)
                held += 1
        except DirectoryInUse:
            pass


def test_two_processes_never_hold_one_directory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    arguments = (tmp_path / "run", tmp_path / "held", barrier)
    processes = [context.Process(target=hold_often, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_the_commit_is_the_last_of_the_whole_package() -> None:
    package = Path(ganneal.__file__).parent
    command = ["git", "-C", str(package.parent), "log", "-1", "--format=%H", "--", package.name]
    told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode or not told.stdout:
        pytest.skip("the package lies in no git checkout")
    assert provenance()["commit"] == told.stdout.strip()


def test_the_processor_is_named_as_the_system_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.read_text

    def told(text: str | None) -> Any:
        def read(path: Path, *arguments: Any, **options: Any) -> str:
            if path != Path("/proc/cpuinfo"):
                return whole(path, *arguments, **options)
            if text is None:
                raise FileNotFoundError(path)
            return text

        monkeypatch.setattr(Path, "read_text", read)
        return provenance()["processor"]

    assert told("vendor_id\t: X\nmodel name\t: A Processor 9\nmodel name\t: A Processor 9\n") == "A Processor 9"
    assert told(None) == told("Hardware : none that says\n") == (platform.processor() or platform.machine())
