"""One game by several methods: each setting reaches the methods and the player that it is for."""

import pytest

from ganneal.optim import CG, SGD, Adam
from ganneal.theory.games import GAMES, Consensus, Extragradient
from ganneal.theory.games.match import Match


def test_options_reach_the_methods_they_are_for() -> None:
    options = Match(adam_lr=0.3, momentum=0.7, gamma=0.2, beta_coeff=0.5, beta_min=-0.5)
    assert options.configured("sgd", 0.1) == SGD(0.1)
    assert options.configured("momentum", 0.1) == SGD(0.1, momentum=0.7)
    assert options.configured("adam", 0.1) == Adam(0.3)
    assert options.configured("hs-dy", 0.1) == CG(0.1, "HS_DY", beta_coeff=0.5, beta_min=-0.5)
    assert options.configured("extragradient", 0.1) == Extragradient(0.1)
    assert options.configured("consensus", 0.1) == Consensus(0.1, 0.2)


def test_order_decay_and_both_rates_reach_the_players() -> None:
    options = Match(methods=("sgd",), steps=2, order="simultaneous", lr=0.2, y_lr=0.1, decay=1.0)
    path = options.played(GAMES["bilinear"])["sgd"]
    assert path.x.rates.tolist() == pytest.approx([0.2, 0.1]) and path.y.rates.tolist() == pytest.approx([0.1, 0.05])
    assert path.x.points[1].item() == pytest.approx(0.8) and path.y.points[1].item() == pytest.approx(1.1)
