"""Own images without a manual: settings from the data and the machine, with reasons, remembered, overridden."""

import gzip
import json
import os
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganneal.cli import chosen as chosen_settings
from ganneal.cli import main
from ganneal.data import Arrays, Cifar10, Cifar100, Folder, Idx, Zip, source_at
from ganneal.data.survey import Survey, survey
from ganneal.experiments import EXPERIMENTS, choices
from ganneal.experiments.choices import choose
from ganneal.machine import Machine
from ganneal.models import DCGAN

CPU, GPU = Machine(False, False), Machine(True, True)


def pictures(folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> Path:
    random = np.random.default_rng(0)
    for index, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = folder / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert(mode).save(path)
    return folder


@pytest.mark.parametrize(
    ("side", "machine", "size"),
    [(28, CPU, 28), (32, CPU, 32), (63, CPU, 32), (64, CPU, 64), (256, CPU, 64), (256, GPU, 256), (4_000, GPU, 256)]
    + [(100, GPU, 64), (5, CPU, 8), (8, CPU, 8)],
)
def test_the_size_is_the_largest_that_the_images_fill_and_the_machine_bears(
    side: int, machine: Machine, size: int
) -> None:
    assert choose(Survey(50_000, (side,), False, 0), machine)["data.size"].value == size


def test_one_small_image_among_many_does_not_decide() -> None:
    assert choose(Survey(1_000, (9, *[64] * 99), False, 0), CPU)["data.size"].value == 64


@given(st.integers(1, 10**7), st.lists(st.integers(1, 10**5), min_size=1, max_size=9), st.booleans(), st.booleans())
def test_whatever_is_chosen_can_be_built_and_has_a_reason(
    count: int, sides: list[int], grey: bool, accelerator: bool
) -> None:
    chosen = choose(Survey(count, tuple(sorted(sides)), grey, 0), Machine(accelerator, accelerator))
    size, channels = chosen["data.size"].value, chosen["data.channels"].value
    assert size in choices.SIZES and channels == (1 if grey else 3)
    assert 1 <= chosen["batch_size"].value <= min(64, count)
    assert all(choice.reason for choice in chosen.values())
    assert json.loads(json.dumps([choice.value for choice in chosen.values()])) == [c.value for c in chosen.values()]
    DCGAN(width=1, latent_size=1).build((channels, size, size))


def test_few_images_are_mirrored_and_writing_is_not() -> None:
    assert choose(Survey(1_000, (64,), False, 0), CPU)["flip"].value is True
    assert choose(Survey(1_000, (64,), True, 0), CPU)["flip"].value is False
    assert choose(Survey(100_000, (64,), False, 0), CPU)["flip"].value is False


def test_precision_follows_what_the_machine_computes_in() -> None:
    data = Survey(1_000, (64,), False, 0)
    assert choose(data, Machine(False, True))["precision"].value == "bf16"
    assert choose(data, Machine(True, False))["precision"].value == "float32"


def test_a_survey_reads_sizes_colours_and_classes(tmp_path: Path) -> None:
    pictures(tmp_path / "cat", [(30, 20), (64, 64)])
    pictures(tmp_path / "dog", [(40, 90)])
    assert survey(Folder(str(tmp_path))) == Survey(3, (20, 40, 64), False, 2)
    assert survey(Folder(str(pictures(tmp_path / "grey", [(8, 8)], "L")))) == Survey(1, (8,), True, 0)


def test_a_survey_passes_over_damage_and_names_it_where_there_is_nothing_else(tmp_path: Path) -> None:
    pictures(tmp_path, [(16, 16)])
    (tmp_path / "broken.png").write_bytes(b"")
    assert survey(Folder(str(tmp_path))).sides == (16,)
    (tmp_path / "000.png").unlink()
    with pytest.raises(ValueError, match="cannot read the image broken.png"):
        survey(Folder(str(tmp_path)))


def test_a_survey_of_many_images_reads_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganneal.data.survey.MOST", 4)
    found = survey(Folder(str(pictures(tmp_path, [(16 + n, 16 + n) for n in range(12)]))))
    assert found.count == 12 and found.sides == (16, 19, 22, 25)


# What lies at a path


def test_original_data_sets_are_recognised(tmp_path: Path) -> None:
    idx = struct.pack(">HBB3I", 0, 8, 3, 2, 28, 28) + bytes(2 * 28 * 28)
    files = {
        "mnist/train-images-idx3-ubyte.gz": (gzip.compress(idx), Idx),
        "c10/data_batch_1": (b"", Cifar10),
        "c10b/data_batch_1.bin": (b"", Cifar10),
        "c100/train": (b"", Cifar100),
        "c100b/train.bin": (b"", Cifar100),
    }
    for name, (content, kind) in files.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(content)
        assert type(source_at(path.parent)) is kind
    for name, kind in (("cifar-10-python.tar.gz", Cifar10), ("cifar-100-binary.tar.gz", Cifar100)):
        (tmp_path / name).touch()
        assert type(source_at(tmp_path / name)) is kind
    with pytest.raises(ValueError, match="path must be a folder of images, a .zip"):
        source_at(tmp_path / "mnist" / "train-images-idx3-ubyte.gz")


def test_arrays_are_found_under_their_usual_names(tmp_path: Path) -> None:
    images, labels = np.zeros((2, 8, 8), np.uint8), np.array([0, 1])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images)
    np.savez(tmp_path / "b.npz", images=images)
    np.savez(tmp_path / "c.npz", images=images, labels=labels)
    assert source_at(tmp_path / "a.npz") == Arrays(str(tmp_path / "a.npz"), "x_train", "y_train")
    assert source_at(tmp_path / "b.npz") == Arrays(str(tmp_path / "b.npz"), "images", None)
    assert source_at(tmp_path / "c.npz") == Arrays(str(tmp_path / "c.npz"), "images", "labels")


# The command

QUICK = (
    *("--model.width", "2", "--model.latent-size", "2", "--scheme.levels", "1", "--budget.d-updates", "2"),
    *("--records.no-tensorboard", "--records.evaluate-count", "0", "--records.sample-count", "4", "--threads", "1"),
)


@pytest.fixture
def ganneal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["ganneal.experiments.images"], "this_machine", lambda: CPU)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["train", *arguments])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def stored(directory: str) -> dict[str, Any]:
    return json.loads(Path(directory, "experiment.json").read_text())


def test_a_path_alone_trains_with_reasons_and_remembers_them(ganneal: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "mine", [(20, 17)] * 16)
    status, said = ganneal("mine", *QUICK)
    assert status == 0
    assert "--data.size " in said and "16  (shorter side 17 px, the largest network below the median)" in said
    assert "--model.width " in said and "64 -> 2 as given  (usual)" in said
    chosen = stored("runs/mine-nats")["chosen"]
    assert chosen["data.size"] == {
        "type": "Choice",
        "value": 16,
        "reason": "shorter side 17 px, the largest network below the median",
    }
    assert stored("runs/mine-nats")["experiment"]["batch_size"] == chosen["batch_size"]["value"] == 8


def test_on_resume_nothing_is_chosen_again(ganneal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "mine", [(16, 16)] * 16)
    assert ganneal("mine", "--seed", "3", *QUICK)[0] == 0
    before = stored("runs/mine-nats-seed3")
    monkeypatch.setattr(sys.modules["ganneal.experiments.images"], "this_machine", lambda: GPU)
    monkeypatch.setattr(chosen_settings, "image_choices", lambda path: pytest.fail("it chose again"))
    status, said = ganneal("mine", "--seed", "3", *QUICK, "--budget.d-updates", "4")
    assert status == 0 and "resuming" in said
    after = stored("runs/mine-nats-seed3")
    assert after["chosen"] == before["chosen"] and after["experiment"]["precision"] == "float32"


def test_every_choice_can_be_overridden(ganneal: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "mine", [(16, 16)] * 16)
    given_ = ("--data.size", "8", "--data.channels", "1", "--batch-size", "4", "--precision", "bf16", "--no-flip")
    status, said = ganneal("mine", "--dry-run", *QUICK, *given_)
    assert status == 0 and not Path("runs").exists()
    for line in ("size: 8", "channels: 1", "batch_size: 4", "precision: bf16", "flip: False"):
        assert f"  {line}\n" in said
    assert "data: 16 samples of shape (1, 8, 8)" in said


def test_named_experiments_choose_nothing(ganneal: Any) -> None:
    assert "chosen from" not in ganneal("digits-nats", "--dry-run")[1]
    assert "digits-nats" in EXPERIMENTS


def test_a_damaged_image_stops_training_with_the_way_on(ganneal: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "mine", [(16, 16)] * 16)
    (tmp_path / "mine" / "bad.png").write_bytes(b"bad")
    status, said = ganneal("mine", *QUICK)
    assert status == 2 and "the image bad.png" in said and "--data.on-damaged skip" in said
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        status, said = ganneal("mine", *QUICK, "--data.on-damaged", "skip")
    assert status == 0 and "warning: passed over: cannot read the image bad.png" in said


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("cifar10-test-lossless1k.zip", (3, 32, 32), Zip),
        ("mnist.npz", (1, 28, 28), Arrays),
        ("celeba10k-64.zip", (3, 64, 64), Zip),
        ("flowers-256.zip", (3, 64, 64), Zip),
    ],
)
def test_shared_sets_train_from_their_path(
    ganneal: Any, data_root: Path, tmp_path: Path, name: str, shape: tuple[int, ...], kind: type
) -> None:
    path = os.path.abspath(data_root / name)
    if name.endswith("-64.zip") or name.endswith("-256.zip"):  # a part is enough and quicker
        path = part_of(Path(path), tmp_path / name)
    assert type(source_at(path)) is kind
    status, said = ganneal(path, *QUICK, "--out", "run")
    assert status == 0, said
    assert stored("run")["data"]["shape"] == list(shape)


def part_of(path: Path, out: Path, count: int = 80) -> str:
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as part:
        for name in [n for n in archive.namelist() if n != "dataset.json"][:count]:
            part.writestr(name, archive.read(name))
    return str(out)
