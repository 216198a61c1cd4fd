"""The averaged gap by hand, and that the bound on it holds for every rule whose beta is bounded, on random games."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.optim import CG, SGD, BetaRule
from ganneal.theory.games import (
    ORDERS,
    Bilinear,
    DiracGAN,
    Game,
    Method,
    Order,
    Path,
    Quadratic,
    Toy,
    Walk,
    averaged_gap,
    gap_bound,
    play,
)

RULES: tuple[BetaRule, ...] = ("FR", "PRP", "HS", "DY", "HZ", "FR_PRP", "HS_DY")
BOUNDED: dict[str, tuple[Method, float]] = {
    "sgd": (SGD(0.1), 0.0),
    "momentum": (SGD(0.1, momentum=0.5), 0.5),
    **{rule: (CG(0.1, rule, beta_min=-0.5), 0.5) for rule in RULES},
    "HZ, half": (CG(0.1, "HZ", beta_coeff=0.5, beta_min=-0.5), 0.25),
    "PRP, not negative": (CG(0.1, "PRP", beta_min=0.0), 0.5),
    "FR_PRP, as it is": (CG(0.1, "FR_PRP"), 0.5),
}


WALKED = play(Quadratic((1.0, 0.3), 0.7), SGD(0.1), steps=7).x


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def betas(walk: Walk) -> Tensor:
    """Each beta that a walk of one coordinate shows."""
    directions = (walk.points.diff(dim=0) / walk.rates[:, None])[:, 0]
    return (directions[1:] + walk.gradients[1:, 0]) / directions[:-1]


def assert_bounded(path: Path, game: Game, radius: float, beta_bound: float) -> None:
    for walk, goal in zip((path.x, path.y), game.equilibrium, strict=True):
        gap, bound = averaged_gap(walk, goal, radius), gap_bound(walk, goal, radius, beta_bound=beta_bound)
        assert len(gap) == path.steps > 0
        assert (gap <= bound).all()


def test_the_gap_by_hand() -> None:
    walk = Walk(vector(3.0, 1.0, 2.0)[:, None], vector(2.0, -4.0)[:, None], vector(0.1, 0.1))
    # products with x_n - 1: 2 * 2, 0 * -4; mean gradients 2, -1
    assert averaged_gap(walk, vector(1.0)).tolist() == [4.0, 2.0]
    assert averaged_gap(walk, vector(1.0), 0.5).tolist() == [4.0 + 0.5 * 2, 2.0 + 0.5 * 1]


def test_the_bound_by_hand() -> None:
    walk = Walk(vector(3.0, 1.0, 2.0)[:, None], vector(2.0, -4.0)[:, None], vector(0.2, 0.1))
    # M 2, then 4; sqrt(Delta) 2 + 0.5
    first = 2.5**2 / (2 * 0.2 * 1) + 2 * 4 * 0.2 + 2 * 2 * 2.5 * 0.25
    second = 2.5**2 / (2 * 0.1 * 2) + 2 * 16 * 0.3 / 2 + 2 * 4 * 2.5 * 0.25
    assert gap_bound(walk, vector(1.0), 0.5, beta_bound=0.25).tolist() == pytest.approx([first, second])


@given(
    angle=st.floats(0, 6.3),
    radius=st.floats(0, 3),
    share=st.floats(0, 1),
)
def test_no_point_within_the_radius_has_a_larger_sum_and_one_reaches_it(
    angle: float, radius: float, share: float
) -> None:
    walk = WALKED
    centre = vector(0.2, -0.1)
    gap = averaged_gap(walk, centre, radius)[-1]

    def mean_product(x: Tensor) -> Tensor:
        return ((walk.points[:-1] - x) * walk.gradients).sum(dim=1).mean()

    other = centre + share * radius * vector(angle, angle - torch.pi / 2).cos()
    assert mean_product(other) <= gap + 1e-12
    mean = walk.gradients.mean(dim=0)
    torch.testing.assert_close(mean_product(centre - radius * mean / mean.norm()), gap)


@pytest.mark.runs
@for_each("name", BOUNDED)
@for_each("order", ORDERS)
@settings(max_examples=4)
@given(
    curvatures=st.lists(st.floats(0.1, 2), min_size=1, max_size=3),
    coupling=st.floats(-2, 2),
    start=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    radius=st.floats(0, 2),
    decay=st.sampled_from([0.0, 0.5, 0.75]),
)
def test_the_bound_holds_on_quadratic_games(
    name: str,
    order: Order,
    curvatures: list[float],
    coupling: float,
    start: tuple[float, float],
    radius: float,
    decay: float,
) -> None:
    method, beta_bound = BOUNDED[name]
    game = Quadratic(tuple(curvatures), coupling, *start)
    assert_bounded(play(game, method, steps=20, order=order, decay=decay), game, radius, beta_bound)


@pytest.mark.runs
@for_each("name", BOUNDED)
@for_each("game", [Bilinear((1.0, 0.3)), DiracGAN(), DiracGAN(r1=0.5)], ids=str)
def test_the_bound_holds_where_play_rotates(name: str, game: Game) -> None:
    method, beta_bound = BOUNDED[name]
    assert_bounded(play(game, method, steps=40), game, 1.0, beta_bound)


@pytest.mark.parametrize(("method", "beta_bound"), [(SGD(5e-5), 0.0), (CG(5e-5, "FR"), 0.5)], ids=["sgd", "FR"])
def test_the_bound_holds_on_the_toy(method: Method, beta_bound: float) -> None:
    assert_bounded(play(Toy(), method, steps=200), Toy(), 2.0, beta_bound)


def test_the_term_in_beta_is_needed_and_does_not_vanish_with_more_steps() -> None:
    # directions -1, 1, -1, ... go nowhere; with beta_n d_{n-1} = 1/2 throughout they follow gradients of mean 1/2
    number, lr = 4000, 1e-3
    directions = torch.where(torch.arange(number) % 2 == 0, -1.0, 1.0).double()
    gradients = 0.5 - directions
    gradients[0] = 1.0  # beta_0 = 0
    points = torch.cat([vector(1.0), 1 + lr * directions.cumsum(0)])
    walk = Walk(points[:, None], gradients[:, None], torch.full((number,), lr, dtype=torch.float64))
    assert betas(walk).abs().tolist() == pytest.approx([0.5] * (number - 1))
    gap = averaged_gap(walk, vector(0.0))[-1]
    assert gap == pytest.approx(0.5, abs=2e-3)
    assert (
        gap_bound(walk, vector(0.0), beta_bound=0.0)[-1] < 0.14
        and gap <= gap_bound(walk, vector(0.0), beta_bound=0.5).min()
    )


@for_each("rule", RULES)
def test_the_direction_is_at_most_twice_the_longest_gradient(rule: BetaRule) -> None:
    path = play(Quadratic((1.0, 0.2), 1.5), CG(0.1, rule, beta_min=-0.5), steps=60)
    for walk in (path.x, path.y):
        directions = torch.linalg.vector_norm(walk.points.diff(dim=0) / walk.rates[:, None], dim=1)
        longest = torch.linalg.vector_norm(walk.gradients, dim=1).cummax(dim=0).values
        assert (directions <= 2 * longest * (1 + 1e-9)).all()


def test_with_a_decaying_rate_the_gap_of_gradient_steps_goes_to_zero() -> None:
    # O(1/sqrt(N)) at lr n^(-1/2): a fiftyfold N, a seventh of the bound
    game = Quadratic((1.0,), 1.0)
    path = play(game, SGD(0.2), steps=1000, decay=0.5)
    gap, bound = (f(path.x, game.equilibrium[0], 1.0) for f in (averaged_gap, lambda *a: gap_bound(*a, beta_bound=0)))
    assert 0 <= gap[-1] < 0.16 * gap[19]
    assert bound[-1] == pytest.approx(float(bound[19]) / 50**0.5, rel=0.3)


def test_without_a_lower_bound_betas_leave_what_the_bound_needs() -> None:
    game = Quadratic((1.0,), 2.0)
    free, held = (play(game, CG(0.1, "DY", beta_min=least), steps=60) for least in (None, -0.5))
    assert betas(free.x).min() < -0.5
    assert betas(held.x).min() >= -0.5 - 1e-9 and betas(held.x).max() <= 0.5 + 1e-9


@for_each(
    ("arguments", "message"),
    [
        ({"beta_bound": 0.6}, "beta_bound must be between 0 and 0.5, got 0.6"),
        ({"beta_bound": -0.1}, "beta_bound must be"),
        ({"beta_bound": 0.5, "radius": -1.0}, "radius must be a finite number >= 0, got -1.0"),
    ],
)
def test_what_has_no_bound_is_refused(arguments: dict[str, float], message: str) -> None:
    walk = play(Bilinear(), SGD(0.1), steps=3).x
    with pytest.raises(ValueError, match=message):
        gap_bound(walk, vector(0.0), **arguments)
    growing = Walk(walk.points, walk.gradients, vector(0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="rates must not grow"):
        gap_bound(growing, vector(0.0), beta_bound=0.0)
