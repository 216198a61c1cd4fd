"""What the playground draws: the samples of the command line, and ways between two of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ganneal.inference.playground.drawing import ANY_CLASS, EVERY_CLASS, Controls, Playground
from ganneal.models import DCGAN, DenoisingMLP, Model
from ganneal.storage.pictures import image_grid

SMALL = DCGAN(width=4, latent_size=8)
Alone = Callable[[Model, tuple[int, ...]], Playground]


def same(first: Image.Image, second: Image.Image) -> bool:
    return first.size == second.size and np.array_equal(np.asarray(first), np.asarray(second))


def tile(picture: Image.Image, row: int, column: int, side: int = 48) -> np.ndarray:
    """One image of a grid, as `image_grid` lays them out."""
    top, left = (2 + each * (side + 2) for each in (row, column))
    return np.asarray(picture)[top : top + side, left : left + side].astype(int)


def test_a_grid_is_what_the_command_line_samples(colours: Playground) -> None:
    controls = Controls(seed=3, count=5, class_name="green", truncation=0.5)
    samples = colours.generator.sample(5, 3, labels=[1] * 5, truncation=0.5)
    assert same(colours.grid(controls), image_grid(samples))
    assert same(colours.grid(Controls(seed=3, count=5)), image_grid(colours.generator.sample(5, 3)))
    assert not same(colours.grid(replace(controls, truncation=None)), colours.grid(controls))


def test_every_class_has_a_row(colours: Playground) -> None:
    assert colours.class_choices == [ANY_CLASS, EVERY_CLASS, "red", "green", "blue"]
    samples = colours.generator.sample(6, 2, labels=[0, 0, 1, 1, 2, 2])
    assert same(colours.grid(Controls(seed=2, count=7, class_name=EVERY_CLASS)), image_grid(samples, 2))


def test_the_way_leads_from_the_first_picture_of_one_seed_to_that_of_the_other(alone: Alone) -> None:
    small = alone(SMALL, (1, 8, 8))
    controls = Controls(seed=4, count=6, truncation=1.0)
    way = small.between(controls, other_seed=9)
    assert way.size == (6 * 50 + 2, 52)
    np.testing.assert_allclose(tile(way, 0, 0), tile(small.grid(controls), 0, 0), atol=1)
    np.testing.assert_allclose(tile(way, 0, 5), tile(small.grid(replace(controls, seed=9)), 0, 0), atol=1)
    assert not np.array_equal(tile(way, 0, 2), tile(way, 0, 3))
    assert small.between(replace(controls, count=1), 9).size == (2 * 50 + 2, 52)


def test_a_way_keeps_its_class_and_has_a_row_for_each_of_every(colours: Playground) -> None:
    controls = Controls(seed=1, count=9, class_name=EVERY_CLASS)
    way = colours.between(controls, 2)
    for row, name in enumerate(("red", "green", "blue")):
        for column, seed in ((0, 1), (2, 2)):
            first = tile(colours.grid(replace(controls, class_name=name, seed=seed)), 0, 0, side=64)
            np.testing.assert_allclose(tile(way, row, column, side=64), first, atol=1)
    assert not np.array_equal(tile(way, 0, 1, side=64), tile(way, 1, 1, side=64))


def test_noise_stays_that_of_the_first_seed_on_the_way(alone: Alone) -> None:
    toy = alone(DenoisingMLP(width=16, depth=2, latent_size=3), (2,)).generator
    latents, condition, random = toy.draw(1, seed=0)
    given_noise = tuple(each.expand(3, *each.shape[1:]) for each in condition)
    points = toy.finish(latents.expand(3, -1), given_noise, random)
    torch.testing.assert_close(points, points[:1].expand(3, -1))


def test_samplers_are_those_of_the_run(pushed: Playground, alone: Alone) -> None:
    own, plain = (pushed.grid(Controls(count=4, sampler=each)) for each in ("pushed", "generator"))
    assert not same(own, plain)
    assert same(plain, alone(SMALL, (1, 8, 8)).grid(Controls(count=4)))
    assert pushed.between(Controls(count=3, sampler="pushed"), 1).size == (3 * 50 + 2, 52)
    with pytest.raises(ValueError, match="sampler must be generator for this run, got 'pushed'"):
        alone(SMALL, (1, 8, 8)).grid(Controls(sampler="pushed"))


@pytest.mark.parametrize("count", [0, 257])
def test_counts_out_of_range_are_refused(count: int, alone: Alone) -> None:
    with pytest.raises(ValueError, match=f"count must be in 1..256, got {count}"):
        alone(SMALL, (1, 8, 8)).grid(Controls(count=count))


def test_a_run_of_the_zoo_opens_with_its_generator() -> None:
    zoo = Playground.of("zoo:digits-nats")
    assert list(zoo.samplers) == ["generator"] and zoo.class_choices == [ANY_CLASS] and zoo.can_truncate
    assert same(zoo.grid(Controls(seed=1, count=4)), image_grid(zoo.generator.sample(4, seed=1)))
