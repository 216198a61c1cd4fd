"""A walk through latents: great circles, samples at its stops, no frame twice, classes on the way."""

from math import pi
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganneal.inference.generator import TrainedGenerator, Truncation
from ganneal.inference.walk import LatentWalk, great_circle
from ganneal.models import DCGAN, MLP, R3GAN, BigGAN, DenoisingMLP, Model
from ganneal.task import Denoising, Labelled, Task, Unconditional

SMALL = DCGAN(width=4, latent_size=8)


def generator(model: Model = SMALL, shape: tuple[int, ...] = (1, 8, 8), classes: int = 0, **given: Any) -> Any:
    task: Task = given.pop("task", Labelled() if classes else Unconditional())
    torch.manual_seed(0)
    pair = model.build(shape, classes)
    return TrainedGenerator(pair.generator, pair, task, **given)


def frames(walk: LatentWalk, of: TrainedGenerator, **given: Any) -> Tensor:
    return torch.cat(list(walk(of, **given)))


@given(st.integers(2, 9), st.floats(0.01, pi - 0.01), st.floats(0.1, 5.0))
def test_a_great_circle_keeps_length_and_goes_by_equal_angles(steps: int, angle: float, length: float) -> None:
    start = torch.tensor([length, 0.0, 0.0], dtype=torch.float64)
    end = length * torch.tensor([np.cos(angle), 0.0, np.sin(angle)], dtype=torch.float64)
    points = great_circle(start, end, steps)
    torch.testing.assert_close(points.norm(dim=1), torch.full((steps,), length, dtype=torch.float64))
    reached = torch.atan2(points[:, 2], points[:, 0])
    torch.testing.assert_close(reached, torch.linspace(0, angle, steps, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_lengths_between_unequal_ends_are_between_theirs_and_ends_are_exact() -> None:
    start, end = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    points = great_circle(start, end, 5)
    torch.testing.assert_close(points[[0, -1]], torch.stack([start, end]))
    lengths = points.norm(dim=1)
    assert lengths.min() >= 1 - 1e-6 and lengths.max() <= 3 + 1e-6


@pytest.mark.parametrize("end", [[2.0, 2.0], [-1.0, -1.0]])
def test_ends_on_one_line_are_joined_by_it(end: list[float]) -> None:
    points = great_circle(torch.ones(2), torch.tensor(end), 3)
    torch.testing.assert_close(points, torch.stack([torch.ones(2), (1 + torch.tensor(end)) / 2, torch.tensor(end)]))


def test_unequal_lengths_turn_by_equal_angles_all_the_same() -> None:
    points = great_circle(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 9.0]), 4)
    angles = torch.atan2(points[:, 1], points[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, pi / 2, 4))
    torch.testing.assert_close(points.norm(dim=1), torch.tensor([1.0, 11 / 3, 19 / 3, 9.0]))


def test_a_walk_passes_through_the_samples_of_its_seed() -> None:
    small = generator()
    walked = frames(LatentWalk(stops=3, steps=4, seed=5), small)
    assert walked.shape == (12, 1, 8, 8)
    torch.testing.assert_close(walked[::4], small.sample(3, seed=5))


def test_truncated_stops_are_the_truncated_samples() -> None:
    small, cut = generator(), Truncation(0.5)
    walked = frames(LatentWalk(3, 2, truncation=cut), small)
    torch.testing.assert_close(walked[::2], small.sample(3, truncation=cut))


def test_frames_are_evenly_far_apart_and_the_last_leads_to_the_first() -> None:
    """A frame that came twice, or a step over a joint, would be a halt or a jump in the film."""
    walked = frames(LatentWalk(stops=4, steps=20), generator()).flatten(1)
    steps = (walked - walked.roll(-1, 0)).norm(dim=1)
    assert steps.min() > 0.4 * steps.median() and steps.max() < 2.5 * steps.median()


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (SMALL, (1, 8, 8)),
        (R3GAN(widths=(8, 8), group_size=4), (1, 8, 8)),
        (BigGAN(width=2, latent_size=8), (3, 32, 32)),
    ],
)
def test_classes_move_evenly_between_their_vectors(model: Model, shape: tuple[int, ...]) -> None:
    of_two = generator(model, shape, 2)
    walked = frames(LatentWalk(2, 6), of_two, labels=[0, 1])
    first, last = (of_two.sample(2, labels=[label, label]) for label in (0, 1))
    torch.testing.assert_close(walked[0], first[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(walked[6], last[1], atol=1e-5, rtol=0)
    held = frames(LatentWalk(2, 6), of_two, labels=[0, 0])
    apart = (walked - held).flatten(1).norm(dim=1)[:7]
    assert apart[0] < 1e-4 and all(np.diff(apart.numpy()) > 0)


def test_one_class_is_held_by_every_frame() -> None:
    of_two = generator(classes=2)
    walked = frames(LatentWalk(2, 3), of_two, labels=[1, 1])
    latents, _, random = of_two.draw(2, 0, labels=[1, 1])
    middle = great_circle(latents[0], latents[1], 4)[1:2]
    torch.testing.assert_close(walked[1:2], of_two.finish(middle, (torch.tensor([1]),), random))


class Deaf(torch.nn.Module):
    """Takes classes and looks none up."""

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return latents[:, :1, None, None].expand(-1, 1, 8, 8) * labels[:, None, None, None]


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda: generator(MLP(latent_size=4), (2,)), "makes points"),
        (lambda: generator(DenoisingMLP(width=8), (2,), task=Denoising()), "denoises"),
        (lambda: generator().with_statistics("batch", 4), "depends on the frames beside it"),
    ],
)
def test_samples_that_are_no_function_of_one_latent_are_refused(of: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frames(LatentWalk(2, 2), of())


def test_a_network_whose_classes_cannot_be_mixed_is_refused_rather_than_held_at_one() -> None:
    deaf = generator(classes=2)
    deaf.generator = torch.nn.Sequential()
    deaf.generator.forward = Deaf().forward  # type: ignore[method-assign]
    deaf.generator.register_parameter("any", torch.nn.Parameter(torch.zeros(1)))
    with pytest.raises(ValueError, match="one --class"):
        frames(LatentWalk(2, 2), deaf, labels=[0, 1])
    assert frames(LatentWalk(2, 2), deaf, labels=[1, 1]).shape == (4, 1, 8, 8)


@pytest.mark.parametrize(("given", "said"), [((1, 5), "interpolate must be at least 2"), ((2, 0), "frames must be")])
def test_a_walk_of_one_sample_or_without_frames_is_refused(given: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LatentWalk(*given)
