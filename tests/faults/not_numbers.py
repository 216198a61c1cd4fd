"""What is no number: in the data, in a weight, in a loss."""

from math import inf, nan

import numpy as np
import torch
from protocol import Fault, Scene, restored


def in_data(scene: Scene) -> Fault:
    """Some values of the data."""
    path = scene.root / "points.npy"
    mend = restored([path])
    points = np.load(path)
    points.reshape(-1)[scene.random.integers(points.size, size=int(scene.random.integers(1, 60)))] = _value(scene)
    np.save(path, points)
    return Fault("values of the data are no numbers", mend=mend)


def in_a_weight(scene: Scene) -> Fault:
    """One number of a player, at some move."""
    value, place = _value(scene), scene.place()
    player = ["generator", "discriminator"][int(scene.random.integers(2))]

    def inside() -> None:
        from ganneal.engine import loop as engine

        original = engine.apply
        moves = 0

        def apply(step, run):
            nonlocal moves
            moves += 1
            if moves == 1 + place % 30:
                with torch.no_grad():
                    next(getattr(run, player).parameters()).view(-1)[0] = value
            return original(step, run)

        engine.apply = apply  # type: ignore[assignment]

    return Fault(f"a weight of the {player} becomes {value} at move {1 + place % 30}", inside)


def in_a_loss(scene: Scene) -> Fault:
    """The discriminator's or the generator's, for one sample, at some move."""
    value, place = _value(scene), scene.place()
    name = ["generator", "discriminator"][int(scene.random.integers(2))]

    def inside() -> None:
        from ganneal.losses import NonSaturating

        original = getattr(NonSaturating, name)
        calls = 0

        def loss(self, *arguments, **options):
            nonlocal calls
            calls += 1
            found = original(self, *arguments, **options)
            return found * value if calls == 1 + place % 25 else found

        setattr(NonSaturating, name, loss)

    return Fault(f"the {name}'s loss becomes {value} at call {1 + place % 25}", inside)


def _value(scene: Scene) -> float:
    return [nan, inf, -inf][int(scene.random.integers(3))]
