"""Every command where its output meets an odd terminal, a full disk or a closed end, and names that are no UTF-8."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import COMMANDS, main

FULL = Path("/dev/full")
ODD = "caf\udce9 日本 €"
"""Bytes that are no UTF-8, and signs that one terminal or another lacks."""
SMALL = (
    *("--model.width", "4", "--batch-size", "4", "--budget.d-updates", "2", "--threads", "1"),
    *("--records.sample-count", "4", "--records.evaluate-count", "40", "--precision", "float32"),
)

CALLS: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "version": ("--version",),
    "train dry": ("train", "{images}", "--dry-run"),
    "train help": ("train", "digits-nats", "--help-all"),
    "train": ("train", "{images}", "--out", "{new}", *SMALL),
    "sample": ("sample", "{run}", "--out", "{new}.png", "--count", "4"),
    "sample folder": ("sample", "{run}", "--out", "{new}", "--count", "4"),
    "evaluate": ("evaluate", "{run}", "--count", "40", "--metrics", "kernel"),
    "evaluate files": ("evaluate", "--real", "{images}", "--fake", "{images}", "--metrics", "kernel"),
    "report": ("report", "{run}"),
    "inspect": ("data", "inspect", "{images}", "--sheet", "{new}.png"),
    "convert": ("data", "convert", "{images}", "{new}.zip"),
    "zoo": ("zoo",),
    "plan": ("plan", "nats"),
    "plan experiment": ("plan", "digits-nats"),
    "games": ("games", "bilinear", "--steps", "5", "--out", "{new}.png"),
    "theory": ("theory",),
    "theory one": ("theory", "T2.1"),
    "export": ("export", "{run}", "--out", "{new}.pt2"),
    "reproduce": ("reproduce",),
    "reproduce plan": ("reproduce", "table9", "--scale", "cpu", "--plan"),
    **{f"{name} help": (name, "--help") for name in COMMANDS},
}
"""What a person may type."""
WRITES = ("train", "sample", "sample folder", "inspect", "convert", "games", "export")
"""Calls that leave a file or folder of the name given."""
SILENT = ("train",)
"""Calls that print nothing to standard output."""


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images in two classes and a run on them, all of odd names."""
    folder = tmp_path_factory.mktemp("odd") / ODD
    random = np.random.default_rng(0)
    for index in range(20):
        path = folder / "images" / f"k\udce9{index % 2}" / f"{index}\udce9.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(file, "PNG")
    assert main(["train", str(folder / "images"), "--out", str(folder / "run"), *SMALL]) == 0
    return folder


def call(name: str, odd: Path, new: Path) -> int:
    places = {"images": str(odd / "images"), "run": str(odd / "run"), "new": str(new)}
    try:
        return main([argument.format(**places) for argument in CALLS[name]])
    except SystemExit as end:
        assert isinstance(end.code, int | None)
        return end.code or 0


def made(new: Path) -> list[Path]:
    """What was written under the name ``new``, or with an ending of its own."""
    return [path for path in new.parent.iterdir() if path.name.startswith(new.name)]


def test_every_command_is_called_here() -> None:
    assert {arguments[0] for arguments in CALLS.values()} >= set(COMMANDS)


@pytest.mark.runs
@pytest.mark.parametrize(
    "encoding", [pytest.param("utf-8", marks=pytest.mark.slow), "cp1252", pytest.param("ascii", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", CALLS)
def test_odd_names_and_terminals_lose_nothing(
    name: str, encoding: str, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.chdir(tmp_path)
    status = call(name, odd, tmp_path / f"new\udce9-{encoding}")
    err.seek(0)
    said = err.read()
    assert status == 0 and "Traceback" not in said, said
    out.seek(0)
    assert (out.read() != "") == (name not in SILENT)
    assert bool(made(tmp_path / f"new\udce9-{encoding}")) == (name in WRITES)


@pytest.mark.runs
@pytest.mark.skipif(not FULL.exists(), reason="no full device")
@for_each("name", [name for name in CALLS if not name.endswith("help") or name == "plan help"])
def test_a_full_disk_under_the_output_is_told_by_the_status_and_nothing_else_is_lost(
    name: str, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = io.StringIO()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", err)
    with open(FULL, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        status = call(name, odd, tmp_path / "new")
    said = [line for line in err.getvalue().splitlines() if line.startswith("error:")]
    assert status == len(said) == (name not in SILENT), err.getvalue()
    assert all("standard output" in line and "No space left on device" in line for line in said)
    assert bool(made(tmp_path / "new")) == (name in WRITES)


def run(arguments: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    how = {"env": {"OMP_NUM_THREADS": "1", **os.environ}, "text": True} | how
    return subprocess.run([sys.executable, "-m", "ganneal", *arguments], timeout=120, **how)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_system_without_utf8_loses_nothing(name: str, odd: Path, tmp_path: Path) -> None:
    places = {"images": str(odd / "images"), "run": str(odd / "run"), "new": str(tmp_path / "new\udce9")}
    arguments = [argument.format(**places) for argument in CALLS[name]]
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    done = run(
        arguments, env=environment, cwd=tmp_path, encoding="ascii", errors="surrogateescape", capture_output=True
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert bool(made(tmp_path / "new\udce9")) == (name in WRITES)


@pytest.mark.runs
@pytest.mark.skipif(not FULL.exists(), reason="no full device")
def test_a_training_whose_every_line_meets_a_full_disk_is_finished(odd: Path, tmp_path: Path) -> None:
    with open(FULL, "w") as full:
        done = run(["train", str(odd / "images"), "--out", str(tmp_path / "run"), *SMALL], stdout=full, stderr=full)
    assert done.returncode == 1
    assert (tmp_path / "run" / "final" / "generator.safetensors").exists()


@pytest.mark.parametrize(
    ("closed", "status", "said"),
    [((1,), 1, "error: standard output"), ((2,), 0, ""), ((1, 2), 1, ""), ((0, 1, 2), 1, "")],
)
def test_closed_ends_are_told_by_the_status(closed: tuple[int, ...], status: int, said: str) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    done = run(["plan", "nats"], preexec_fn=close, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert done.returncode == status
    assert done.stderr.startswith(said) and done.stderr.count("\n") == bool(said)


def test_a_file_that_a_command_opens_is_never_taken_for_a_closed_standard_stream(tmp_path: Path) -> None:
    """The first file that is opened would get the number of a closed stream, and what another program prints there."""
    script = (
        "import os; from ganneal.storage.streams import lenient_streams\n"
        "with lenient_streams(), open('file', 'w') as file:\n"
        "    assert file.fileno() > 2"
    )

    def close() -> None:
        for number in range(3):
            os.close(number)

    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, preexec_fn=close, check=True, timeout=60)


def test_wrong_input_keeps_its_status_where_nothing_can_be_printed() -> None:
    with open(FULL, "w") as full:
        assert run(["paln"], stdout=full, stderr=full).returncode == 2
