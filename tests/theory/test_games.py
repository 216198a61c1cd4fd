"""Games and methods against closed forms: exact growth of a step, roots of recurrences, conserved quantities."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.losses import LOSSES
from ganneal.optim import CG, SGD, Adam
from ganneal.theory.games import (
    GAMES,
    METHODS,
    ORDERS,
    Bilinear,
    Consensus,
    DiracGAN,
    Extragradient,
    Game,
    Optimistic,
    OptimisticGradient,
    Order,
    Path,
    Quadratic,
    Toy,
    coinciding,
    play,
)

EVERY_GAME: list[Game] = [
    *GAMES.values(),
    Bilinear(couplings=(1.0, -0.3)),
    Quadratic(curvatures=(1.0, 0.1), coupling=-0.4),
    *(DiracGAN(loss=loss, r1=0.7) for loss in LOSSES.values()),
]
ROOT2 = 2**0.5
coordinate = st.floats(-2, 2)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def factors(path: Path) -> Tensor:
    """By how much each step multiplied the distance to the equilibrium."""
    return path.distances[1:] / path.distances[:-1]


def rate(path: Path, last: int = 200) -> float:
    """The mean factor of the last steps: of a linear recurrence, its spectral radius."""
    return float((path.distances[-1] / path.distances[-1 - last]) ** (1 / last))


# Games


@for_each("game", EVERY_GAME, ids=str)
def test_gradients_are_those_of_the_losses(game: Game) -> None:
    random = torch.Generator().manual_seed(0)
    for _ in range(5):
        x, y = (torch.randn(len(p), generator=random, dtype=torch.float64).requires_grad_() for p in game.start)
        of_x, of_y = game.losses(x, y)
        expected = torch.autograd.grad(of_x, x, retain_graph=True)[0], torch.autograd.grad(of_y, y)[0]
        torch.testing.assert_close(game.gradients(x.detach(), y.detach()), expected, rtol=1e-12, atol=1e-12)


@for_each("game", EVERY_GAME, ids=str)
def test_both_gradients_vanish_at_the_equilibrium_and_not_elsewhere(game: Game) -> None:
    assert all(bool((g == 0).all()) for g in game.gradients(*game.equilibrium))
    start_x, start_y = game.start
    assert all(bool((g != 0).any()) for g in game.gradients(0.4 * start_x, 0.3 * start_y))
    assert all(len(g) == len(start) for g, start in zip(game.gradients(*game.start), game.start, strict=True))


@for_each("game", [Toy(), Bilinear(), Bilinear((1.0, 0.3)), Quadratic(), Quadratic((2.0, 0.5), 3.0)])
@given(offset=coordinate)
def test_neither_player_gains_by_leaving_the_equilibrium_alone(game: Game, offset: float) -> None:
    x, y = game.equilibrium
    of_x, of_y = game.losses(x, y)
    assert game.losses(x + offset, y)[0] >= of_x and game.losses(x, y + offset)[1] >= of_y


def test_the_toys_saddle_has_value_100_and_curvatures_200_and_minus_2() -> None:
    zero, near = vector(0.0), vector(0.1)
    assert Toy().losses(zero, zero) == (100, -100)
    assert Toy().gradients(near, zero)[0].item() == pytest.approx(200 * 0.1)
    assert Toy().gradients(zero, near)[1].item() == pytest.approx(2 * 0.1)  # of -f


# Gradient steps on the bilinear game: rotation


@for_each(("lr", "coupling"), [(0.1, 1.0), (0.05, 3.0), (0.5, -0.4)])
def test_simultaneous_gradient_steps_grow_by_the_same_factor_at_every_step(lr: float, coupling: float) -> None:
    path = play(Bilinear((coupling,)), SGD(lr), steps=100, order="simultaneous")
    expected = torch.full((100,), (1 + (lr * coupling) ** 2) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(factors(path), expected, rtol=1e-13, atol=0)


@pytest.mark.runs
@for_each("k", [0.1, 1.0, 1.9])
def test_alternating_gradient_steps_stay_on_an_ellipse_below_lr_2(k: float) -> None:
    # x' = x - k y, y' = y + k x' keeps x^2 + y^2 - k x y, an ellipse for k < 2
    path = play(Bilinear(start_x=0.7, start_y=-1.1), SGD(k), steps=500)
    x, y = path.x.points[:, 0], path.y.points[:, 0]
    conserved = x.square() + y.square() - k * x * y
    torch.testing.assert_close(conserved, conserved[:1].expand(501), rtol=1e-10, atol=0)
    assert path.distances.square().max() <= conserved[0] / (1 - k / 2) * (1 + 1e-9)
    assert path.distances.square().min() >= conserved[0] / (1 + k / 2) * (1 - 1e-9)


def test_alternating_gradient_steps_leave_beyond_lr_2() -> None:
    # trace 2 - k^2 = -4.25 and determinant 1: the larger root is -4
    path = play(Bilinear(), SGD(2.5), steps=15)
    torch.testing.assert_close(factors(path)[-1].item(), 4.0, rtol=1e-9, atol=0)


@for_each("k", [0.1, 0.5, 0.9])
def test_extragradient_shrinks_by_the_same_factor_at_every_step(k: float) -> None:
    # 1 - ik + (ik)^2 for both players together
    path = play(Bilinear(), Extragradient(k), steps=100, order="simultaneous")
    expected = torch.full((100,), (1 - k**2 + k**4) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(factors(path), expected, rtol=1e-12, atol=0)


@pytest.mark.runs
@for_each("k", [0.1, 0.3, 0.45])
def test_optimistic_steps_converge_at_the_root_of_their_recurrence(k: float) -> None:
    path = play(Bilinear(), Optimistic(k), steps=500, order="simultaneous")
    radius = np.abs(np.roots([1, -(1 - 2j * k), -1j * k])).max()
    assert radius < 1
    assert rate(path) == pytest.approx(radius, rel=1e-9)


def test_optimistic_steps_leave_where_their_root_is_outside_the_circle() -> None:
    # 1/sqrt(3) is where the larger root crosses it
    below, above = (play(Bilinear(), Optimistic(k), steps=400, order="simultaneous") for k in (0.56, 0.60))
    assert below.distances[-1] < below.distances[0] and above.distances[-1] > 1e3 * above.distances[0]


@pytest.mark.runs
@for_each("order", ORDERS)
@for_each("name", ["extragradient", "optimistic"])
def test_lookahead_converges_in_either_order_where_gradient_steps_do_not(name: str, order: Order) -> None:
    game = Bilinear((1.0, -0.5))
    ahead, plain = (play(game, method, steps=400, order=order) for method in (METHODS[name], SGD(0.1)))
    assert ahead.distances[-1] < 0.5 * ahead.distances[0] and plain.distances[-1] > 0.9 * plain.distances[0]


@for_each(("k", "gamma"), [(0.1, 0.5), (0.3, 1.0), (0.2, 0.0)])
def test_consensus_shrinks_a_rotation_by_the_same_factor_at_every_step(k: float, gamma: float) -> None:
    # the squared gradients are x^2 + y^2: 1 - k gamma - ik for both players together
    path = play(Bilinear(), Consensus(k, gamma), steps=60, order="simultaneous")
    expected = torch.full((60,), ((1 - k * gamma) ** 2 + k**2) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(factors(path), expected, rtol=1e-12, atol=0)


@for_each("game", [Toy(), Quadratic((1.0, 0.5), 0.3), DiracGAN(LOSSES["nonsaturating"], r1=0.4)])
def test_consensus_follows_the_gradient_and_the_slope_of_half_the_squared_gradients(game: Game) -> None:
    x, y = game.start
    found = Consensus(gamma=0.7).followed(game, (x, y), (0.1, 0.1))

    def left(x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * sum_of_squares(*game.gradients(x, y))

    step, here = 1e-5, game.gradients(x, y)
    for player in (0, 1):
        for i in range(len(x)):
            offset = torch.zeros_like(x)
            offset[i] = step
            ahead, behind = (
                left(*(p + sign * offset if index == player else p for index, p in enumerate((x, y))))
                for sign in (1, -1)
            )
            slope = (ahead - behind).item() / (2 * step)
            assert found[player][i].item() == pytest.approx(here[player][i].item() + 0.7 * slope, rel=1e-6)
    still = Consensus().followed(game, game.equilibrium, (0.1, 0.1))
    assert sum_of_squares(*still) < 1e-24


@pytest.mark.parametrize("order", ORDERS)
def test_heavy_ball_diverges_on_a_rotation_in_either_order(order: Order) -> None:
    path = play(Bilinear(), SGD(0.1, momentum=0.5), steps=400, order=order)
    assert path.distances[-1] > 1e4


# Linear rates of the quadratic game


@for_each(("curvature", "coupling", "lr"), [(1.0, 2.0, 0.1), (2.0, 0.5, 0.2), (0.5, 3.0, 0.05)])
def test_simultaneous_gradient_steps_on_a_quadratic_have_their_factor_at_every_step(
    curvature: float, coupling: float, lr: float
) -> None:
    path = play(Quadratic((curvature,), coupling), SGD(lr), steps=60, order="simultaneous")
    expected = torch.full((60,), ((1 - lr * curvature) ** 2 + (lr * coupling) ** 2) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(factors(path), expected, rtol=1e-12, atol=0)


def matrix(curvature: float, coupling: float, lr: float, momentum: float, order: Order) -> np.ndarray:
    """One step on (x, y, x before, y before): gradient steps with a heavy ball on the quadratic of one coordinate."""
    x_move = np.array([1 - lr * curvature + momentum, -lr * coupling, -momentum, 0])
    y_move = np.array([0, 1 - lr * curvature + momentum, 0, -momentum])
    seen = x_move if order == "alternating" else np.array([1.0, 0, 0, 0])
    return np.stack([x_move, y_move + lr * coupling * seen, [1, 0, 0, 0], [0, 1, 0, 0]])


@pytest.mark.runs
@for_each("order", ORDERS)
@for_each("momentum", [0.0, 0.5])
@for_each(("curvature", "coupling", "lr"), [(1.0, 2.0, 0.1), (2.0, 0.5, 0.2)])
def test_gradient_and_heavy_ball_steps_are_the_linear_recurrence(
    curvature: float, coupling: float, lr: float, momentum: float, order: Order
) -> None:
    path = play(Quadratic((curvature,), coupling, 1.0, -2.0), SGD(lr, momentum), steps=300, order=order)
    step = matrix(curvature, coupling, lr, momentum, order)
    state = np.array([1.0, -2.0, 1.0, -2.0])
    for place in range(1, 301):
        state = step @ state
        assert [path.x.points[place, 0], path.y.points[place, 0]] == pytest.approx(state[:2], rel=1e-9, abs=1e-14)


@pytest.mark.runs
@for_each("name", ["sgd", "extragradient", "optimistic", "prp", "fr-prp"])
@for_each("order", ORDERS)
def test_a_strongly_monotone_game_is_solved(name: str, order: Order) -> None:
    path = play(Quadratic((1.0,), 2.0), METHODS[name], steps=400, order=order)
    assert path.distances[-1] < 1e-7


# The Dirac-GAN: Mescheder et al. 2018


@given(x=coordinate, y=coordinate)
def test_gradients_of_the_dirac_gan_are_the_papers(x: float, y: float) -> None:
    t = vector(x * y)
    minimax, nonsaturating, wgan = (
        DiracGAN(loss=LOSSES[name], r1=0.5).gradients(vector(x), vector(y))
        for name in ("minimax", "nonsaturating", "wgan")
    )
    torch.testing.assert_close(minimax, (-y * t.sigmoid(), x * t.sigmoid() + 0.5 * y))
    torch.testing.assert_close(nonsaturating, (-y * (-t).sigmoid(), x * t.sigmoid() + 0.5 * y))
    torch.testing.assert_close(wgan, (vector(-y), vector(x + 0.5 * y)))


@given(x=coordinate, y=coordinate)
def test_the_flow_keeps_its_radius_but_for_the_nonsaturating_loss_that_shrinks_it(x: float, y: float) -> None:
    for name in ("minimax", "wgan"):
        of_x, of_y = DiracGAN(loss=LOSSES[name]).gradients(vector(x), vector(y))
        torch.testing.assert_close(x * of_x + y * of_y, vector(0.0))
    of_x, of_y = DiracGAN(loss=LOSSES["nonsaturating"]).gradients(vector(x), vector(y))
    torch.testing.assert_close(x * of_x + y * of_y, vector(x * y) * (vector(x * y) / 2).tanh())


@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
def test_near_the_equilibrium_simultaneous_steps_grow_by_eigenvalues_off_the_unit_circle(name: str) -> None:
    # 1 -+ i lr f'(0), f'(0) = 1/2
    near = DiracGAN(loss=LOSSES[name], start_x=1e-4, start_y=1e-4)
    expected = torch.full((50,), (1 + 0.1**2) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(factors(play(near, SGD(0.2), steps=50, order="simultaneous")), expected)


@pytest.mark.runs
def test_alternating_steps_of_the_minimax_dirac_gan_neither_converge_nor_leave() -> None:
    path = play(DiracGAN(), SGD(0.2), steps=600)
    assert 1.2 < path.distances.min() and path.distances.max() < 1.7


def jacobian(r1: float, lr: float) -> np.ndarray:
    return np.eye(2) - lr * np.array([[0, -0.5], [0.5, r1]])


@pytest.mark.runs
@for_each("r1", [0.2, 0.5, 1.0, 2.0])
def test_r1_makes_it_converge_at_the_rate_of_its_eigenvalues(r1: float) -> None:
    # 1 - lr (r1/2 -+ sqrt(r1^2/4 - f'(0)^2)); at r1 = 1 both are one, and the rate has a factor of n
    values = 1 - 0.2 * (r1 / 2 + np.array([1, -1]) * np.emath.sqrt(r1**2 / 4 - 0.25))
    assert np.sort(np.abs(np.linalg.eigvals(jacobian(r1, 0.2)))) == pytest.approx(np.sort(np.abs(values)), abs=1e-6)
    path = play(DiracGAN(r1=r1), SGD(0.2), steps=400, order="simultaneous")
    assert path.distances[-1] < 2e-2 * path.distances[0]
    allowed = 1e-2 if r1 == 1.0 else 2e-3
    assert rate(path) == pytest.approx(np.abs(values).max(), abs=allowed)


# Conjugate gradients


@pytest.mark.parametrize("order", ORDERS)
@given(start=st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)))
@settings(max_examples=5)
def test_fr_is_a_heavy_ball_of_half_its_coefficient_while_gradients_change_slowly(
    order: Order, start: tuple[float, float]
) -> None:
    game = Quadratic((1.0,), 0.2, *start)
    cg, ball = (play(game, method, steps=20, order=order) for method in (CG(0.01), SGD(0.01, momentum=0.5)))
    torch.testing.assert_close(cg.x.points, ball.x.points, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cg.y.points, ball.y.points, rtol=1e-12, atol=1e-12)


def test_prp_of_one_coordinate_is_optimistic_to_second_order() -> None:
    # with d = -g_ , beta d = -(g/g_)(g - g_): -g + beta d is -(2g - g_) where g is near g_
    for lr, order_of_error in ((1e-3, 2e-5), (1e-4, 2e-7)):
        game = Quadratic((1.0,), 0.5, 1.0, 1.0)
        prp, optimistic = (
            play(game, method, steps=10, order="simultaneous") for method in (CG(lr, "PRP"), Optimistic(lr))
        )
        assert (prp.x.points - optimistic.x.points).abs().max() < order_of_error
        plain = play(game, SGD(lr), steps=10, order="simultaneous")
        assert (prp.x.points - plain.x.points).abs().max() > 10 * (prp.x.points - optimistic.x.points).abs().max()


# Playing


@for_each("name", METHODS)
@for_each("order", ORDERS)
def test_a_path_keeps_every_place_the_gradients_followed_and_the_rates(name: str, order: Order) -> None:
    game = Quadratic((1.0, 0.5), 0.3)
    path = play(game, METHODS[name], steps=12, order=order, decay=0.5)
    assert path.steps == 12 and not path.escaped
    for walk in (path.x, path.y):
        assert walk.points.shape == (13, 2) and walk.gradients.shape == (12, 2)
        assert walk.points.dtype == walk.gradients.dtype == torch.float64
        torch.testing.assert_close(walk.rates, METHODS[name].lr / torch.arange(1, 13, dtype=torch.float64).sqrt())
    assert path.distances[0] == 2.0
    torch.testing.assert_close(path.distances[-1].square(), sum_of_squares(path.x.points[-1], path.y.points[-1]))
    if name not in ("extragradient", "consensus"):  # they follow other vectors
        seen = path.x.points[1:] if order == "alternating" else path.x.points[:-1]
        expected = torch.stack([game.gradients(x, y)[1] for x, y in zip(seen, path.y.points[:-1], strict=True)])
        torch.testing.assert_close(path.y.gradients, expected)


def sum_of_squares(*points: Tensor) -> Tensor:
    return torch.cat(points).square().sum()


def test_a_game_that_keeps_its_start_can_be_played_again() -> None:
    class Kept(Bilinear):
        kept = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)

        @property
        def start(self) -> tuple[Tensor, Tensor]:
            return self.kept

    first, again = (play(Kept(), METHODS["sgd"], steps=3) for _ in range(2))
    assert torch.equal(first.x.points, again.x.points) and torch.equal(Kept.kept[0], torch.ones(1).double())


def test_players_may_use_different_methods_and_rates() -> None:
    path = play(Quadratic((1.0,), 0.5), Adam(0.01), SGD(0.1), steps=1)
    assert float((path.x.points[1] - path.x.points[0]).abs()) == pytest.approx(0.01, rel=1e-6)
    x, y = path.x.points[1, 0], path.y.points[0, 0]
    assert float(path.y.points[1, 0]) == pytest.approx(float(y - 0.1 * (y - 0.5 * x)), rel=1e-12)


def test_play_ends_where_nothing_comes_back() -> None:
    path = play(Toy(), SGD(0.1), steps=400)
    assert path.escaped and path.steps < 20
    assert bool(path.distances.isfinite().all()) and len(path.distances) == path.steps + 1
    assert len(path.x.gradients) == path.steps
    at_once = play(Toy(start_x=1e150), SGD(1.0), steps=10)
    assert (at_once.steps, at_once.escaped, at_once.x.gradients.shape) == (0, True, (0, 1))


def test_the_same_path_is_found_under_two_names_and_no_other() -> None:
    methods = {
        "sgd": SGD(5e-5),
        "ball": SGD(5e-5, 0.5),
        "fr": CG(5e-5),
        "hybrid": CG(5e-5, "FR_PRP"),
        "hz": CG(5e-5, "HZ"),
    }
    paths = {name: play(Toy(), method, steps=40) for name, method in methods.items()}
    assert coinciding(paths) == [["sgd", "hybrid"], ["ball", "fr"], ["hz"]]


def test_optimistic_steps_by_hand() -> None:
    x = torch.nn.Parameter(vector(1.0))
    optimizer = OptimisticGradient([x], lr=0.1)
    for gradient, expected in ((3.0, 0.7), (2.0, 0.6), (4.0, 0.0)):  # 3, 2*2 - 3, 2*4 - 2
        x.grad = vector(gradient)
        optimizer.step()
        x.grad.zero_()  # what it remembers is a copy
        assert x.item() == pytest.approx(expected)
    x.grad = None
    assert optimizer.step(lambda: 5.0) == 5.0 and x.item() == pytest.approx(0.0)


# Mistakes


@for_each(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"decay": -0.5}, "decay must be a finite number >= 0, got -0.5"),
        ({"decay": float("nan")}, "decay must be"),
    ],
)
def test_play_that_cannot_be_is_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play(Toy(), SGD(0.1), **arguments)  # type: ignore[arg-type]


REFUSED: Sequence[tuple[type, dict[str, object], str]] = [
    (Toy, {"start_x": float("inf")}, "start_x must be a finite number, got inf"),
    (Bilinear, {"couplings": (1.0, 0.0)}, "couplings must be"),
    (Bilinear, {"couplings": ()}, "couplings must be"),
    (Quadratic, {"curvatures": (1.0, -1.0)}, "curvatures must be"),
    (Quadratic, {"coupling": float("nan")}, "coupling must be a finite number"),
    (DiracGAN, {"r1": -1.0}, "r1 must be at least 0, got -1.0"),
    (Extragradient, {"lr": -0.1}, "lr must be a finite number >= 0, got -0.1"),
    (Optimistic, {"lr": float("inf")}, "lr must be"),
]


@for_each(("kind", "fields", "message"), REFUSED, ids=lambda value: str(value))
def test_games_and_methods_that_cannot_be_are_refused(kind: type, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**fields)
