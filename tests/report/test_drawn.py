"""Neighbours, interpolations and shared latents of a generator whose samples are known."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ganneal.data import Dataset, Digits
from ganneal.data.identity import identify
from ganneal.inference.loading import TrainedGenerator
from ganneal.models.protocol import ModelPair, Normal
from ganneal.report import drawn
from ganneal.report.pictures import Picture
from ganneal.report.records import RunRecord
from ganneal.task import Labelled, Unconditional

DIGITS = Digits(size=8).load()
SIDE = 48 + 2
"""Pixels from one tile of a sheet to the next."""


class Lookup(nn.Module):
    """Returns image number ``first`` of the data, the next one, ... whatever the latents."""

    def __init__(self, dataset: Dataset, first: int, brighter: float = 0.0):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.images = torch.from_numpy(dataset.samples[first : first + drawn.PROBES]).float() / 127.5 - 1 + brighter

    def forward(self, latents: Tensor) -> Tensor:
        return self.images[: len(latents)]


class Linear(nn.Module):
    """The first latent as brightness, the label as a shift."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        shift = 0 if labels is None else labels.float() / 10
        return (latents[:, 0] / 10 + shift)[:, None, None, None].expand(-1, 1, 8, 8)


def trained(generator: nn.Module, num_classes: int = 0) -> TrainedGenerator:
    pair = ModelPair(generator, nn.Identity(), Normal(3), (1, 8, 8), num_classes)
    return TrainedGenerator(generator, pair, Labelled() if num_classes else Unconditional())


def tiles(picture: Picture, rows: int, columns: int) -> np.ndarray:
    """The first pixel of each tile of a sheet."""
    data = base64.b64decode(picture.uri.partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("L"))
    return np.array([[pixels[2 + row * SIDE + 20, 2 + column * SIDE + 20] for column in range(columns)]
                     for row in range(rows)])  # fmt: skip


def test_copies_of_the_data_are_found_at_distance_zero() -> None:
    found = drawn.neighbours(trained(Lookup(DIGITS, 300)), DIGITS)
    assert found is not None
    assert found.sample_distance == pytest.approx(0, abs=1e-4)  # float32 samples of uint8 images
    assert found.real_distance > 1
    assert (found.searched, found.available) == (len(DIGITS), len(DIGITS))
    samples, nearest = tiles(found.samples, 1, drawn.NUM_SHOWN), tiles(found.nearest, 1, drawn.NUM_SHOWN)
    np.testing.assert_allclose(samples, nearest, atol=6)  # WebP may be lossy


def test_distances_are_grey_levels() -> None:
    found = drawn.neighbours(trained(Lookup(DIGITS, 0, brighter=2 / 255)), DIGITS)
    assert found is not None
    assert found.sample_distance == pytest.approx(1, rel=1e-3)  # one level of 255 everywhere, less than to any other


def test_the_size_of_the_parts_searched_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn.neighbours(trained(Lookup(DIGITS, 5)), DIGITS)
    monkeypatch.setattr(drawn, "SEARCHED_TOGETHER", 150)
    assert drawn.neighbours(trained(Lookup(DIGITS, 5)), DIGITS) == whole


def test_too_few_images_and_points_have_no_neighbours() -> None:
    few = Dataset(DIGITS.samples[: drawn.PROBES])
    points = Dataset(np.zeros((100, 2), dtype=np.float32))
    assert drawn.neighbours(trained(Lookup(DIGITS, 0)), few) is None
    assert drawn.neighbours(trained(Lookup(DIGITS, 0)), points) is None


def test_an_interpolation_keeps_one_class_along_a_row() -> None:
    plain = tiles(drawn.interpolation(trained(Linear())), drawn.PATH_ROWS, drawn.PATH_STEPS).astype(int)
    classed = tiles(drawn.interpolation(trained(Linear(), num_classes=10)), drawn.PATH_ROWS, drawn.PATH_STEPS).astype(
        int
    )
    shifts = classed - plain
    assert np.ptp(shifts, axis=1).max() <= 6  # a row is shifted as a whole, but for WebP
    assert np.ptp(shifts) > 6


def test_the_same_latents_give_equal_generators_equal_rows() -> None:
    first, second, missing = drawn.same_latents([trained(Linear()), trained(Linear()), None])
    assert first is not None and first == second and missing is None


@dataclass(frozen=True)
class Elsewhere:
    """A source nobody registered."""


def test_data_is_loaded_again_from_its_description_and_must_be_the_same(tmp_path: Path) -> None:
    def record(**data: object) -> RunRecord:
        described = {"shape": [1, 8, 8], "identity": identify(DIGITS).as_dict()}
        (tmp_path / "experiment.json").write_text(json.dumps({"experiment": {"data": data}, "data": described}))
        return RunRecord(tmp_path, {"data": data}, described)

    assert len(drawn.load_data(record(type="Digits", size=8))) == len(DIGITS)
    with pytest.raises(ValueError, match="shape 1x8x8 when the run began, 1x16x16 now"):
        drawn.load_data(record(type="Digits", size=16))
    with pytest.raises(ValueError, match="unknown part 'Elsewhere'"):
        drawn.load_data(record(type=Elsewhere.__name__))
    with pytest.raises(FileNotFoundError, match="no data at"):
        drawn.load_data(record(type="Folder", path="/nowhere/at/all", size=None, channels=None))
