"""The network against values computed apart from it, with random weights; the real ones do not ship."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.testing import assert_close

from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inception_network import InceptionNetwork, Layer, Pooling

TOLERANCE = {"atol": 1e-4, "rtol": 0}
"""Float32 over 48 layers; other processors sum in another order."""


@pytest.fixture(scope="module")
def image() -> Tensor:
    noise = np.random.default_rng(8).uniform(-1, 1, (1, 3, 299, 299))
    return torch.from_numpy(noise.astype(np.float32))


def run(make: Callable[[], InceptionNetwork], state: dict[str, Tensor], image: Tensor) -> tuple[Tensor, Tensor | None]:
    with torch.inference_mode():
        return load_network(make, state, "random weights").eval()(image)


@pytest.fixture(scope="module")
def pool3(inception_state: dict[str, Tensor], image: Tensor) -> Tensor:
    return run(InceptionNetwork, inception_state, image)[0]


def test_there_are_94_units_and_as_many_numbers_as_in_the_public_file(inception_state):
    assert len(inception_state) == 94 * 5 + 2 == 472
    assert sum(value.numel() for value in inception_state.values()) == 23_885_392
    running = sum(v.numel() for name, v in inception_state.items() if "running" in name)
    assert 23_885_392 - running == 23_850_960


@for_each(
    ("name", "shape"),
    [
        ("Conv2d_1a_3x3.conv.weight", (32, 3, 3, 3)),
        ("Mixed_5b.branch5x5_2.conv.weight", (64, 48, 5, 5)),
        ("Mixed_5d.branch_pool.bn.running_var", (64,)),
        ("Mixed_6a.branch3x3dbl_3.conv.weight", (96, 96, 3, 3)),
        ("Mixed_6b.branch7x7_2.conv.weight", (128, 128, 1, 7)),
        ("Mixed_6c.branch7x7dbl_4.conv.weight", (160, 160, 7, 1)),
        ("Mixed_6e.branch7x7dbl_5.conv.weight", (192, 192, 1, 7)),
        ("Mixed_7a.branch7x7x3_4.conv.weight", (192, 192, 3, 3)),
        ("Mixed_7b.branch3x3dbl_1.conv.weight", (448, 1280, 1, 1)),
        ("Mixed_7c.branch3x3_2b.conv.weight", (384, 384, 3, 1)),
        ("fc.weight", (1008, 2048)),
    ],
)
def test_names_and_shapes_are_those_of_the_public_file(inception_state, name, shape):
    assert tuple(inception_state[name].shape) == shape


def test_pool3_and_both_logits_have_the_values_computed_apart(inception_state, image, pool3):
    assert_close(pool3[0, :4], torch.tensor([0, 0.036123, 0.002517, 0.242386]), **TOLERANCE)
    assert pool3.sum().item() == pytest.approx(2269.2944, abs=0.01)
    _, unbiased = run(InceptionNetwork, inception_state, image)
    _, biased = run(lambda: InceptionNetwork(biased_logits=True), inception_state, image)
    assert unbiased is not None and biased is not None
    assert_close(unbiased[0, :4], torch.tensor([0.448354, 1.263383, -1.351466, -0.805765]), **TOLERANCE)
    assert_close(biased[0, :4], torch.tensor([0.411483, 1.253970, -1.463260, -0.775500]), **TOLERANCE)
    assert_close(biased - unbiased, inception_state["fc.bias"][None], atol=1e-5, rtol=0)


def test_the_768_features_have_the_values_computed_apart(inception_state, image):
    features, logits = run(lambda: InceptionNetwork("768"), inception_state, image)
    assert_close(features[0, :3], torch.tensor([0.013770, 2.701750, 2.431055]), **TOLERANCE)
    assert features.shape == (1, 768) and logits is None


@pytest.mark.runs
@for_each(("layer", "side"), [("64", 73), ("192", 35), ("768", 17), ("2048", 8)])
def test_layers_have_the_published_sizes_of_maps(inception_state, layer: Layer, side):
    network = load_network(lambda: InceptionNetwork(layer), inception_state, "random weights").eval()
    with torch.inference_mode():
        maps = network._maps(torch.zeros(1, 3, 299, 299))
        assert maps.shape == (1, int(layer), side, side)
        assert_close(network(torch.zeros(1, 3, 299, 299))[0], maps.mean(dim=(2, 3)))


def count_padding(network: InceptionNetwork) -> None:
    for module in network.modules():
        if isinstance(module, Pooling) and module.kind == "mean":
            module.kind = "padded mean"


def average_last_block(network: InceptionNetwork) -> None:
    network.Mixed_7c.pool.kind = "mean"


def usual_epsilon(network: InceptionNetwork) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5


@for_each("mistake", [count_padding, average_last_block, usual_epsilon])
def test_each_deviation_from_the_usual_network_moves_pool3_by_a_thousand_tolerances(
    inception_state, image, pool3, mistake
):
    network = load_network(InceptionNetwork, inception_state, "random weights").eval()
    mistake(network)
    with torch.inference_mode():
        assert (network(image)[0] - pool3).abs().max() > 0.1


def test_torchvisions_network_is_the_same_but_for_its_pooling_and_outputs(inception_state, image, pool3):
    state = inception_state | {name: inception_state[name][:1000] for name in ("fc.weight", "fc.bias")}
    features, logits = run(lambda: InceptionNetwork(torchvision=True, biased_logits=True), state, image)
    assert logits is not None and logits.shape == (1, 1000)
    assert (features - pool3).abs().max() > 0.1

    network = load_network(lambda: InceptionNetwork(torchvision=True), state, "random weights").eval()
    for module in network.modules():
        if isinstance(module, Pooling):
            module.kind = "mean"
    network.Mixed_7c.pool.kind = "max"
    with torch.inference_mode():
        assert_close(network(image)[0], pool3, **TOLERANCE)


def test_a_pool_without_padding_averages_what_is_there():
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(Pooling("mean")(ones), ones)
    assert Pooling("padded mean")(ones)[0, 0, 0, 0].item() == pytest.approx(4 / 9)
    assert torch.equal(Pooling("max")(-ones), -ones)


def test_images_of_75_pixels_pass_and_of_74_do_not(inception_state):
    network = load_network(InceptionNetwork, inception_state, "random weights").eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 75, 75))[0].shape == (1, 2048)
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 3, 74, 74))


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be one of 64, 192, 768, 2048, got '1024'"):
        InceptionNetwork("1024")  # pyright: ignore[reportArgumentType]
