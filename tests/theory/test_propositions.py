"""Propositions 1 to 4 with their tolerances, and the laws behind them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.divergences import DIVERGENCES
from ganneal.losses import LOSSES, Hinge, LeastSquares, Loss, Minimax, MinimaxProbability, NonSaturating, Wasserstein
from ganneal.push import DELTAS, Push
from ganneal.theory.normals import Normal1D, kl, normal_log_ratio
from ganneal.theory.propositions import (
    PROPOSITIONS,
    decrease,
    ideal_chain,
    neighbourhood,
    optimum,
    plane,
    pointwise_optimum,
    pull,
)
from ganneal.theory.propositions.chains import TABLE, WEIGHT_RULES, annealed, divergences
from ganneal.theory.propositions.optimal import DATA, MODEL, kantorovich_slope
from ganneal.theory.propositions.vector_fields import ETAS, accumulated_error, loss_gradient_error
from ganneal.theory.pushes import pushes
from ganneal.theory.scores import agreement, input_gradients, mixture_of, score_difference
from ganneal.theory.scores import log_ratio as mixture_ratio

QUICK = [name for name, statement in PROPOSITIONS.items() if not statement.slow]
SLOW = [name for name, statement in PROPOSITIONS.items() if statement.slow]

normal = st.builds(Normal1D, st.floats(-2, 2), st.floats(0.3, 2))
logits = torch.linspace(-6, 6, 25, dtype=torch.float64)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_propositions_hold(name: str) -> None:
    statement = PROPOSITIONS[name]
    value = statement.measure()
    assert statement.holds(value), f"{statement.says}: {value}"


def test_a_statement_is_bounded_on_the_side_it_says() -> None:
    most, least = PROPOSITIONS["T1.2"], PROPOSITIONS["T1.3 cosine"]
    assert most.holds(0.0) and most.holds(0.02) and not most.holds(0.021)
    assert least.holds(1.0) and least.holds(0.98) and not least.holds(0.979) and not least.holds(float("nan"))
    assert not most.holds(float("nan"))


# Equation 2


near = st.builds(Normal1D, st.floats(-1, 1), st.floats(0.8, 1.1))
"""Normals whose divergences are all finite, from each other."""


@settings(max_examples=20)
@given(near, near, st.sampled_from(sorted(DIVERGENCES)), st.sampled_from(decrease.FACTORS))
def test_every_divergence_falls_at_the_stated_rate(
    p: Normal1D, q: Normal1D, name: str, factor: decrease.Factor
) -> None:
    stated = decrease.stated_rate(DIVERGENCES[name], factor, p, q)
    assert stated <= 0
    assert decrease.measured_rate(DIVERGENCES[name], factor, p, q) == pytest.approx(stated, rel=1e-8, abs=1e-10)


def test_at_the_data_no_divergence_changes() -> None:
    for row in DIVERGENCES.values():
        assert abs(decrease.measured_rate(row, decrease.ONE, DATA, DATA)) < 1e-12


def test_the_rate_of_kl_in_the_plane_is_that_of_samples_pushed_as_in_training() -> None:
    """KL(q ‖ p) of normals in closed form, before and after pushes of plus and minus a step along the exact scores."""
    p, q = plane()
    critic, step = mixture_ratio(p, q), 1e-4
    x = q.sample(50_000, torch.Generator().manual_seed(0))
    stated = -score_difference(p, q, x).square().sum(1).mean().item()  # b' = 1 and delta = 1

    def entropy_and_energy(samples: Tensor, bend: Tensor) -> float:
        """E log q_after - log p: by the change of variables, the Hessian of D being constant."""
        jacobian = torch.linalg.det(torch.eye(2, dtype=torch.float64) + bend).log()
        return (q.log_prob(x) - jacobian - p.log_prob(samples)).mean().item()

    hessian = q.covariances[0].inverse() - p.covariances[0].inverse()
    ends = {
        sign: entropy_and_energy(
            Push(delta=DELTAS["one"])(critic, x, sign * step, NonSaturating()), sign * step * hessian
        )
        for sign in (1, -1)
    }
    assert (ends[1] - ends[-1]) / (2 * step) == pytest.approx(stated, rel=0.01)  # of 50,000 samples


@for_each("factor", decrease.FACTORS)
def test_the_direction_of_equation_2_is_the_one_that_training_pushes_along(factor: decrease.Factor) -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    along = decrease.direction(factor, x, DATA, MODEL).detach()
    moved = Push(delta=factor.delta)(
        lambda at: normal_log_ratio(DATA, MODEL)(at).squeeze(1), x[:, None], 0.1, factor.loss
    )
    torch.testing.assert_close(moved.squeeze(1), x + 0.1 * along, rtol=1e-12, atol=1e-12)


# Li-CFG


@given(normal, st.floats(0.2, 3))
def test_what_a_longer_gradient_does_to_the_moves_of_images_depends_on_who_is_wider(q: Normal1D, factor: float) -> None:
    """It moves images further for a narrower model, less far for a wider one that it does not turn over."""
    plain, longer = (neighbourhood.pushed_stretch(q, c) for c in (factor, 1.1 * factor))
    if q.std < 0.99 * DATA.std:
        assert longer > plain
    elif q.std > 1.01 * DATA.std:
        assert longer < plain


def test_stretch_is_the_factor_of_a_linear_map_and_the_mean_of_a_curved_one() -> None:
    z = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
    assert neighbourhood.stretch(lambda z: -3 * z + 1, z) == pytest.approx(3, rel=1e-9)
    assert neighbourhood.stretch(lambda z: z**2, z + 5) == pytest.approx(10, rel=1e-4)
    images = z.repeat(1, 3)
    assert neighbourhood.stretch(lambda z: 2 * z.reshape(-1, 1, 3, 1), images) == pytest.approx(2, rel=1e-9)


# Proposition 1


@given(normal, normal)
def test_the_best_discriminator_of_two_normals_is_a_parabola(p: Normal1D, q: Normal1D) -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    a, b, c = optimum(p, q)
    torch.testing.assert_close(a * x**2 + b * x + c, normal_log_ratio(p, q)(x), rtol=1e-10, atol=1e-9)


def test_parabola_of_the_setting() -> None:
    assert optimum(DATA, MODEL) == pytest.approx((-0.485392, 1.858358, -0.221778), abs=5e-7)


def test_the_gradient_of_the_log_ratio_in_the_plane_is_the_score_difference() -> None:
    p, q = plane()
    x = p.sample(20, torch.Generator().manual_seed(0))
    gradient = input_gradients(mixture_ratio(p, q), x)
    torch.testing.assert_close(gradient, score_difference(p, q, x), rtol=1e-11, atol=1e-11)


@for_each(
    ("loss", "best"),
    [
        (NonSaturating(), lambda d: d),
        (LeastSquares(), torch.sigmoid),
        (LeastSquares(-1.0, 1.0), lambda d: 2 * d.sigmoid() - 1),
        (Hinge(), torch.sign),
        (Wasserstein(), lambda d: 60 * d.sign()),  # there is none: it falls for ever
    ],
    ids=["logistic", "lsgan", "lsgan -1 1", "hinge", "wgan"],
)
def test_best_outputs_point_by_point(loss: Loss, best: Callable[[Tensor], Tensor]) -> None:
    ratio = torch.tensor([-8.0, -0.7, 0.3, 2.0, 9.0], dtype=torch.float64)
    torch.testing.assert_close(pointwise_optimum(loss, ratio), best(ratio), rtol=1e-12, atol=1e-12)


@given(normal, st.floats(0.01, 3))
def test_slopes_of_a_wasserstein_critic_are_of_length_one_and_lead_to_the_data(q: Normal1D, away: float) -> None:
    x = q.mean + q.std * torch.linspace(-3, 3, 13, dtype=torch.float64)
    shifted = replace(q, mean=q.mean + away * q.std)
    assert (kantorovich_slope(x, shifted, q) == 1).all() and (kantorovich_slope(x, q, shifted) == -1).all()
    wider = replace(q, std=2 * q.std)  # of data around the model's mean: outwards on both sides
    assert torch.equal(kantorovich_slope(x, wider, q), torch.linspace(-3, 3, 13).double().sign())


def test_agreement_counts_angle_and_length() -> None:
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    assert agreement(3 * one, one) == pytest.approx((1.0, 2.0))
    assert agreement(-one, one) == pytest.approx((-1.0, 2.0))
    assert agreement(one.flip(1), one) == pytest.approx((0.0, 2**0.5))


# Proposition 3


@for_each("rule", WEIGHT_RULES)
def test_ideal_chains_of_the_table(rule: str) -> None:
    path = annealed(WEIGHT_RULES[rule])
    values = divergences(path)
    assert values[0] == pytest.approx(0.840537, abs=5e-7)
    assert (path[-1].mean, path[-1].std, values[-1]) == pytest.approx(TABLE[rule], abs=5e-7)
    assert len(path) == 16
    assert all(after < before for before, after in zip(values, values[1:], strict=False)) == (rule != "20 to 1")


@given(normal, normal, st.floats(0, 1))
def test_an_ideal_push_that_does_not_overshoot_lowers_reverse_kl(p: Normal1D, q: Normal1D, share: float) -> None:
    """Reverse KL is what constant delta descends; the std moves towards the data's for h <= s s_*²/(s + s_*)."""
    step = share * min(q.std * p.std**2 / (q.std + p.std), p.std**2)
    before, after = ideal_chain(p, q, [step])
    assert kl(after, p) <= kl(before, p) + 1e-12


@given(normal, st.lists(st.floats(0, 5), max_size=4))
def test_the_data_are_a_fixed_point(p: Normal1D, steps: list[float]) -> None:
    assert all(at == p for at in ideal_chain(p, p, steps))


@given(normal, normal, st.floats(0.001, 0.5))
def test_points_pushed_along_exact_scores_go_where_the_chain_says(p: Normal1D, q: Normal1D, step: float) -> None:
    z = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    (push,) = pushes(q.mean + q.std * z, [mixture_ratio(mixture_of(p), mixture_of(q))], [step])
    end = ideal_chain(p, q, [step])[-1]
    sign = 1 if 1 + step * (1 / q.std**2 - 1 / p.std**2) >= 0 else -1  # a chain that overshoots turns over
    torch.testing.assert_close(push.samples, end.mean + sign * end.std * z, rtol=1e-10, atol=1e-10)


# Proposition 4

W = 0.3
BOTH_PLACES: dict[str, tuple[Loss, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "nonsaturating": (NonSaturating(), lambda t: W * (-W * t).sigmoid(), lambda t: W * (-t).sigmoid()),
    "minimax": (Minimax(), lambda t: W * (W * t).sigmoid(), lambda t: W * t.sigmoid()),
    "minimax-probability": (
        MinimaxProbability(),
        lambda t: W * t.sigmoid() * (-t).sigmoid() / (1 - W * t.sigmoid()),
        lambda t: W * t.sigmoid(),
    ),
    "lsgan": (LeastSquares(), lambda t: W * (1 - W * t), lambda t: W * (1 - t)),
    "wgan": (Wasserstein(), lambda t: W + 0 * t, lambda t: W + 0 * t),
    "hinge": (Hinge(), lambda t: W + 0 * t, lambda t: W + 0 * t),
    "hinge-hinged": (Hinge(hinged_generator=True), lambda t: W * (W * t < 1).double(), lambda t: W * (t < 1).double()),
}
"""a(t) with the weight on the output and on the loss, as printed."""


@for_each("name", BOTH_PLACES)
@for_each("place", ["output", "loss"])
def test_pull_of_each_loss_is_the_printed_one(name: str, place: str) -> None:
    loss, on_output, on_loss = BOTH_PLACES[name]
    expected = (on_output if place == "output" else on_loss)(logits + 0.01)
    found = pull(replace(loss, weight_on=place), logits + 0.01, weight=W)  # type: ignore[type-var]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@for_each("name", LOSSES)
@for_each("place", ["output", "loss"])
@for_each("weight", [1.0, 0.01])
def test_every_loss_has_the_functional_gradients_form(name: str, place: str, weight: float) -> None:
    loss = LOSSES[name]
    if hasattr(loss, "weight_on"):
        loss = replace(loss, weight_on=place)  # type: ignore[type-var]
    assert loss_gradient_error(loss, weight) < 1e-12


def test_the_pull_of_another_loss_is_another_field() -> None:
    """The check can fail: the non-saturating gradient is no fit with minimax's scalar."""
    t = torch.linspace(-3, 3, 7)
    ratio = pull(LOSSES["nonsaturating"], t) / pull(LOSSES["minimax"], t)
    assert ratio.max() / ratio.min() > 100


def test_the_accumulated_error_is_linear_in_the_step_size() -> None:
    errors = [accumulated_error(eta) for eta in ETAS]
    for eta, error in zip(ETAS, errors, strict=True):
        assert error / eta == pytest.approx(errors[-1] / ETAS[-1], rel=0.05)
    assert errors[-1] > 1e-4


def test_pushes_refuse_step_sizes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="one number for each critic, got 1 for 0 critics"):
        pushes(torch.zeros(2, 2), [], [1.0])


def test_a_push_moves_each_sample_along_its_own_gradient() -> None:
    critic = lambda x: (x**2).flatten(1).sum(1)  # noqa: E731
    start = torch.tensor([[[1.0, 2.0]], [[0.0, -3.0]]])
    trail = pushes(start, [critic, critic], [0.5, 0.25])
    assert torch.equal(trail[0].samples, 2 * start) and torch.equal(trail[0].gradients, 2 * start)
    assert torch.equal(trail[1].samples, 3 * start)
    torch.testing.assert_close(trail[0].norms, 2 * torch.tensor([5**0.5, 3.0]))
