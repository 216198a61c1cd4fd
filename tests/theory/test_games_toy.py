"""The toy of Naganuma and Iiduka: its table to the printed digits, what is to be seen in it, and the worked check."""

import pytest
import torch
from tests.for_each import for_each

from ganneal.optim import CG, SGD, BetaRule
from ganneal.theory.games import Method, Path, Toy, play

COLUMNS = {
    "sgd": lambda lr: SGD(lr),
    "momentum": lambda lr: SGD(lr, momentum=0.5),
    "FR half": lambda lr: CG(lr, "FR", beta_coeff=0.5),
    "FR": lambda lr: CG(lr, "FR"),
    "PRP": lambda lr: CG(lr, "PRP"),
    "HZ": lambda lr: CG(lr, "HZ"),
}
TABLE = {
    1e-5: (
        *((1.017036, -3.899169), (0.513761, -3.850702), (0.810751, -3.880214)),
        *((0.513761, -3.850702), (1.018184, -3.899345), (0.516099, -3.851051)),
    ),
    5e-5: (
        *((0.065207, -3.754499), (0.001763, -3.607366), (0.020174, -3.704852)),
        *((0.001763, -3.607366), (0.067111, -3.755276), (0.001997, -3.608768)),
    ),
}
CELLS = [(lr, name, cell) for lr, row in TABLE.items() for name, cell in zip(COLUMNS, row, strict=True)]


@pytest.fixture(scope="module")
def path():
    """Paths of 400 steps, each played once."""
    played: dict[Method, Path] = {}

    def of(method: Method) -> Path:
        if method not in played:
            played[method] = play(Toy(), method, steps=400)
        return played[method]

    return of


@pytest.mark.runs
@for_each(("lr", "name", "cell"), CELLS)
def test_the_table_to_its_printed_digits(path, lr: float, name: str, cell: tuple[float, float]) -> None:
    end = path(COLUMNS[name](lr))
    assert (end.x.points[-1].item(), end.y.points[-1].item()) == pytest.approx(cell, rel=0, abs=5.01e-7)


@for_each("lr", [1e-5, 5e-5])
@for_each("name", COLUMNS)
def test_the_approach_is_monotone_and_x_arrives_long_before_y(path, lr: float, name: str) -> None:
    walked = path(COLUMNS[name](lr))
    assert (walked.x.points.diff(dim=0) < 0).all() and (walked.y.points.diff(dim=0) > 0).all()
    assert (walked.x.points > 0).all() and (walked.y.points < 0).all()
    assert abs(walked.x.points[-1] / 2) < abs(walked.y.points[-1] / 4)


@pytest.mark.runs
@for_each(
    ("lr", "rule", "coeff"),
    [(1e-5, "FR", 0.5), (1e-5, "FR", 1.0), (5e-5, "FR", 0.5), (5e-5, "FR", 1.0), (5e-5, "DY", 1.0)],
)
def test_fr_and_dy_are_heavy_balls_of_half_their_coefficient(path, lr: float, rule: BetaRule, coeff: float) -> None:
    one, ball = path(CG(lr, rule, beta_coeff=coeff)), path(SGD(lr, momentum=0.5 * coeff))
    torch.testing.assert_close(one.x.points, ball.x.points, rtol=1e-12, atol=0)
    torch.testing.assert_close(one.y.points, ball.y.points, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("lr", "rule"), [(1e-5, "FR_PRP"), (5e-5, "HS_DY")])
def test_the_hybrids_are_gradient_steps_exactly(path, lr: float, rule: BetaRule) -> None:
    assert torch.equal(path(CG(lr, rule)).x.points, path(SGD(lr)).x.points)
    assert torch.equal(path(CG(lr, rule)).y.points, path(SGD(lr)).y.points)


def test_prp_lags_a_little_behind_gradient_steps_and_hs_far(path) -> None:
    plain, prp, hs = (path(method).x.points[-1].item() for method in (SGD(5e-5), CG(5e-5, "PRP"), CG(5e-5, "HS")))
    assert 0 < prp - plain < 0.002 and hs - plain > 0.2


def test_prps_beta_is_slightly_negative(path) -> None:
    walk = path(CG(5e-5, "PRP")).x
    directions = (walk.points.diff(dim=0) / 5e-5)[:, 0]
    betas = (directions[1:] + walk.gradients[1:, 0]) / directions[:-1]
    assert (betas < 0).all() and (betas > -0.05).all()


# The worked check, through the lab: from (1.5, -2) at lr 1e-3

WORKED_X = {
    "FR": (1.212, 0.83520048089093, 0.49560099111195),
    "PRP": (1.212, 1.02382077743954, 0.851762176931457),
    "HZ": (1.212, 0.835200480890931, 0.514196801253688),
    "DY": (1.212, 0.835200480890931, 0.486298881517774),
    "HS": (1.212, 1.212, 0.979200480890931),
    "FR_PRP": (1.212, 0.979200480890931, 0.791056161456936),
    "HS_DY": (1.212, 0.979200480890931, 0.791056161456936),
}


@for_each("rule", WORKED_X)
def test_the_worked_check(rule: BetaRule) -> None:
    path = play(Toy(start_x=1.5, start_y=-2.0), CG(1e-3, rule), steps=3)
    assert path.x.points[1:, 0].tolist() == pytest.approx(WORKED_X[rule], rel=0, abs=1e-9)
    if rule == "FR":
        expected = (-1.990124224, -1.97874477565272, -1.96812552198917)
        assert path.y.points[1:, 0].tolist() == pytest.approx(expected, rel=0, abs=1e-9)
    if rule in ("FR_PRP", "HS_DY"):
        plain = play(Toy(start_x=1.5, start_y=-2.0), SGD(1e-3), steps=3)
        assert torch.equal(path.x.points, plain.x.points)
