"""Small games with known equilibria, and how optimizers play them: no network, no data, float64.

>>> path = play(GAMES["bilinear"], METHODS["extragradient"], steps=1000)
>>> bool(path.distances[-1] < 0.02 * path.distances[0])
True
"""

from ganneal.theory.games.gaps import averaged_gap, gap_bound
from ganneal.theory.games.methods import METHODS, Consensus, Extragradient, Method, Optimistic, OptimisticGradient
from ganneal.theory.games.playing import ORDERS, Order, Path, Walk, coinciding, play
from ganneal.theory.games.problems import GAMES, Bilinear, DiracGAN, Game, Quadratic, Toy

__all__ = [
    "GAMES",
    "METHODS",
    "ORDERS",
    "Bilinear",
    "Consensus",
    "DiracGAN",
    "Extragradient",
    "Game",
    "Method",
    "Optimistic",
    "OptimisticGradient",
    "Order",
    "Path",
    "Quadratic",
    "Toy",
    "Walk",
    "averaged_gap",
    "coinciding",
    "gap_bound",
    "play",
]
