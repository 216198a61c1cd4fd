"""Where named data sets lie: GANNEAL_DATA, then what `ganneal data fetch` wrote; one line where they are nowhere."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.originals import few_photographs, write_cifar10
from tests.data.sources.test_files import encoded, write_folder
from tests.data.sources.test_originals import IMAGES, LABELS, idx

from ganneal.cli import main
from ganneal.data import DATASETS, CelebA, Cifar10, Idx, find_data
from ganneal.data.finding import NAMED_SETS, fetched_folder
from ganneal.data.tools.download import DOWNLOADS
from ganneal.evaluation.read_again import training_data
from ganneal.experiments import EXPERIMENTS
from ganneal.storage.run_directory import RunDirectory

SMALL = [
    *("--model.width", "8", "--batch-size", "4", "--budget.d-updates", "2"),
    *("--records.evaluate-count", "40", "--records.no-tensorboard"),
]


def write_mnist(folder: Path) -> None:
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))


def test_what_can_be_fetched_is_named_and_nothing_else_is_said_to_be(stranger: Path) -> None:
    assert {name for name, known in NAMED_SETS.items() if not known.own} == set(DOWNLOADS)
    assert fetched_folder("mnist") == stranger / "mnist"


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_set_that_is_nowhere_is_one_line_with_one_command(
    stranger: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(stranger / "mine"))
    with pytest.raises(FileNotFoundError) as error:
        DATASETS[name].load()
    message, title = str(error.value), NAMED_SETS[name].title
    places = f"{name}, {stranger / 'mine' / name}, {stranger / name}"
    assert message == f"no {title} at {places}; download it with `ganneal data fetch {name}`."


def test_the_folder_of_the_environment_goes_before_what_was_fetched(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = write_cifar10(stranger / "cifar10", few_photographs(20))
    assert len(Cifar10().load()) == 20 and find_data("cifar10") == fetched.parent
    write_cifar10(stranger.parent / "mine" / "cifar10", few_photographs(30))
    monkeypatch.setenv("GANNEAL_DATA", str(stranger.parent / "mine"))
    assert len(Cifar10().load()) == 30
    shutil.rmtree(stranger.parent / "mine")
    assert len(Cifar10().load()) == 20


@pytest.mark.parametrize("name", ["mnist", "cifar10", "fashion-mnist", "cifar100"])
def test_a_folder_of_that_name_without_the_files_is_not_taken_for_the_set(stranger: Path, name: str) -> None:
    write_folder(Path(name), {"a/one.png": encoded(np.zeros((8, 8), dtype=np.uint8))})
    with pytest.raises(FileNotFoundError, match=f"ganneal data fetch {name}"):
        find_data(name)


def test_every_form_of_a_set_is_found_by_its_name(stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = stranger / "mine"
    monkeypatch.setenv("GANNEAL_DATA", str(mine))
    data = few_photographs(20)
    write_cifar10(mine, data)
    assert np.array_equal(Cifar10().load().samples, data.samples)  # the archive as it was downloaded
    shutil.unpack_archive(mine / "cifar-10-python.tar.gz", mine)
    (mine / "cifar-10-python.tar.gz").unlink()
    assert np.array_equal(Cifar10().load().samples, data.samples)  # unpacked
    assert main(["data", "convert", str(mine / "cifar-10-batches-py"), str(mine / "cifar10-train.zip")]) == 0
    shutil.rmtree(mine / "cifar-10-batches-py")
    read = Cifar10().load()  # as a zip of images, which are sorted by class
    assert sorted(map(bytes, np.asarray(read.samples))) == sorted(map(bytes, data.samples)) and read.num_classes == 10
    with pytest.raises(ValueError, match="split must be 'train' of a zip, got 'test' of .*ganneal data fetch cifar10"):
        Cifar10(split="test").load()
    np.savez(mine / "mnist.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3], y_test=LABELS[:3])
    assert len(Idx("mnist").load()) == 7 and len(Idx("mnist", split="test").load()) == 3


def test_a_zip_of_other_images_is_no_cifar10(stranger: Path) -> None:
    write_folder(Path("own"), {f"{name}.png": encoded(np.zeros((8, 8), dtype=np.uint8)) for name in "ab"})
    assert main(["data", "convert", "own", "own.zip"]) == 0
    with pytest.raises(ValueError, match="own.zip must hold images of 32 x 32 px in ten classes, got shape"):
        Cifar10("own.zip").load()


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_celeba_can_be_a_folder_or_zip_of_ones_own(stranger: Path, form: str) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4, 90, 80, 3), dtype=np.uint8)
    write_folder(Path("faces"), {f"{n}.png": encoded(row) for n, row in enumerate(rows)})
    if form == "zip":
        shutil.make_archive("faces", "zip", "faces")
    data = CelebA("faces.zip" if form == "zip" else "faces", attribute=None, split="all", size=64).load()
    assert data.samples.shape == (4, 3, 64, 64) and data.labels is None
    assert data.description["licence"] == "that of the images; not known to ganneal"  # and not CelebA's


def test_the_error_of_celeba_says_that_it_may_be_ones_own(stranger: Path, capsys: Any) -> None:
    assert main(["train", "celeba-nats"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    own = "give a folder or zip of faces of your own (--data.path PATH)"
    assert last == f"error: no CelebA at celeba, {stranger / 'celeba'}; {own}."


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_starts_in_an_empty_folder_or_says_in_one_line_what_is_missing(
    stranger: Path, capsys: Any, name: str
) -> None:
    starts = name.startswith(("digits", "ring"))
    assert main(["train", name, "--dry-run"]) == (0 if starts else 2)
    first, *rest = capsys.readouterr().out.splitlines()
    if starts:
        assert first == "Experiment" and any(line.startswith("data: ") for line in rest)
        return
    ways = {"mnist": "ganneal data fetch mnist", "cifar10": "ganneal data fetch cifar10"}
    way = ways.get(name.partition("-")[0], "--data.path PATH")
    assert first.startswith("it would be refused: no ") and way in first and rest[0] == ""
    assert list(Path().iterdir()) == []


@pytest.mark.runs
def test_fetching_is_enough_to_train_and_to_find_the_data_again(stranger: Path) -> None:
    write_cifar10(stranger / "cifar10", few_photographs())
    write_mnist(stranger / "mnist")
    for name, count in (("cifar10", 60), ("mnist", 7)):
        assert main(["train", f"{name}-nats", *SMALL]) == 0
        found = training_data(RunDirectory(f"runs/{name}-nats"))
        assert len(found.dataset) == count and not found.changes


@pytest.mark.runs
def test_a_run_goes_on_where_its_set_moved(stranger: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    mine = stranger.parent / "mine"
    write_cifar10(mine / "cifar10", few_photographs())
    monkeypatch.setenv("GANNEAL_DATA", str(mine))
    assert main(["train", "cifar10-nats", *SMALL]) == 0
    mine.rename(mine.with_name("elsewhere"))
    monkeypatch.setenv("GANNEAL_DATA", str(mine.with_name("elsewhere")))
    assert main(["train", "cifar10-nats", *SMALL, "--budget.d-updates", "4"]) == 0
    assert "--data.path" not in capsys.readouterr().err
    monkeypatch.delenv("GANNEAL_DATA")  # the run knows where its data were
    assert main(["train", "cifar10-nats", *SMALL, "--budget.d-updates", "6"]) == 0
    shutil.move(mine.with_name("elsewhere") / "cifar10", stranger / "cifar10")
    assert main(["train", "cifar10-nats", *SMALL, "--budget.d-updates", "8"]) == 0
    write_cifar10(stranger / "cifar10", few_photographs(40))
    assert main(["train", "cifar10-nats", *SMALL, "--budget.d-updates", "10"]) == 2
    assert "60 images when the run began, 40 now" in capsys.readouterr().err
