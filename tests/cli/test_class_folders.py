"""Class folders, and labels of other files, on the command line: found, told, trained on, refused with the way out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganneal.cli import main

SMALL = ["--model.width", "4", "--batch-size", "8", "--budget.d-updates", "1"]
SMALL += ["--records.evaluate-count", "0", "--records.no-tensorboard"]

Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command says, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        main(list(arguments))
        told = capsys.readouterr()
        return told.out + told.err

    return run


def pictures(folder: str, *classes: str, each: int = 8) -> None:
    random = np.random.default_rng(0)
    for name in classes or ("",):
        (Path(folder) / name).mkdir(parents=True)
        for index in range(each):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(Path(folder) / name / f"{index}.png")


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "run"])
def test_classes_that_are_not_used_come_with_the_command_that_uses_them(said: Said, dry: list[str]) -> None:
    pictures("my photos", "cat", "dog")
    told = said("train", "my photos", "--out", "r", *SMALL, *dry)
    [line] = [line for line in told.splitlines() if line.startswith("2 classes: cat (8), dog (8); they are not used.")]
    again = f"ganneal train 'my photos' --out r-labelled {' '.join(SMALL)} --task labelled"
    assert line.endswith(f"To train on them: {again}")
    assert "they are not used" not in said("train", "my photos", "--out", "r-labelled", *SMALL, "--task", "labelled")
    assert "4 samples" in said("sample", "r-labelled", "--class", "cat", "--count", "4")


def test_labels_in_an_array_are_told_and_used_too(said: Said) -> None:
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    np.savez("a.npz", images=images, labels=np.arange(16) % 2)
    assert "2 classes: 0 (8), 1 (8); they are not used" in said("train", "a.npz", *SMALL)
    assert "weights: l/final" in said("train", "a.npz", "--out", "l", *SMALL, "--task", "labelled")


@pytest.mark.parametrize("classes", [(), ("cat",)], ids=["no folders", "one folder"])
def test_without_two_classes_nothing_is_told_and_the_labelled_task_says_why(said: Said, classes: list[str]) -> None:
    pictures("d", *classes, each=16)
    assert "class" not in said("train", "d", *SMALL)
    told = said("train", "d", "--out", "l", *SMALL, "--task", "labelled")
    assert "task 'labelled' needs" in told and "(--task unconditional)" in told


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_folder_of_ones_own_that_is_called_as_a_known_set_is_read_itself(
    said: Said, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(name, "cat", "dog")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mnist.npz").write_bytes(b"another set")
    monkeypatch.setenv("GANNEAL_DATA", str(elsewhere))
    assert "2 classes: cat (8), dog (8)" in said("train", name, *SMALL, "--task", "labelled")


def test_many_classes_are_counted_on_one_line(said: Said) -> None:
    pictures("d", *(f"c{index:03d}" for index in range(150)), each=1)
    told = said("train", "d", "--out", "l", *SMALL, "--task", "labelled")
    assert "c011 (1) and 138 more, 1 image each\n" in told
    assert "a row for each class: c000, c001," in (rows := said("sample", "l", "--per-class", "1"))
    assert "c011 and 138 more" in rows


def test_a_model_without_classes_is_answered_with_those_that_take_them(said: Said) -> None:
    pictures("d", "cat", "dog")
    told = said("train", "d", "--model", "sn-dcgan", "--task", "labelled", *SMALL)
    assert "needs a model that takes classes, but SNDCGAN takes no classes for samples of shape (3, 8, 8)" in told
    assert "use one that does (--model dcgan | r3gan), or train without classes (--task unconditional)" in told
