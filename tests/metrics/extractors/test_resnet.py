"""The networks against the accuracies and distances measured with another loader on the same files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.data import Dataset, Zip
from ganneal.metrics import frechet_distance
from ganneal.metrics.extractors import Extracted, ResNet
from ganneal.metrics.extractors.resnet import BasicBlock, CifarResNet

pytestmark = pytest.mark.usefixtures("data_root")


@pytest.fixture(scope="module")
def test_1k(data_root: Path) -> Dataset:
    return Zip(str(data_root / "cifar10-test-lossless1k.zip")).load()


@pytest.fixture(scope="module")
def jpeg_10k(data_root: Path) -> Dataset:
    return Zip(str(data_root / "cifar10-test-jpeg10k.zip")).load()


def seen(depth: int, data: Dataset) -> Extracted:
    return ResNet(20 if depth == 20 else 56).build((3, 32, 32))(torch.tensor(data.samples))


def accuracy(extracted: Extracted, data: Dataset) -> float:
    assert extracted.logits is not None and data.labels is not None
    return float((extracted.logits.argmax(dim=1).numpy() == data.labels).mean())


def exp_mean_kl(logits: Tensor | None) -> float:
    assert logits is not None
    p = logits.double().softmax(dim=1)
    return float((p * (p.log() - p.mean(dim=0).log())).sum(dim=1).mean().exp())


def test_depths_have_the_published_numbers_of_parameters():
    counts = [sum(p.numel() for p in CifarResNet((depth - 2) // 6).parameters()) for depth in (20, 56)]
    assert counts == [269_722, 853_018]  # 0.27 and 0.85 million in table 6 of the paper


def test_the_shortcut_drops_every_second_pixel_and_pads_channels_on_both_sides():
    block = BasicBlock(4, 8).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    maps = torch.rand(1, 4, 6, 6)
    shortcut = block(maps)
    assert torch.equal(shortcut[:, 2:6], maps[:, :, ::2, ::2])
    assert not shortcut[:, :2].any() and not shortcut[:, 6:].any()


@pytest.mark.runs
@pytest.mark.parametrize(("depth", "right"), [(20, 0.915), (56, 0.926)])
def test_accuracy_on_a_thousand_test_images(test_1k, depth, right):
    extracted = seen(depth, test_1k)
    assert accuracy(extracted, test_1k) == pytest.approx(right, abs=0.003)
    assert exp_mean_kl(extracted.logits) == pytest.approx({20: 9.26, 56: 9.50}[depth], rel=0.03)


def test_the_name_follows_the_depth_and_the_hash_is_the_files(data_root):
    extractor = ResNet(20).build((3, 32, 32))
    assert extractor.name == "resnet20" and extractor.dimensions == 64
    assert extractor.sha256 == "1872effa29e42d6e03ae294b93ce7b389dad6c162ff2f878674d81f49af83de1"
    assert extractor.input_scaling.startswith("(u - (123.675, ")


def test_other_sizes_are_refused_naming_an_extractor_that_takes_them():
    with pytest.raises(ValueError, match=r"shape must be 32x32 for resnet56, got \(3, 64, 64\); use 'mobilenet-v2'"):
        ResNet().build((3, 64, 64))


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_depth_is_refused():
    with pytest.raises(ValueError, match="depth must be 20 or 56, got 18"):
        ResNet(18)  # pyright: ignore[reportArgumentType]


def test_weights_of_the_other_depth_are_refused():
    with pytest.raises(ValueError, match="has unknown .* tensors, such as 'layer1.3.bn1.bias'"):
        ResNet(20, path="weights/cifar10_resnet56.npz").build((3, 32, 32))
    with pytest.raises(ValueError, match="lacks .* tensors, such as 'layer1.3.bn1.bias'"):
        ResNet(56, path="weights/cifar10_resnet20.npz").build((3, 32, 32))


def test_a_tensor_of_another_shape_is_refused(data_root, tmp_path):
    with np.load(data_root / "weights" / "cifar10_resnet20.npz") as archive:
        arrays = dict(archive)
    arrays["linear.weight"] = arrays["linear.weight"][:9]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ValueError, match=r"'linear.weight' in .* must have shape \[10, 64\], got \[9, 64\]"):
        ResNet(20, path=str(tmp_path / "wrong.npz")).build((3, 32, 32))


@for_each("content", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match="bad.npz is no .npz archive of plain arrays, or is damaged"):
        ResNet(20, path=str(tmp_path / "bad.npz")).build((3, 32, 32))


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        ResNet(path="nowhere.npz").build((3, 32, 32))


@pytest.fixture(scope="module")
def train_features(cifar_train: Dataset) -> dict[int, Extracted]:
    return {depth: seen(depth, cifar_train) for depth in (20, 56)}


REFERENCE = {
    20: {"train": 0.9979, "jpeg": 0.810, "test_1k": 0.167, "jpeg_10k": 2.65, "kl": 9.79, "halves": 0.0098, "1k": 0.143},
    56: {"train": 0.9999, "jpeg": 0.832, "test_1k": 0.194, "jpeg_10k": 2.53, "kl": 9.96, "halves": 0.0096, "1k": 0.147},
}


@pytest.mark.slow
@pytest.mark.parametrize("depth", [20, 56])
def test_distances_and_scores_on_cifar10_are_the_measured_ones(train_features, cifar_train, test_1k, jpeg_10k, depth):
    train, expected = train_features[depth], REFERENCE[depth]
    held_out, degraded = seen(depth, test_1k), seen(depth, jpeg_10k)
    assert accuracy(train, cifar_train) == pytest.approx(expected["train"], abs=0.003)
    assert accuracy(degraded, jpeg_10k) == pytest.approx(expected["jpeg"], abs=0.003)
    assert exp_mean_kl(train.logits) == pytest.approx(expected["kl"], rel=0.03)
    assert frechet_distance(train.features, held_out.features) == pytest.approx(expected["test_1k"], rel=0.03)
    assert frechet_distance(train.features, degraded.features) == pytest.approx(expected["jpeg_10k"], rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [20, 56])
def test_the_floor_between_random_parts_of_the_training_set_is_as_low_as_measured(train_features, depth):
    features = train_features[depth].features
    halves, thousands = [], []
    for seed in range(6):  # one draw is no measure: the share of each class in it moves the distance by half
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(features)))
        halves.append(frechet_distance(features[order[:25_000]], features[order[25_000:]]))
        thousands.append(frechet_distance(features, features[order[:1000]]))
    for values, expected in ((halves, REFERENCE[depth]["halves"]), (thousands, REFERENCE[depth]["1k"])):
        assert expected / 2 < np.mean(values) < expected * 2


@pytest.mark.slow
def test_bf16_moves_a_distance_by_less_than_a_percent(test_1k, jpeg_10k):
    distances = []
    for precision in ("float32", "bf16"):
        extractor = ResNet(20, precision=precision).build((3, 32, 32))
        parts = (extractor(torch.tensor(data.samples)).features for data in (test_1k, jpeg_10k))
        distances.append(frechet_distance(*parts))
    assert_close(distances[1], distances[0], rtol=0.01, atol=0)
