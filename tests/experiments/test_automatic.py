"""Own images without a manual: settings from the data and the machine, with reasons, remembered, overridden."""

import gzip
import json
import os
import re
import struct
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Arrays, Cifar10, Cifar100, Folder, Idx, Zip, source_at
from ganneal.data.decode.survey import ImageHeader, Survey
from ganneal.data.tools.inspection import survey
from ganneal.experiments import EXPERIMENTS, named
from ganneal.experiments.automatic import Asked, choose
from ganneal.machine import Machine
from ganneal.models import DCGAN, MODELS
from ganneal.models.parts.checks import largest_size

CPU, GPU = Machine(False, False), Machine(True, True)


def pictures(folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> Path:
    random = np.random.default_rng(0)
    for index, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = folder / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert(mode).save(path)
    return folder


def surveyed(count: int, sides: Sequence[int], grey: bool = False) -> Survey:
    """A set of square images."""
    headers = Counter(ImageHeader(side, side, "L" if grey else "RGB", grey) for side in sides)
    return Survey(max(count, len(sides)), headers)


@for_each(
    ("side", "machine", "size"),
    [(28, CPU, 28), (32, CPU, 32), (63, CPU, 56), (64, CPU, 64), (256, CPU, 64), (256, GPU, 256), (4_000, GPU, 256)]
    + [
        (100, GPU, 96),
        (5, CPU, 8),
        (50, CPU, 48),
        (45, CPU, 40),
        (8, CPU, 8),
        (30, CPU, 28),
        (60, CPU, 56),
        (255, GPU, 224),
    ],
)
def test_the_size_is_the_largest_that_the_images_fill_and_the_machine_bears(
    side: int, machine: Machine, size: int
) -> None:
    assert choose(surveyed(50_000, [side]), machine)["data.size"].value == size


def test_one_small_image_among_many_does_not_decide() -> None:
    assert choose(surveyed(1_000, [9, *[64] * 99]), CPU)["data.size"].value == 64


@pytest.mark.runs
@given(st.integers(1, 10**7), st.lists(st.integers(1, 10**5), min_size=1, max_size=9), st.booleans(), st.booleans())
def test_whatever_is_chosen_can_be_built_and_has_a_reason(
    count: int, sides: list[int], grey: bool, accelerator: bool
) -> None:
    chosen = choose(surveyed(count, sides, grey), Machine(accelerator, accelerator))
    size, channels = chosen["data.size"].value, chosen["data.channels"].value
    assert channels == (1 if grey else 3)
    assert all(choice.reason for choice in chosen.values())
    assert json.loads(json.dumps([choice.value for choice in chosen.values()])) == [c.value for c in chosen.values()]
    DCGAN(width=1, latent_size=1).build((channels, size, size))


def test_on_a_cpu_and_for_classes_it_is_a_dcgan_and_on_a_gpu_the_published_network_for_few_images() -> None:
    data = surveyed(1_000, [64])
    assert choose(data, CPU)["recipe"].value == choose(data, GPU, Asked(plain=False))["recipe"].value == "dcgan"
    assert choose(data, GPU)["recipe"].value == "fastgan" and choose(data, GPU)["data.size"].value == 64
    assert choose(surveyed(1_000, [28]), GPU)["recipe"].value == "dcgan"
    assert all("--recipe nats" in choose(data, machine)["recipe"].reason for machine in (CPU, GPU))


@pytest.mark.parametrize(
    ("count", "budget", "chosen"),
    [
        (1_337, {"num_real": 2_000_000}, "diffaugment"),
        (1_337, {"num_real": 13_000}, "none"),
        (1_000, {"num_real": 10_000}, "diffaugment"),  # exactly 10 passes
        (1_000_000, {"num_real": 2_000_000}, "none"),
        (100, {"num_real": 10**9, "d_updates": 124}, "none"),  # batches of 8: 992 images
        (100, {"num_real": 10**9, "d_updates": 125}, "diffaugment"),
        (400, {"cpu_seconds": 9.0}, "none"),  # 400 images a second
        (400, {"cpu_seconds": 10.0}, "diffaugment"),
        (400, {"seconds": 9.0, "cpu_seconds": 1e6}, "none"),
    ],
)
def test_the_augmentation_follows_from_the_passes(count: int, budget: dict[str, float], chosen: str) -> None:
    choice = choose(surveyed(count, [64]), CPU, Asked(limits=budget))["augmentation"]
    assert choice.value == chosen and f"{count:,} images" in choice.reason


@pytest.mark.parametrize(
    ("count", "budget", "shown"),
    [
        (60, {"d_updates": 5}, "less than a pass over 60 images"),  # in batches of 8, as the run has
        (60, {"d_updates": 4_000}, "about 533 passes over 60 images"),
        (60, {"num_real": 60}, "about 1 pass over 60 images"),
        (60, {"num_real": 10**9, "seconds": 60}, "about 400 passes over 60 images, if this machine makes 400 images a"),
    ],
)
def test_the_passes_are_those_of_the_batch_that_is_trained(count: int, budget: dict[str, float], shown: str) -> None:
    assert shown in choose(surveyed(count, [64]), CPU, Asked(limits=budget))["augmentation"].reason


def test_the_budget_on_the_command_line_decides_the_augmentation_once(ganneal: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "mine", [(16, 16)] * 16)
    assert "--augmentation none  (the budget makes about 1 pass over" in spaced(ganneal("mine", *QUICK)[1])
    assert stored("runs/mine")["experiment"]["augmentation"]["type"] == "Unchanged"
    # A longer budget goes on with what was chosen first.
    status, said = ganneal("mine", *QUICK, "--budget.d-updates", "3", "--budget.num-real", "5000")
    assert status == 0 and "resuming" in said and "--augmentation none  (the budget makes about 1 pass" in spaced(said)
    said = spaced(ganneal("mine", "--dry-run", "--out", "long")[1])
    assert "--augmentation diffaugment  (the budget makes about 125,000 passes" in said
    said = spaced(ganneal("mine", "--dry-run", "--out", "long", "--augmentation", "none")[1])
    assert "--augmentation diffaugment -> Unchanged() as given" in said
    assert "--augmentation" not in ganneal("mine", "--dry-run", "--out", "long", "--recipe", "r3gan")[1]


def spaced(text: str) -> str:
    """Without the columns of a table."""
    return re.sub(r"(--[a-z-]+) +", r"\1 ", text)


def test_few_images_are_mirrored_and_writing_is_not() -> None:
    assert choose(surveyed(1_000, [64]), CPU)["flip"].value is True
    assert choose(surveyed(1_000, [64], True), CPU)["flip"].value is False
    assert choose(surveyed(100_000, [64]), CPU)["flip"].value is False


def test_precision_follows_what_the_machine_computes_in() -> None:
    data = surveyed(1_000, [64])
    assert choose(data, Machine(False, True))["precision"].value == "bf16"
    assert choose(data, Machine(True, False))["precision"].value == "float32"


def test_a_survey_reads_sizes_colours_and_classes(tmp_path: Path) -> None:
    pictures(tmp_path / "cat", [(30, 20), (64, 64)])
    pictures(tmp_path / "dog", [(40, 90)])
    found = survey(Folder(str(tmp_path)))
    assert (found.count, found.sides, found.grey, found.num_classes) == (3, (20, 40, 64), False, 2)
    assert not found.partial and found.sizes == {(30, 20): 1, (64, 64): 1, (40, 90): 1}
    grey = survey(Folder(str(pictures(tmp_path / "grey", [(8, 8)], "L"))))
    assert (grey.count, grey.sides, grey.grey, grey.channels) == (1, (8,), True, 1)


def test_a_survey_passes_over_damage_and_names_it_where_there_is_nothing_else(tmp_path: Path) -> None:
    pictures(tmp_path, [(16, 16)])
    (tmp_path / "broken.png").write_bytes(b"")
    assert survey(Folder(str(tmp_path))).sides == (16,)
    (tmp_path / "000.png").unlink()
    with pytest.raises(ValueError, match="cannot read the image broken.png"):
        survey(Folder(str(tmp_path)))


def test_a_survey_of_many_images_reads_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganneal.data.decode.survey.MOST_HEADERS", 4)
    found = survey(Folder(str(pictures(tmp_path, [(16 + n, 16 + n) for n in range(12)]))))
    assert found.count == 12 and found.sides == (16, 19, 22, 25) and found.partial


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
    *("--model.width", "2", "--model.latent-size", "2", "--budget.d-updates", "2"),
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
    assert "--data.size " in said and "16  (shorter side 17 px, the largest of DCGAN below it)" in said
    assert "--model.width " in said and "64 -> 2 as given  (for 16 px on a CPU)" in said
    chosen = stored("runs/mine")["chosen"]
    assert chosen["data.size"] == {
        "type": "Choice",
        "value": 16,
        "reason": "shorter side 17 px, the largest of DCGAN below it",
    }
    assert chosen["recipe"]["value"] == "dcgan" and "--recipe nats" in said
    assert stored("runs/mine")["experiment"]["batch_size"] == 8


def test_on_resume_nothing_is_chosen_again(ganneal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "mine", [(16, 16)] * 16)
    assert ganneal("mine", "--seed", "3", *QUICK)[0] == 0
    before = stored("runs/mine-seed3")
    monkeypatch.setattr(sys.modules["ganneal.experiments.images"], "this_machine", lambda: GPU)
    monkeypatch.setattr(named, "image_choices", lambda path, asked: pytest.fail("it chose again"))
    status, said = ganneal("mine", "--seed", "3", *QUICK, "--budget.d-updates", "4")
    assert status == 0 and "resuming" in said
    after = stored("runs/mine-seed3")
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


@for_each(
    ("model", "side", "size"),
    [("dcgan", 60, 56), ("sngan", 60, 56), ("sn-dcgan", 60, 56), ("r3gan", 60, 56), ("resnet-4", 60, 56)]
    + [("sngan", 20, 32), ("biggan", 300, 64)],  # below the smallest network; at most 64 px on a CPU
)
def test_the_size_is_the_largest_that_the_chosen_network_makes(model: str, side: int, size: int) -> None:
    choice = choose(surveyed(100, [side]), CPU, Asked(lambda recipe: [MODELS[model]]))["data.size"]
    assert choice.value == size
    assert size == side or f"{side} px" in choice.reason


def test_arms_of_a_comparison_get_a_size_that_all_their_networks_make() -> None:
    assert choose(surveyed(100, [60]), CPU, Asked(lambda recipe: [DCGAN(), MODELS["sngan"]]))["data.size"].value == 56
    assert choose(surveyed(100, [30]), CPU, Asked(lambda recipe: [DCGAN(), MODELS["sngan"]]))["data.size"].value == 32


def test_looking_for_a_size_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    assert largest_size(MODELS.values(), 3, 64) is None and largest_size([MODELS["biggan"]], 3, 40) == 40
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_named_on_the_command_line_decides_the_size(ganneal: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "mine", [(60, 60)] * 16)
    status, said = ganneal("mine", "--model", "sngan", "--dry-run")
    assert status == 0 and "56  (shorter side 60 px, the largest of SNGAN below it)" in said
