"""Normalisations of the discriminator: given values, bounds on slopes, and what each move leaves alone."""

import io
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ganneal.data import Digits, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.engine.updates import optimize
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, MLP, R3GAN, SNGAN
from ganneal.models.parts.freezing import frozen
from ganneal.models.parts.spectral import SpectralWeight
from ganneal.normalization import (
    NORMALIZATIONS,
    GradientNormalization,
    GradientNormalized,
    GraN,
    Normalization,
    Spectral,
    gradient_normalized,
    gran,
)
from ganneal.optim import OPTIMIZERS, SGD, Adam
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import Nested
from ganneal.steps import UpdateDiscriminator, UpdateGenerator
from tests.for_each import for_each

pytestmark = pytest.mark.usefixtures("one_thread")
W = torch.tensor([0.6, -0.8], dtype=torch.float64)
M = torch.tensor([[0.5, 0.1], [0.1, -0.3]], dtype=torch.float64)
REAL = torch.tensor([[1.0, 0.5], [-0.5, 2.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.2, -1.0], [1.5, 1.0]], dtype=torch.float64)
BY_GRADIENT = ("gradient", "gran")
LAYER_NORM = DCGAN(width=4, latent_size=4, d_norm="layer")

every_normalization = for_each("name", NORMALIZATIONS)


class Quadratic(nn.Module):
    """D(x) = w.x + x'Mx/2 + 0.2."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ W + 0.5 * ((x @ M) * x).sum(1) + 0.2


def piecewise_linear(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Flatten(0)
    )
    return net.to(dtype)


def ring(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=200),
        model=MLP(width=8, depth=2, latent_size=2),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        batch_size=16,
        budget=Budget(d_updates=4),
        records=Records(log_every=10**9),
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    return replace(ring(data=Digits(), model=LAYER_NORM), **changes)


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    for _ in engine.training_rows(run):
        pass
    return run


@every_normalization
def test_is_a_frozen_value_to_compare_and_save(name: str) -> None:
    part = NORMALIZATIONS[name]
    assert isinstance(part, Normalization) and isinstance(hash(part), int)
    assert pickle.loads(pickle.dumps(part)) == part
    for field in fields(part):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(part, field.name, getattr(part, field.name))


@every_normalization
def test_the_changed_discriminator_keeps_its_form_and_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    pair = DCGAN(width=4, latent_size=2, d_norm="none").build((1, 8, 8))
    count = sum(p.numel() for p in pair.discriminator.parameters())
    changed = NORMALIZATIONS[name].apply(pair.discriminator)
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    logits = changed(images)
    assert logits.shape == (5,) and logits.dtype == torch.float32
    assert sum(p.numel() for p in changed.parameters()) == count
    weights = torch.arange(1.0, 6.0)
    gradients = torch.autograd.grad((weights * logits).sum(), list(changed.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients)


@every_normalization
def test_state_round_trips_bit_for_bit(name: str) -> None:
    def fresh(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return NORMALIZATIONS[name].apply(DCGAN(width=4, latent_size=2, d_norm="none").build((1, 8, 8)).discriminator)

    one, other = fresh(0), fresh(1)
    one(torch.rand(5, 1, 8, 8))
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    images = torch.rand(5, 1, 8, 8)
    assert torch.equal(one(images), other(images))


# Spectral


def test_power_iteration_on_the_given_matrix() -> None:
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    weight = SpectralWeight(matrix, 0, 1e-12).double()
    weight.u = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    sigmas = [(matrix / weight(matrix))[0, 0].item() for _ in range(3)]
    assert sigmas == pytest.approx([9.327379, 9.525516, 9.525518], abs=5e-7)
    weight.u = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    weight(matrix)
    assert weight.u[0].tolist() == pytest.approx([0.239732, 0.527410, 0.815088], abs=5e-7)


@for_each(
    "build",
    [lambda: nn.Linear(5, 7), lambda: nn.Conv2d(3, 6, 3), lambda: nn.ConvTranspose2d(3, 6, 4)],
    ids=["linear", "convolution", "transposed"],
)
def test_the_largest_singular_value_comes_to_one(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    layer = build()
    original = layer.weight.detach().clone()  # type: ignore[union-attr]
    Spectral().apply(layer)
    weight: Tensor = layer.weight  # type: ignore[assignment]
    for _ in range(100):
        weight = layer.weight  # type: ignore[assignment]
    matrix = weight.movedim(1, 0) if isinstance(layer, nn.ConvTranspose2d) else weight
    assert torch.linalg.matrix_norm(matrix.detach().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    ratio = original / weight.detach()
    torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-3, atol=1e-4)


def test_in_evaluation_one_iteration_from_the_kept_vector_decides_and_the_vector_stays() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3, dtype=torch.float64)
    part = SpectralWeight(weight, 0, 1e-12).eval()
    u = part.u.clone()
    v = nn.functional.normalize(u @ weight)
    after = nn.functional.normalize(v @ weight.T)
    torch.testing.assert_close(part(weight), weight / (v @ weight.T @ after.T))
    assert torch.equal(part.u, u) and not torch.allclose(u, after)


def test_a_spectral_network_of_leaky_rectifiers_is_1_lipschitz() -> None:
    net = Spectral().apply(piecewise_linear())
    with torch.no_grad():
        for _ in range(200):
            net(torch.zeros(1, 3, dtype=torch.float64))
        a, b = 5 * torch.randn(2, 500, 3, dtype=torch.float64)
        assert ((net(a) - net(b)).abs() <= (a - b).norm(dim=1) * (1 + 1e-6)).all()


def test_inner_layers_alone() -> None:
    net = Spectral(inner_only=True).apply(piecewise_linear())
    assert [hasattr(m, "parametrizations") for m in net.modules() if isinstance(m, nn.Linear)] == [False, True, False]
    with pytest.raises(ValueError, match=r"found none between .*use inner_only=False"):
        Spectral(inner_only=True).apply(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))


def test_a_weight_that_begins_at_zero_has_no_spectral_norm() -> None:
    last = nn.Linear(3, 1)
    nn.init.zeros_(last.weight)
    with pytest.raises(ValueError, match=r"the weight of 1 is initialised at 0; use the normalization 'none'"):
        Spectral().apply(nn.Sequential(nn.Linear(2, 3), last))
    with pytest.raises(ValueError, match="is initialised at 0"):  # the last layer of each residual branch
        Spectral().apply(R3GAN().build((1, 8, 8)).discriminator)


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match="needs convolutions or linear layers"):
        Spectral().apply(nn.Flatten())
    with pytest.raises(ValueError, match="parametrized already; use the normalization 'none'"):
        Spectral().apply(Spectral().apply(nn.Linear(2, 1)))


def vectors(run: Run) -> list[Tensor]:
    return [b.clone() for n, b in run.discriminator.named_buffers() if n.endswith(".u")]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_power_iteration_advances_in_the_discriminators_moves_only(precision: Any) -> None:
    run = Run(digits(normalization=Spectral(), precision=precision))
    before = vectors(run)
    assert len(before) == 3 and all(vector.dtype == torch.float32 for vector in before)
    engine.apply(UpdateGenerator(), run)
    assert all(torch.equal(a, b) for a, b in zip(before, vectors(run), strict=True))
    engine.apply(UpdateDiscriminator(), run)
    assert not any(torch.equal(a, b) for a, b in zip(before, vectors(run), strict=True))


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[SpectralWeight]:
    """Every weight normalised so far."""
    made: list[SpectralWeight] = []
    original = SpectralWeight.normalized

    def counted(self: SpectralWeight, weight: Tensor) -> Tensor:
        made.append(self)
        return original(self, weight)

    monkeypatch.setattr(SpectralWeight, "normalized", counted)
    return made


@pytest.mark.parametrize("optimizer", [Adam(), SGD()])
def test_a_frozen_discriminators_weights_are_normalised_once_for_each_change(
    evaluations: list[SpectralWeight], optimizer: Any
) -> None:
    run = Run(digits(normalization=Spectral(), d_optimizer=optimizer, accumulate=2))
    for changes in (1, 2):
        engine.apply(UpdateDiscriminator(), run)
        assert len(evaluations) == changes * 3 * 4 + (changes - 1) * 3  # three layers; real and fake of two parts
        for _ in range(3):
            engine.apply(UpdateGenerator(), run)
        assert len(evaluations) == changes * (3 * 4 + 3)
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    run.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    engine.apply(UpdateGenerator(), run)
    assert len(evaluations) == 2 * (3 * 4 + 3) + 3


def test_a_change_of_weight_or_vector_between_frozen_passes_is_seen() -> None:
    net, x = Spectral().apply(piecewise_linear()), torch.randn(4, 3, dtype=torch.float64)

    def frozen_and_free() -> tuple[Tensor, Tensor]:
        with frozen(net, keep_buffers=True):
            outputs = net(x)
            assert torch.equal(net(x), outputs)
        with torch.no_grad():
            return outputs, net.eval()(x)

    def same() -> bool:
        net.train()
        return torch.equal(*frozen_and_free())

    assert same()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter))
        assert same()
        torch._foreach_clamp_max_([p for p in net.parameters()], 0.1)
        assert same()
    first = frozen_and_free()[0]
    net.train()(x)  # u moves on
    assert same() and not torch.equal(first, frozen_and_free()[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_step_between_frozen_passes_is_seen_without_a_pass_of_its_own(name: str) -> None:
    """As where passes are replayed: no Python of the discriminator runs in its move."""
    net, x = Spectral().apply(piecewise_linear()), torch.randn(4, 3, dtype=torch.float64)
    parameters = list(net.parameters())
    with frozen(net, keep_buffers=True):
        before = net(x)
    optimize(OPTIMIZERS[name].build(parameters), 0.1, parameters, [torch.randn_like(p) for p in parameters])
    with frozen(net, keep_buffers=True):
        after = net(x)
    assert not torch.equal(before, after)
    with torch.no_grad():
        assert torch.equal(after, net.eval()(x))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_training_has_the_bits_that_normalising_at_every_pass_gives(
    monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    experiment = digits(normalization=Spectral(), scheme=Nested(levels=3), precision=precision)
    kept = trained(experiment)
    monkeypatch.setattr(SpectralWeight, "forward", SpectralWeight.normalized)
    assert trained(experiment).digest() == kept.digest()


def test_embeddings_are_normalised_too() -> None:
    net = Spectral().apply(SNGAN(g_width=4, d_width=4, latent_size=4).build((1, 32, 32), num_classes=5).discriminator)
    x, labels = torch.rand(2, 1, 32, 32), torch.tensor([0, 4])
    for _ in range(50):
        net(x, labels)
    layers = [m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding))]
    weights: list[Any] = [layer.weight for layer in layers]
    assert len(weights) == 12  # ten convolutions, the linear layer and the embedding
    assert all(torch.linalg.matrix_norm(w.detach().flatten(1), 2) <= 1.01 for w in weights)


def test_spectral_normalisation_goes_with_a_gradient_penalty() -> None:
    run = trained(digits(normalization=Spectral(), regularizer=REGULARIZERS["r1"]))
    assert run.is_finite() and run.counters.d_updates == 4


# By the gradient


@pytest.mark.parametrize(
    ("part", "real", "fake"),
    [
        (GradientNormalization(), (0.316601639258, -0.601161496694), (0.555435047849, 0.332242731981)),
        (GraN(eps=0.1), (0.441677465759, -1.44710961697), (1.06842397473, 0.481525995093)),
    ],
    ids=["gradient", "gran"],
)
def test_the_check_set(part: Normalization, real: tuple[float, ...], fake: tuple[float, ...]) -> None:
    net = part.apply(Quadratic())
    assert net(REAL).tolist() == pytest.approx(real, rel=1e-11)
    assert net(FAKE).tolist() == pytest.approx(fake, rel=1e-11)


points = st.lists(st.floats(-50, 50), min_size=3, max_size=3).map(lambda x: torch.tensor([x], dtype=torch.float64))


def slope(net: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    return gradient.norm(dim=1)


@settings(max_examples=30)
@given(st.integers(0, 10_000), points, st.floats(0.1, 10))
def test_outputs_and_slopes_keep_their_bounds_on_piecewise_linear_networks(seed: int, x: Tensor, scale: float) -> None:
    net = piecewise_linear(seed)
    squared, logits = slope(net, x).square(), net(x).detach()
    normalized = GradientNormalization().apply(net)
    assert normalized(x).abs().item() < 1
    expected = squared / (squared.sqrt() + logits.abs()).square()
    torch.testing.assert_close(slope(normalized, x), expected, rtol=1e-9, atol=1e-12)
    assert expected.item() <= 1
    found = slope(GraN(scale=scale).apply(net), x)
    torch.testing.assert_close(found, scale * squared / (squared + 0.1), rtol=1e-9, atol=1e-12)
    assert found.item() < scale


def test_the_hinge_never_clips_under_gradient_normalisation() -> None:
    net = GradientNormalization().apply(piecewise_linear())
    real, fake = net(3 * torch.randn(50, 3).double()), net(3 * torch.randn(50, 3).double())
    hinge, wgan = LOSSES["hinge"].discriminator(real, fake), LOSSES["wgan"].discriminator(real, fake)
    torch.testing.assert_close(hinge, wgan + 2)


def test_a_flat_discriminator_gives_finite_outputs_and_gradients() -> None:
    for part in (GradientNormalization(), GraN()):
        inner = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
        for parameter in inner.parameters():
            nn.init.zeros_(parameter)
        net = part.apply(inner)
        logits = net(torch.randn(3, 2))
        gradients = torch.autograd.grad(logits.sum(), list(net.parameters()))
        assert logits.tolist() == [0, 0, 0] and all(g.isfinite().all() for g in gradients)


def test_the_functions_are_the_formulas() -> None:
    logits, norms = torch.tensor([3.0, -1.0, 0.0]), torch.tensor([1.0, 3.0, 2.0])
    assert gradient_normalized(logits, norms).tolist() == [0.75, -0.25, 0.0]
    assert gran(logits, norms, scale=2.0, eps=1.0).tolist() == pytest.approx([3.0, -0.6, 0.0])


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_the_generators_gradient_comes_through_the_normalisation(name: str) -> None:
    # for piecewise-linear D the gradient of D in x is constant around x: d D^/dx = g ||g|| / (||g|| + |D|)^2 for GN
    net: Any = NORMALIZATIONS[name].apply(piecewise_linear())
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    moved = 2 * x  # as a generator's output: not a leaf
    (found,) = torch.autograd.grad(net(moved).sum(), x)
    logits = net.net(moved)
    (gradient,) = torch.autograd.grad(logits.sum(), moved)
    length, value = gradient.norm(dim=1, keepdim=True), logits.detach()[:, None]
    factor = length / (length + value.abs()).square() if name == "gradient" else length / (length.square() + 0.1)
    torch.testing.assert_close(found, 2 * factor * gradient)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_outputs_are_the_same_without_gradients_and_outside_half_precision(name: str) -> None:
    net = NORMALIZATIONS[name].apply(piecewise_linear(dtype=torch.float32))
    x = torch.randn(4, 3)
    expected = net(x)
    with torch.no_grad():
        assert torch.equal(net(x), expected) and not net(x).requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(x.bfloat16().float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, net(x.bfloat16().float()), rtol=0, atol=0)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_conditions_reach_the_discriminator(name: str) -> None:
    pair = MLP(width=8, depth=2).build((2,), num_classes=3)
    net = NORMALIZATIONS[name].apply(pair.discriminator)
    x = torch.randn(4, 2)
    assert not torch.equal(net(x, torch.zeros(4, dtype=torch.long)), net(x, torch.ones(4, dtype=torch.long)))


@pytest.mark.runs
@for_each("name", [name for name in NORMALIZATIONS if name != "none"])
@for_each("make", [ring, digits])
def test_training_goes_through_and_resumes_bit_for_bit_in_a_round(name: str, make: Any) -> None:
    experiment = make(normalization=NORMALIZATIONS[name], scheme=Nested(levels=2), budget=Budget(g_updates=6))
    whole = trained(experiment)
    assert whole.is_finite() and whole.digest() != Run(experiment).digest()
    half = trained(replace(experiment, budget=Budget(g_updates=2)))
    file = io.BytesIO()
    torch.save(half.state_dict(), file)
    resumed = Run(experiment)
    resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for _ in engine.training_rows(resumed):
        pass
    assert resumed.digest() == whole.digest()


def test_a_normalisation_leaves_the_players_first_weights_as_they_are() -> None:
    plain, changed = Run(ring()), Run(ring(normalization=Spectral()))
    originals = [p for n, p in changed.discriminator.named_parameters()]
    assert {tuple(p.flatten().tolist()) for p in plain.discriminator.parameters()} == {
        tuple(p.flatten().tolist()) for p in originals
    }
    assert all(
        torch.equal(a, b) for a, b in zip(plain.generator.parameters(), changed.generator.parameters(), strict=True)
    )


def test_a_generators_update_under_gradient_normalisation_is_the_one_by_hand() -> None:
    run = Run(ring(normalization=GradientNormalization(), g_optimizer=SGD(lr=0.1), loss=LOSSES["wgan"]))
    assert isinstance(run.discriminator, GradientNormalized)
    net = run.discriminator.net
    before = [p.detach().clone() for p in run.g_parameters]
    latents = run.pair.latent.sample(16, torch.Generator().manual_seed(0).set_state(run.random["latents"].get_state()))
    fake = run.generator(latents)
    logits = net(fake)
    (gradient,) = torch.autograd.grad(logits.sum(), fake, create_graph=True)
    loss = -(logits / (gradient.norm(dim=1) + logits.abs())).mean()
    expected = [p - 0.1 * g for p, g in zip(before, torch.autograd.grad(loss, run.g_parameters), strict=True)]
    engine.apply(UpdateGenerator(), run)
    torch.testing.assert_close([p.detach() for p in run.g_parameters], expected)


# Combinations that cannot be right


PER_SAMPLE = [name for name, regularizer in REGULARIZERS.items() if regularizer.per_sample_gradients]


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_batch_norm_is_refused_where_the_gradient_of_each_sample_is_taken(name: str) -> None:
    with pytest.raises(ValueError, match=r"normalization needs .*batch norm.*d_norm='layer'"):
        Run(digits(model=DCGAN(width=4, latent_size=4), normalization=NORMALIZATIONS[name]))


@for_each("name", BY_GRADIENT)
@for_each("regularizer", PER_SAMPLE)
def test_a_gradient_penalty_on_a_gradient_normalised_discriminator_is_refused(name: str, regularizer: str) -> None:
    with pytest.raises(ValueError, match="bounds the slope already. Use one of the two"):
        Run(ring(normalization=NORMALIZATIONS[name], regularizer=REGULARIZERS[regularizer]))


@for_each(("part", "field", "value"), [(GraN, "eps", 0.0), (GraN, "scale", -1.0), (Spectral, "eps", float("nan"))])
def test_bad_numbers_are_refused(part: Any, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        part(**{field: value})
