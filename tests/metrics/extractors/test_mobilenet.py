import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch.testing import assert_close

from ganneal.data.decode.images import Format, decode_image
from ganneal.metrics.extractors import MobileNetV2
from ganneal.metrics.extractors.inverted_residual import InvertedResidual
from ganneal.metrics.extractors.mobilenet import Convolution, MobileNet, dequantised

pytestmark = pytest.mark.usefixtures("data_root")


def daisies(data_root: Path, count: int) -> torch.Tensor:
    """The first photographs of the zip, whose entries are sorted by class."""
    with zipfile.ZipFile(data_root / "flowers-256.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("daisy/")][:count]
        return torch.from_numpy(np.stack([decode_image(archive.read, name, Format(256, 3)) for name in names]))


def test_the_network_has_the_published_number_of_weights():
    # 3.5 million with 1,000 classes; batch norm is folded in, and there is a background class
    with torch.device("meta"):
        count = sum(p.numel() for p in MobileNet().parameters() if p.ndim > 1)
    assert count == 3_469_760 + 1280


@for_each("length", [7, 8, 15, 16])
def test_a_stride_of_two_rounds_the_size_up_and_pads_even_sizes_at_the_end_only(length):
    convolution = Convolution(1, 1, 3, stride=2, linear=True)
    torch.nn.init.ones_(convolution.convolution.weight)
    torch.nn.init.zeros_(convolution.convolution.bias)  # pyright: ignore[reportArgumentType]
    counted = convolution(torch.ones(1, 1, length, length))[0, 0]  # how many pixels each window sees
    assert counted.shape == (-(-length // 2),) * 2
    assert counted[0, 0] == (9 if length % 2 == 0 else 4) and counted[-1, -1] == 4


def test_a_stride_of_one_is_padded_on_every_side():
    x = torch.rand(1, 2, 5, 5)
    convolution = Convolution(2, 3, 3)
    inner = convolution.convolution
    assert_close(convolution(x), F.relu6(F.conv2d(x, inner.weight, inner.bias, padding=1)))


@for_each(("inputs", "outputs", "stride", "adds"), [(8, 8, 1, True), (8, 8, 2, False), (4, 8, 1, False)])
def test_the_input_is_added_where_the_shape_stays(inputs, outputs, stride, adds):
    block = InvertedResidual(Convolution, inputs, outputs, 6, 3, stride)
    for parameter in block.project.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(2, inputs, 4, 4)
    assert torch.equal(block(x), x if adds else torch.zeros_like(block(x)))


def test_weights_are_scaled_by_output_channel():
    arrays = {
        "block3.dw.weight_q": torch.tensor([[[[2]]], [[[-3]]]], dtype=torch.int8),
        "block3.dw.scale": torch.tensor([0.5, 2.0]),
        "block3.dw.bias": torch.tensor([1.0, 2.0]),
    }
    state = dequantised(arrays)
    assert set(state) == {"blocks.3.depthwise.convolution.weight", "blocks.3.depthwise.convolution.bias"}
    assert state["blocks.3.depthwise.convolution.weight"].flatten().tolist() == [1.0, -6.0]


def test_weights_without_their_scale_are_refused(data_root, tmp_path):
    with np.load(data_root / "weights" / "mobilenet_v2_imagenet.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != "head.scale"}
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ValueError, match="head.weight_q needs head.scale"):
        MobileNetV2(str(tmp_path / "wrong.npz")).build((3, 64, 64))


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="tensors, such as .*; it is for another network"):
        MobileNetV2("weights/cifar10_resnet20.npz").build((3, 64, 64))


@pytest.mark.parametrize("count", [16, pytest.param(100, marks=pytest.mark.slow)])
def test_four_in_five_daisies_are_called_daisies(data_root, count):
    names = (data_root / "weights" / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    extractor = MobileNetV2(size=224).build((3, 256, 256))
    features, logits = extractor(daisies(data_root, count))
    assert features.shape == (count, 1280) and features.min() >= 0 and features.max() <= 6
    assert logits is not None
    assert (logits.argmax(dim=1) == names.index("daisy")).float().mean() >= 0.8


def test_the_record_names_rule_and_size():
    extractor = MobileNetV2(size=64).build((1, 28, 28))
    assert (extractor.name, extractor.resize, extractor.dimensions) == ("mobilenet-v2", "clean-64", 1280)


def test_a_tiny_size_is_refused():
    with pytest.raises(ValueError, match="size must be at least 32, got 16"):
        MobileNetV2(size=16)
