"""Damaged files of every kind are read or refused by name, whatever a hundred thousand of them hold."""

import json
import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
READERS = (
    *(
        "image",
        "image-by-ending",
        "zip",
        "dataset.json",
        "npz",
        "npz-member",
        "npy",
        "idx",
        "idx-gz",
        "cifar-binary",
        "cifar-pickle",
    ),
    *("cifar-tar", "imagenet-pickle", "imagenet-npz", "parquet", "card.json", "weights", "experiment.json"),
    *("metrics.jsonl", "checkpoint"),
)

if not Path("/proc/self/statm").exists():
    pytest.skip("limiting the memory of a process needs /proc", allow_module_level=True)


def test_twenty_damaged_files_a_reader_are_read_or_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, whose modules are loaded; the runner has one of its own, of little memory."""
    monkeypatch.syspath_prepend(FOLDER)
    runner, mutations = import_module("run"), import_module("mutations")
    assert tuple(runner.READERS) == READERS
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        for name, reader in runner.READERS.items():
            folder = tmp_path / name
            folder.mkdir()
            seeds = reader.seeds(folder)
            with warnings.catch_warnings(action="ignore"):
                found = Counter(runner.outcome(reader, mutations.mutated(7, n, seeds), folder) for n in range(20))
            assert set(found) <= {"read", "refused"} and found["refused"] >= 5, (name, found)
            assert not (folder / "canary").exists()
    finally:
        signal.signal(signal.SIGPROF, before)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_hundred_thousand_damaged_files_are_read_or_refused_by_name(reader: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "--reader", reader, "--count", "100000"]
    out = tmp_path / "found.json"
    result = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 0, result.stdout + result.stderr[-2_000:]
    found = json.loads(out.read_text())[reader]
    assert found["done"] == 100_000 and found["faults"] == []
