"""Orthogonal regularization: the published gradient, which weights it sees, and what a move adds to a player's own."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.data import Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment
from ganneal.models import MLP, BigGAN
from ganneal.models.parts.residual import ResidualGenerator
from ganneal.normalization import Spectral
from ganneal.optim import SGD, LinearDecay
from ganneal.regularizers import GeneratorContext, Orthogonal, Sum, correlation
from ganneal.regularizers.orthogonal import weight_matrices
from ganneal.schemes import SCHEMES
from ganneal.steps import UpdateDiscriminator, UpdateGenerator


def context(player: nn.Module | None, num_real: int = 0) -> GeneratorContext:
    nothing = torch.zeros(1)
    return GeneratorContext(lambda z: z, nothing, nothing, Counters(num_real), torch.Generator(), player=player)


def layer(weight: list[list[float]]) -> nn.Linear:
    linear = nn.Linear(len(weight[0]), len(weight))
    linear.weight.data = torch.tensor(weight)
    return linear


def test_the_published_gradient_of_a_matrix() -> None:
    linear = layer([[1.0, 2.0], [3.0, 4.0]])
    value = Orthogonal(g_coefficient=1.0).generator_term(context(linear), {})
    assert value is not None
    (gradient,) = torch.autograd.grad(value, linear.weight)
    assert gradient.tolist() == [[66.0, 88.0], [22.0, 44.0]]


@for_each("shape", [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1)])
def test_gradient_is_the_formula_from_rows_or_from_columns(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    w = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    value = correlation(w)
    (gradient,) = torch.autograd.grad(value, w)
    products = (w @ w.T) * (1 - torch.eye(len(w), dtype=torch.float64))
    torch.testing.assert_close(value, 0.5 * products.square().sum())
    torch.testing.assert_close(gradient, 2 * products @ w)


def test_orthogonal_rows_of_any_length_cost_nothing() -> None:
    rows = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    assert correlation(torch.arange(1, 4)[:, None] * rows[:3]).item() == pytest.approx(0, abs=1e-24)


def test_the_weight_of_a_convolution_has_a_row_for_each_output_channel() -> None:
    plain, transposed = nn.Conv2d(2, 3, 4), nn.ConvTranspose2d(2, 3, 4)
    (rows,), (others,) = weight_matrices(plain), weight_matrices(transposed)
    assert torch.equal(rows, plain.weight.flatten(1))
    assert torch.equal(others, transposed.weight.transpose(0, 1).flatten(1))
    convolution = nn.Conv2d(1, 2, (1, 2), bias=False)
    convolution.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(2, 1, 1, 2)
    value = Orthogonal(g_coefficient=0.5).generator_term(context(convolution), {})
    assert value is not None and value.item() == 60.5


def test_weights_are_those_that_are_trained_without_the_shared_class_vector() -> None:
    torch.manual_seed(0)
    model = BigGAN(width=2, latent_size=8, shared_size=4, hierarchical=True)
    pair = model.build((3, 32, 32), num_classes=3)
    generator, discriminator = pair.generator, Spectral().apply(pair.discriminator)
    assert isinstance(generator, ResidualGenerator) and generator.shared is not None
    for player in (generator, discriminator):
        value = Orthogonal(1.0, 1.0).generator_term(context(player), {})
        assert value is not None
        gradients = dict(
            zip(
                dict(player.named_parameters()),
                torch.autograd.grad(value, list(player.parameters()), allow_unused=True),
                strict=True,
            )
        )
        for name, parameter in player.named_parameters():
            gradient = gradients[name]
            if parameter.dim() < 2 or parameter is generator.shared.weight:
                assert gradient is None, name
                continue
            w = parameter.detach().flatten(1)  # .original where a normalisation divides it
            products = w @ w.T
            expected = 2 * (products - torch.diag(products.diagonal())) @ w
            assert gradient is not None, name
            torch.testing.assert_close(gradient.flatten(1), expected, atol=1e-7, rtol=1e-4)
    assert sum("original" in name for name, _ in generator.named_parameters()) > 10


def ring(**fields: Any) -> Experiment:
    sgd = SGD(lr=0.1, momentum=0.0)
    given: dict[str, Any] = {"budget": Budget(d_updates=2), "d_optimizer": sgd, "g_optimizer": sgd} | fields
    return Experiment("ring", Ring(num_samples=64), MLP(width=8, depth=2), batch_size=8, **given)


@for_each(
    ("step", "player", "field"),
    [(UpdateGenerator(), "generator", "g_coefficient"), (UpdateDiscriminator(), "discriminator", "d_coefficient")],
    ids=["generator", "discriminator"],
)
@for_each("accumulate", [1, 2])
def test_a_move_adds_the_gradient_to_its_own_player_only(step: Any, player: str, field: str, accumulate: int) -> None:
    part = replace(Orthogonal(g_coefficient=0.0), **{field: 0.25})
    plain, changed = (Run(ring(regularizer=r, accumulate=accumulate)) for r in (Sum(), Sum((part,))))
    expected: list[Tensor] = []
    for parameter in getattr(plain, player).parameters():
        w = parameter.detach().clone()
        products = w @ w.T if w.dim() == 2 else torch.zeros(1)
        extra = 2 * 0.25 * (products - torch.diag(products.diagonal())) @ w if w.dim() == 2 else torch.zeros_like(w)
        expected.append(-0.1 * extra)
    for run in (plain, changed):
        engine.apply(step, run)
    pairs = zip(getattr(plain, player).parameters(), getattr(changed, player).parameters(), expected, strict=True)
    for without, with_term, difference in pairs:
        torch.testing.assert_close(with_term - without, difference, atol=1e-6, rtol=1e-4)
    other = "discriminator" if player == "generator" else "generator"
    for one, same in zip(getattr(plain, other).parameters(), getattr(changed, other).parameters(), strict=True):
        assert torch.equal(one, same)
    assert ("g_penalty" in changed.meters.values) == (player == "generator")
    assert ("d_penalty" in changed.meters.values) == (player == "discriminator")


def test_the_coefficient_follows_its_rule() -> None:
    linear = layer([[1.0, 2.0], [3.0, 4.0]])
    fading = Orthogonal(g_coefficient=1.0, rule=LinearDecay(end=100))
    half = fading.generator_term(context(linear, num_real=50), {})
    assert half is not None and half.item() == 60.5
    assert fading.generator_term(context(linear, num_real=100), {}) is None


def test_a_scheme_that_never_updates_the_generator_cannot_hold_it_to_that() -> None:
    cfg = replace(SCHEMES["cfg"], steps=2, pool_size=8, epochs=1)  # type: ignore[type-var]
    for part in (Orthogonal(), Sum((Orthogonal(),))):
        with pytest.raises(
            ValueError, match=r"term of generator updates, but FunctionalGradient has no generator updates. Use a"
        ):
            Run(ring(scheme=cfg, regularizer=part))
    Run(ring(scheme=cfg, regularizer=Orthogonal(g_coefficient=0.0, d_coefficient=1e-4)))


def test_without_the_network_it_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match=r"needs the network that moves, got none; give the context player="):
        Orthogonal().generator_term(context(None), {})


@pytest.mark.parametrize("field", ["g_coefficient", "d_coefficient"])
def test_bad_coefficients_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be a finite number >= 0, got -1"):
        Orthogonal(**{field: -1.0})  # type: ignore[arg-type]
