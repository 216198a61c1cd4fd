"""What holds for every extractor."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.testing import assert_close

from ganneal.metrics.extractors import (
    EXTRACTORS,
    CifarCNN,
    EfficientNetLite0,
    Extractor,
    ExtractorConfig,
    Inception,
    InceptionTorchvision,
    MnistCNN,
    MobileNetV2,
    ModuleExtractor,
    Pixels,
    Points,
    Random,
    ResNet,
)
from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inception_network import InceptionNetwork

pytestmark = pytest.mark.usefixtures("data_root")

CASES = {
    "pixels": (Pixels(4), (3, 8, 12)),
    "points": (Points(), (2,)),
    "mnist-cnn": (MnistCNN(), (1, 20, 20)),
    "cifar-cnn": (CifarCNN(), (3, 20, 20)),
    "random": (Random(width=8), (4, 9, 9)),
    "resnet20": (ResNet(20), (3, 32, 32)),
    "resnet56": (ResNet(56), (3, 32, 32)),
    "stacked-mnist-cnn": (MnistCNN(stacked=True), (3, 28, 28)),
    "mobilenet-v2": (MobileNetV2(size=32), (3, 20, 20)),
    "efficientnet-lite0": (EfficientNetLite0(size=32), (3, 20, 20)),
}
INCEPTIONS = {"inception": Inception, "inception-torchvision": InceptionTorchvision}
"""Their weights do not ship; the network itself is in the cases below by its first layers."""


@pytest.fixture(params=[*CASES, "inception stem", "module"])
def built(request: pytest.FixtureRequest, inception_state: dict[str, Tensor]) -> tuple[Extractor, tuple[int, ...]]:
    if request.param in CASES:
        config, shape = CASES[request.param]
        return config.build(shape), shape
    if request.param == "module":
        return ModuleExtractor(nn.Sequential(nn.Linear(5, 3), nn.Tanh()), name="mine", shape=(5,)), (5,)
    network = load_network(lambda: InceptionNetwork("64"), inception_state, "random")
    return ModuleExtractor(network, name="stem", shape=(3, 75, 75), channels=3, layer="64"), (3, 75, 75)


def samples(count: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    if len(shape) == 1:
        return torch.from_numpy(random.standard_normal((count, *shape)).astype(np.float32))
    return torch.from_numpy(random.integers(0, 256, (count, *shape), dtype=np.uint8))


def test_every_registered_name_is_in_these_tests_or_has_its_own():
    assert set(EXTRACTORS) == set(CASES) | set(INCEPTIONS)
    for name, (config, _) in CASES.items():
        assert type(EXTRACTORS[name]) is type(config)


@for_each("config", EXTRACTORS.values(), ids=EXTRACTORS)
def test_configurations_can_be_compared_and_serve_as_keys(config):
    assert isinstance(config, ExtractorConfig)
    assert config == type(config)(**vars(config)) and len({config, type(config)(**vars(config))}) == 1


@pytest.mark.runs
@for_each("count", [0, 1, 3])
def test_there_is_a_finite_float32_row_for_each_sample(built, count):
    extractor, shape = built
    features, logits = extractor(samples(count, shape))
    assert features.shape == (count, extractor.dimensions)
    for part in (features, logits):
        if part is not None:
            assert part.dtype == torch.float32 and part.device.type == "cpu" and len(part) == count
            assert part.isfinite().all() and not part.requires_grad and not part.is_inference()


@pytest.mark.runs
def test_everything_a_record_names_is_there(built):
    extractor, _ = built
    assert isinstance(extractor, Extractor)
    assert extractor.sha256 is None or (len(extractor.sha256) == 64 and int(extractor.sha256, 16) >= 0)
    assert extractor.precision == "float32"
    assert all(isinstance(text, str) and text for text in (extractor.name, extractor.layer, extractor.resize))
    assert extractor.input_scaling


@pytest.mark.runs
def test_a_samples_features_depend_on_nothing_but_itself(built):
    extractor, shape = built
    x = samples(5, shape)
    together = extractor(x).features
    alone = torch.cat([extractor(sample[None]).features for sample in x])
    # other batch sizes may take other convolution kernels: rounding only
    assert_close(alone, together, atol=1e-4, rtol=1e-4)


@pytest.mark.runs
def test_features_do_not_change_with_the_programs_modes(built):
    extractor, shape = built
    x = samples(3, shape)
    plain = extractor(x)

    def same(context: Callable[[], AbstractContextManager]) -> bool:
        with context():
            return torch.equal(extractor(x).features, plain.features)

    assert same(nullcontext) and same(torch.no_grad) and same(torch.enable_grad)
    assert same(lambda: torch.autocast("cpu", torch.bfloat16))
    torch.set_float32_matmul_precision("medium")
    try:
        assert same(nullcontext)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.runs
def test_building_and_calling_draw_no_global_random_numbers(data_root, built):
    extractor, shape = built
    before = torch.get_rng_state(), str(np.random.get_state())
    for config, own_shape in CASES.values():
        config.build(own_shape)
    extractor(samples(2, shape))
    assert torch.equal(torch.get_rng_state(), before[0]) and str(np.random.get_state()) == before[1]


@pytest.mark.runs
def test_calling_leaves_the_samples_alone_and_torch_as_it_was(built):
    extractor, shape = built
    x = samples(2, shape)
    copy = x.clone()
    extractor(x)
    assert torch.equal(x, copy)
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    assert torch.backends.cudnn.allow_tf32 and torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("name", ["resnet20", "mobilenet-v2"])
def test_a_grey_image_counts_as_three_equal_channels(name):
    config, (_, *sides) = CASES[name]
    grey = samples(2, (1, *sides))
    colour = config.build((3, *sides))(grey.repeat(1, 3, 1, 1))
    assert_close(config.build((1, *sides))(grey).features, colour.features, atol=1e-5, rtol=1e-5)


@for_each("name", ["resnet20", "mobilenet-v2", "mnist-cnn", "inception", "inception-torchvision"])
@for_each("shape", [(4, 32, 32), (2, 32, 32), (2,), (32, 32)])
def test_networks_of_pictures_refuse_transparency_and_points(name, shape):
    with pytest.raises(ValueError, match=f"shape must .*{name}, got {re.escape(str(shape))}"):
        EXTRACTORS[name].build(shape)


@for_each(("name", "shape"), [("pixels", (2,)), ("random", (2,)), ("points", (1, 8, 8))])
def test_others_refuse_what_they_are_not_for(name, shape):
    with pytest.raises(ValueError, match=f"shape must be .* for {name}"):
        EXTRACTORS[name].build(shape)


@pytest.mark.runs
@pytest.mark.usefixtures("no_shape_checks")
def test_samples_of_another_shape_or_type_are_refused(built):
    extractor, shape = built
    x = samples(2, shape)
    with pytest.raises(ValueError, match=r"samples must have shape \[n, "):
        extractor(x[..., :-1])
    with pytest.raises(ValueError, match="samples must be (uint8 images|floating-point points)"):
        extractor(x.float() if len(shape) == 3 else x.int())
