import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.testing import assert_close

from ganneal.metrics.extractors import ModuleExtractor, Random, weights_sha256
from ganneal.metrics.extractors.module import _legacy_exact_float32, exact_float32
from ganneal.metrics.resize import Resize, Scaling


class Mean(nn.Module):
    """The mean of each channel, so that features can be computed by hand."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), Mean())


IMAGES = torch.arange(10 * 3 * 8 * 8).remainder(251).reshape(10, 3, 8, 8).to(torch.uint8)


def test_the_input_is_resized_then_scaled():
    extractor = ModuleExtractor(
        Mean(), name="mean", shape=(3, 8, 8), resize=Resize("friendly", 4), scaling=Scaling((10,), (2,))
    )
    expected = (IMAGES.float().mean(dim=(2, 3)) - 10) / 2  # halving by averages that reach no further keeps means
    assert extractor.resize == "friendly-4" and extractor.input_scaling == "(u - 10) / 2"
    # antialiasing weighs the border's pixels a little more, by at most 1 in 16 of the contrast
    assert_close(extractor(IMAGES).features, expected, atol=8, rtol=0)
    constant = torch.full((2, 3, 8, 8), 50, dtype=torch.uint8)
    assert_close(extractor(constant).features, torch.full((2, 3), 20.0), atol=1e-4, rtol=0)


@for_each("batch_size", [1, 3, 10, 64])
def test_the_batch_size_is_a_matter_of_memory_only(batch_size):
    extractor = ModuleExtractor(network(), name="mine", shape=(3, 8, 8), batch_size=batch_size)
    whole = ModuleExtractor(network(), name="mine", shape=(3, 8, 8), batch_size=100)
    assert_close(extractor(IMAGES), whole(IMAGES), atol=1e-5, rtol=1e-5)


def test_the_callers_module_stays_in_training_and_trains_on_without_changing_the_extractor():
    module = network().train()
    extractor = ModuleExtractor(module, name="mine", shape=(3, 8, 8))
    before, sha256 = extractor(IMAGES).features, extractor.sha256
    assert module.training and all(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    assert torch.equal(extractor(IMAGES).features, before) and extractor.sha256 == sha256
    assert ModuleExtractor(module, name="mine", shape=(3, 8, 8)).sha256 != sha256


def test_batch_norm_uses_running_statistics_and_dropout_is_off():
    extractor = ModuleExtractor(network(), name="mine", shape=(3, 8, 8))
    assert torch.equal(extractor(IMAGES).features, extractor(IMAGES).features)
    assert_close(extractor(IMAGES[:2]).features, extractor(IMAGES).features[:2], atol=1e-5, rtol=1e-5)


def test_a_pair_from_the_module_is_features_and_logits():
    class Pair(nn.Module):
        def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * points, points.sum(dim=1, keepdim=True)

    features, logits = ModuleExtractor(Pair(), name="pair", shape=(2,))(torch.tensor([[1.0, 3.0]]))
    assert features.tolist() == [[2.0, 6.0]] and logits is not None and logits.tolist() == [[4.0]]


def test_float64_modules_and_points_give_float32_features():
    extractor = ModuleExtractor(nn.Linear(2, 3).double(), name="mine", shape=(2,))
    assert extractor(torch.ones(4, 2, dtype=torch.float64)).features.dtype == torch.float32
    assert extractor.input_scaling == "none"


def test_bf16_changes_features_by_its_rounding_and_is_on_record():
    plain, rough = (Random(precision=p).build((3, 16, 16)) for p in ("float32", "bf16"))
    x = IMAGES.repeat(1, 1, 2, 2)
    a, b = plain(x).features, rough(x).features
    assert rough.precision == "bf16" and b.dtype == torch.float32 and plain.sha256 == rough.sha256
    # bf16 keeps 8 bits: 0.4 % an operation, here three layers deep
    assert not torch.equal(a, b) and (a - b).abs().max() < 0.03 * a.abs().max()


def test_weights_hash_sees_values_names_and_shapes():
    state = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    variants = [
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.full((1,), 1 + 1e-7)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1).double()},
    ]
    hashes = {weights_sha256(variant) for variant in [state, *variants]}
    assert len(hashes) == 5
    assert weights_sha256(dict(reversed(state.items()))) == weights_sha256(state)
    assert weights_sha256({"a": torch.zeros(3, 2).T, "b": torch.ones(1)}) == weights_sha256(state)


def test_another_seed_is_another_random_network():
    first, again, other = (Random(seed=seed).build((3, 8, 8)) for seed in (0, 0, 1))
    assert torch.equal(first(IMAGES).features, again(IMAGES).features) and first.sha256 == again.sha256
    assert not torch.equal(first(IMAGES).features, other(IMAGES).features) and first.sha256 != other.sha256


@for_each("switch", [exact_float32, _legacy_exact_float32])
@for_each("chosen", ["highest", "high", "medium"])
def test_the_programs_choice_of_arithmetic_is_put_back_after_an_error_too(switch, chosen):
    torch.set_float32_matmul_precision(chosen)
    try:
        with pytest.raises(KeyError), switch():
            raise KeyError
        assert torch.get_float32_matmul_precision() == chosen and torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_legacy_switches_turn_tf32_off_inside():
    with _legacy_exact_float32():
        assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("no_shape_checks")
@for_each(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"precision": "fp16"}, "precision must be 'float32' or 'bf16', got 'fp16'"),
        ({"shape": (8, 8)}, r"shape must be \(C, H, W\) or \(D,\) for mine"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ModuleExtractor(Mean(), **({"name": "mine", "shape": (3, 8, 8)} | options))
