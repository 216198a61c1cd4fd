"""Gradient penalties against D(x) = w.x + x'Mx/2 + 0.2, whose gradient is w + Mx, and on linear discriminators."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.func import functional_call

from ganneal.clocks import Counters
from ganneal.optim import Cosine
from ganneal.regularizers import (
    REGULARIZERS,
    Context,
    Dragan,
    Generated,
    GradientPenalty,
    Line,
    PenaltyPoints,
    Reals,
    centered_gp,
    dragan_points,
    even_center,
    functional_value_and_input_gradient,
    line_points,
    r1,
    r2,
    squared_input_gradient,
    value_and_input_gradient,
    wgan_gp,
    wgan_lp,
    zero_gp,
)

W = torch.tensor([0.6, -0.8], dtype=torch.float64)
M = torch.tensor([[0.5, 0.1], [0.1, -0.3]], dtype=torch.float64)
REAL = torch.tensor([[1.0, 0.5], [-0.5, 2.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.2, -1.0], [1.5, 1.0]], dtype=torch.float64)
SHARE = torch.tensor([0.25, 0.75], dtype=torch.float64)
DIGITS = 1e-11  # the values below carry twelve significant digits


def quadratic(x: Tensor) -> Tensor:
    return x @ W + 0.5 * ((x @ M) * x).sum(1) + 0.2


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x * weight).flatten(1).sum(1) + 0.7


def context(discriminator: Any, real: Tensor, fake: Tensor, *, d_updates: int = 0, seed: int = 0) -> Context:
    return Context(
        discriminator=discriminator,
        real=real,
        fake=fake,
        real_logits=torch.zeros(len(real)),
        fake_logits=torch.zeros(len(fake)),
        counters=Counters(d_updates=d_updates),
        random=torch.Generator().manual_seed(seed),
    )


def term(penalty: GradientPenalty, discriminator: Any, real: Tensor, fake: Tensor, **options: int) -> Tensor:
    value = penalty.discriminator_term(context(discriminator, real, fake, **options), penalty.init_state())
    assert value is not None
    return value


@dataclass(frozen=True)
class Between:
    """Points at the check set's shares rather than random ones."""

    on_lines = True
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return line_points(real, fake, SHARE)


@dataclass(frozen=True)
class Around:
    """Points at the check set's noise."""

    on_lines = False
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.tensor([[0.1, 0.9], [0.6, 0.4]], dtype=torch.float64)
        return dragan_points(real, torch.tensor([0.5, 0.2], dtype=torch.float64), noise)


@for_each(
    ("penalty", "value"),
    [
        (lambda: wgan_gp(quadratic, REAL, FAKE, share=SHARE), 0.145319433189),
        (lambda: wgan_lp(quadratic, REAL, FAKE, share=SHARE), 0.143116856699),
        (lambda: zero_gp(quadratic, REAL, FAKE, share=SHARE), 1.61395625),
        (lambda: r1(quadratic, REAL, FAKE), 2.225),
        (lambda: r2(quadratic, REAL, FAKE), 1.7977),
    ],
    ids=["wgan_gp", "wgan_lp", "zero_gp", "r1", "r2"],
)
def test_functions_on_the_check_set(penalty: Callable[[], Tensor], value: float) -> None:
    assert penalty().mean().item() == pytest.approx(value, rel=DIGITS)


@for_each(
    ("penalty", "value"),
    [
        (GradientPenalty(points=Between()), 10 * 0.145319433189),
        (GradientPenalty(points=Between(), one_sided=True), 10 * 0.143116856699),
        (GradientPenalty(points=Between(), center=0.0), 10 * 1.61395625),
        (GradientPenalty(points=Around()), 10 * 0.287115443097),
        (GradientPenalty(points=Between(), coefficient=0.3), 0.3 * 0.145319433189),
        (REGULARIZERS["r1"], 5 * 2.225),
        (REGULARIZERS["r2"], 5 * 1.7977),
    ],
    ids=["wgan-gp", "wgan-lp", "zero-gp", "dragan", "coefficient", "r1", "r2"],
)
def test_terms_on_the_check_set(penalty: GradientPenalty, value: float) -> None:
    assert term(penalty, quadratic, REAL, FAKE).item() == pytest.approx(value, rel=DIGITS)


@for_each(("name", "points"), [("wgan-gp", Line()), ("wgan-lp", Line()), ("zero-gp", Line()), ("dragan", Dragan())])
def test_registered_penalties_look_where_their_papers_do(name: str, points: PenaltyPoints) -> None:
    penalty: Any = REGULARIZERS[name]
    assert (penalty.points, penalty.coefficient) == (points, 10.0)
    assert (penalty.center, penalty.one_sided) == (0.0 if name == "zero-gp" else 1.0, name == "wgan-lp")


@for_each(
    ("norm", "name", "value"),
    [
        (5.0, "wgan-gp", 160.0),
        (5.0, "wgan-lp", 160.0),
        (5.0, "zero-gp", 250.0),
        (5.0, "r1", 125.0),
        (5.0, "r2", 125.0),
        (5.0, "dragan", 160.0),
        (0.5, "wgan-gp", 2.5),
        (0.5, "wgan-lp", 0.0),
        (0.5, "zero-gp", 2.5),
        (0.5, "r1", 1.25),
        (1.0, "wgan-gp", 0.0),
        (1.0, "dragan", 0.0),
    ],
)
@for_each("dtype", [torch.float32, torch.float64], ids=str)
def test_exact_on_a_linear_discriminator_of_images(norm: float, name: str, value: float, dtype: torch.dtype) -> None:
    weight = torch.zeros(2, 3, 3, dtype=dtype)
    if norm == 5:  # sum of squares 9 + 16 over two channels
        weight[0, 0, 1], weight[1, 2, 2] = 3.0, -4.0
    else:
        weight[1, 1, 0] = norm
    real, fake = torch.rand(2, 4, 2, 3, 3, dtype=dtype)
    penalty: Any = REGULARIZERS[name]
    assert term(penalty, linear(weight), real, fake).item() == value


def test_squared_gradient_is_one_number_per_sample() -> None:
    expected = (W + REAL @ M).square().sum(1)
    torch.testing.assert_close(squared_input_gradient(quadratic, REAL), expected)


def smooth_discriminator() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 1), nn.Flatten(0)).to(
        torch.float64
    )


@for_each("name", ["wgan-gp", "wgan-lp", "zero-gp", "r1", "r2", "dragan"])
def test_gradient_in_the_discriminators_parameters_equals_finite_differences(name: str) -> None:
    discriminator = smooth_discriminator()
    for parameter in discriminator.parameters():
        parameter.data *= 3  # gradients of norm above 1, where the one-sided penalty acts
    names, parameters = zip(*discriminator.named_parameters(), strict=True)
    random = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, 4, 3, dtype=torch.float64, generator=random)
    penalty: Any = REGULARIZERS[name]

    def value(*tensors: Tensor) -> Tensor:
        weights = dict(zip(names, tensors, strict=True))
        return term(penalty, lambda x: functional_call(discriminator, weights, (x,)), real, fake)

    assert value(*parameters) > 0.1
    # the last bias does not move the gradient: gradcheck counts its missing derivative as zero
    assert torch.autograd.gradcheck(value, parameters, rtol=1e-6, atol=1e-6, check_undefined_grad=False)


@for_each("name", ["wgan-gp", "wgan-lp", "zero-gp", "r1", "r2", "dragan"])
@for_each("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_flat_discriminator_has_finite_gradients(name: str, dtype: torch.dtype) -> None:
    weight = torch.zeros(3, dtype=dtype, requires_grad=True)
    real, fake = torch.randn(2, 4, 3).to(dtype)
    penalty: Any = REGULARIZERS[name]
    value = term(penalty, linear(weight), real, fake)
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.item() == pytest.approx(10.0 if name in ("wgan-gp", "dragan") else 0.0)
    assert gradient.tolist() == [0.0, 0.0, 0.0]


def test_one_flat_sample_does_not_spoil_the_gradient_of_the_others() -> None:
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    points = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])  # the rectifier is off at the second

    def rectified(x: Tensor) -> Tensor:
        return torch.relu(x @ weight)

    penalty = GradientPenalty(points=Reals(), coefficient=1.0)
    value = term(penalty, rectified, points, points)
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.item() == pytest.approx(((5 - 1) ** 2 + 1) / 2)
    torch.testing.assert_close(gradient, (5 - 1) * weight.detach() / 5)  # half of 2 (||w|| - 1) w / ||w||


@for_each("name", ["wgan-gp", "zero-gp", "dragan"])
def test_dtypes_are_kept_in_double_and_raised_from_half(name: str) -> None:
    penalty: Any = REGULARIZERS[name]
    for dtype, expected in [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ]:
        real, fake = torch.rand(2, 4, 3).to(dtype)
        assert term(penalty, linear(torch.ones(3, dtype=dtype)), real, fake).dtype == expected


def test_the_norm_of_half_precision_gradients_does_not_overflow() -> None:
    weight = torch.full((3,), 300.0, dtype=torch.float16)  # 300^2 is above float16's largest number
    x = torch.zeros(2, 3, dtype=torch.float16)
    assert squared_input_gradient(linear(weight), x).tolist() == [270_000.0, 270_000.0]


def test_samples_get_no_gradient_and_are_not_marked_for_one() -> None:
    real, fake = REAL.clone(), FAKE.clone().requires_grad_()
    weight = W.clone().requires_grad_()
    term(REGULARIZERS["wgan-gp"], lambda x: torch.tanh(x @ weight), real, fake).backward()  # type: ignore[arg-type]
    assert not real.requires_grad and fake.grad is None and weight.grad is not None


def test_r1_sees_only_reals_and_r2_only_fakes() -> None:
    nan = torch.full_like(REAL, torch.nan)
    assert torch.equal(r1(quadratic, REAL, nan), r1(quadratic, REAL, FAKE))
    assert torch.equal(r2(quadratic, nan, FAKE), r1(quadratic, FAKE, REAL))
    assert torch.equal(Reals()(REAL, nan, torch.Generator()), REAL)
    assert torch.equal(Generated()(nan, FAKE, torch.Generator()), FAKE)


def test_share_weighs_the_real_sample() -> None:
    assert torch.equal(line_points(REAL, FAKE, torch.ones(2)), REAL)
    assert torch.equal(line_points(REAL, FAKE, torch.zeros(2)), FAKE)
    torch.testing.assert_close(line_points(REAL, FAKE, SHARE)[0], 0.25 * REAL[0] + 0.75 * FAKE[0])


@for_each("points", [Line(), Dragan()], ids=str)
@for_each("shape", [(5, 2), (5, 3, 4, 4)], ids=str)
def test_random_points_follow_the_given_generator_only(points: PenaltyPoints, shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(2, *shape)
    before = torch.get_rng_state()
    one, again, other = (points(real, fake, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == shape
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    random = torch.Generator().manual_seed(0)
    assert not torch.equal(points(real, fake, random), points(real, fake, random))


def test_line_takes_one_uniform_share_per_sample() -> None:
    count = 20_000
    points = Line()(torch.ones(count, 3, 2), torch.zeros(count, 3, 2), torch.Generator().manual_seed(0))
    share = points[:, 0, 0]
    assert torch.equal(points, share[:, None, None].expand_as(points))
    quantiles = torch.quantile(share, torch.linspace(0, 1, 11))
    # five standard errors, 0.5 / sqrt(n) at the median
    assert (quantiles - torch.linspace(0, 1, 11)).abs().max() < 5 * 0.5 / count**0.5


def test_dragan_moves_reals_up_by_at_most_half_the_batchs_deviation() -> None:
    real = torch.randn(4_000, 8, generator=torch.Generator().manual_seed(0)) * 3 + 5
    moved = Dragan()(real, real, torch.Generator().manual_seed(1)) - real
    scale = 0.5 * real.flatten().std()
    assert moved.min() > -1e-5 and moved.max() <= scale + 1e-5  # rounding of numbers near 10
    assert moved.max() > 0.95 * scale
    assert moved.mean().item() == pytest.approx(scale.item() / 4, rel=0.05)  # two means of 1/2; 4,000 shares
    shares = moved.max(1).values / scale  # of eight noises the largest is near one: shares differ between samples
    assert shares.std() > 0.2


def test_lazy_penalty_is_due_at_multiples_of_its_interval() -> None:
    penalty = GradientPenalty(points=Reals(), interval=4)
    terms = [
        penalty.discriminator_term(context(quadratic, REAL, FAKE, d_updates=n), penalty.init_state()) for n in range(12)
    ]
    assert [n for n, value in enumerate(terms) if value is not None] == [0, 4, 8]


@pytest.mark.parametrize(("scaled", "factor"), [(True, 4), (False, 1)])
def test_lazy_penalty_is_scaled_by_its_interval_if_asked(scaled: bool, factor: int) -> None:
    every = GradientPenalty(points=Reals())
    lazy = replace(every, interval=4, scale_by_interval=scaled)
    assert term(lazy, quadratic, REAL, FAKE).item() == pytest.approx(factor * term(every, quadratic, REAL, FAKE).item())


def test_a_penalty_at_every_update_is_never_scaled() -> None:
    for scaled in (True, False):
        penalty = GradientPenalty(center=0.0, points=Reals(), scale_by_interval=scaled)
        assert term(penalty, quadratic, REAL, FAKE, d_updates=7).item() == pytest.approx(22.25)


@pytest.mark.parametrize("interval", [0, -4])
def test_bad_intervals_are_refused(interval: int) -> None:
    with pytest.raises(ValueError, match=f"interval must be at least 1 .*got {interval}"):
        GradientPenalty(interval=interval)


@for_each("field", ["center", "coefficient"])
@for_each("value", [-0.1, float("nan"), float("inf")])
def test_bad_numbers_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be a finite number >= 0, got {value}"):
        GradientPenalty(**{field: value})  # type: ignore[arg-type]


@for_each("center", [0.0, 0.3, 1.0])
def test_a_centre_between_gives_the_penalties_at_its_ends(center: float) -> None:
    penalty = GradientPenalty(center=center, points=Between(), coefficient=1.0)
    squared = squared_input_gradient(quadratic, line_points(REAL, FAKE, SHARE))
    expected = (squared.sqrt() - center).square().mean()
    torch.testing.assert_close(term(penalty, quadratic, REAL, FAKE), expected)
    if center != 0.3:
        named: Any = REGULARIZERS["wgan-gp" if center else "zero-gp"]
        assert replace(penalty, points=Line(), coefficient=10.0) == named


def test_a_vector_as_centre_is_subtracted_from_the_gradient_itself() -> None:
    gradient = W + REAL @ M
    for vector in (torch.tensor([0.3, -0.1], dtype=torch.float64), even_center(0.3, REAL)):
        expected = (gradient - vector).square().sum(1)
        torch.testing.assert_close(centered_gp(quadratic, REAL, center=vector), expected)
    even = GradientPenalty(center=0.3, even=True, points=Reals(), coefficient=1.0)
    torch.testing.assert_close(term(even, quadratic, REAL, FAKE), expected.mean())
    assert even_center(0.3, REAL).norm().item() == pytest.approx(0.3)


def test_an_even_centre_has_no_positive_side() -> None:
    with pytest.raises(ValueError, match="one_sided must be False with even=True"):
        GradientPenalty(even=True, one_sided=True)


def test_the_largest_of_the_batch_takes_the_place_of_the_mean() -> None:
    squared = squared_input_gradient(quadratic, line_points(REAL, FAKE, SHARE))
    largest = GradientPenalty(center=0.0, points=Between(), largest=True)
    torch.testing.assert_close(term(largest, quadratic, REAL, FAKE), 10 * squared.max())
    assert REGULARIZERS["max-gp"] == replace(largest, points=Line())


def test_r1_and_r2_together_are_their_sum() -> None:
    both = REGULARIZERS["r1-r2"]
    value = both.discriminator_term(context(quadratic, REAL, FAKE), both.init_state())
    assert value is not None and value.item() == pytest.approx(5 * (2.225 + 1.7977), rel=DIGITS)


def test_the_coefficient_follows_its_rule_on_images_shown() -> None:
    # R3GAN's gamma on CIFAR-10: 0.05 to 0.005 by half a cosine over 20 million images
    penalty = replace(r1_penalty(0.05), rule=Cosine(end=20_000_000, final=0.1))
    for num_real, gamma in [(0, 0.05), (10_000_000, 0.0275), (20_000_000, 0.005), (30_000_000, 0.005)]:
        given = context(quadratic, REAL, FAKE)
        given.counters.num_real = num_real
        value = penalty.discriminator_term(given, {})
        assert value is not None and value.item() == pytest.approx(gamma / 2 * 2.225, rel=1e-9)


def r1_penalty(gamma: float) -> GradientPenalty:
    return GradientPenalty(center=0.0, points=Reals(), coefficient=gamma / 2)


def test_a_coefficient_that_has_come_to_zero_costs_nothing() -> None:
    calls = []

    def counted(x: Tensor) -> Tensor:
        calls.append(x)
        return quadratic(x)

    assert GradientPenalty(coefficient=0.0).discriminator_term(context(counted, REAL, FAKE), {}) is None
    assert calls == []


# Through torch.func, as inside torch.compile


@pytest.mark.parametrize("shape", [(3,), (2, 4, 4)], ids=str)
def test_the_functional_gradient_is_the_eager_one_with_its_second_derivatives(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    size = torch.Size(shape).numel()
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 6), nn.Softplus(), nn.Linear(6, 1), nn.Flatten(0))
    discriminator.double()
    x = torch.randn(5, *shape, dtype=torch.float64)
    found = []
    for way in (value_and_input_gradient, functional_value_and_input_gradient):
        logits, gradient = way(discriminator, x)
        penalty = gradient.square().flatten(1).sum(1).mean()
        seconds = torch.autograd.grad(penalty, list(discriminator.parameters()), allow_unused=True)
        found.append([logits, gradient, *(second for second in seconds if second is not None)])
    torch.testing.assert_close(found[0], found[1])
    assert len(found[0]) == len(found[1]) > 3


def test_the_functional_gradient_is_that_of_each_sample_alone() -> None:
    _, gradient = functional_value_and_input_gradient(quadratic, REAL)
    alone = torch.func.vmap(torch.func.grad(lambda x: quadratic(x[None])[0]))(REAL)
    torch.testing.assert_close(gradient, alone)


def test_a_vector_as_centre_has_no_side() -> None:
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="one_sided must be False for a tensor as center"):
        centered_gp(lambda points: points.sum(1), x, center=torch.ones(3), one_sided=True)
