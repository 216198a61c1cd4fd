"""The operator set of adaptive augmentation (ADA), each change with its own chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log, pi

import torch
from torch import Tensor

from ganneal.augment.images import (
    at_least_single,
    cut_out,
    hue_turned,
    normal,
    saturated,
    transformed,
    uniform,
    whole,
    with_colours,
)
from ganneal.augment.probability import Adaptive, Probability
from ganneal.augment.protocol import Augmentation, AugmentState, refuse_points
from ganneal.clocks import Counters
from ganneal.losses.outputs import LOG_RATIO, Output


def _matrix(like: Tensor, *upper: Tensor | float) -> Tensor:
    """3x3 matrices ``[batch, 3, 3]`` from the six upper entries, numbers or ``[batch, 1, 1, 1]`` as ``like``."""
    entries = (*upper, 0.0, 0.0, 1.0)
    return torch.cat([e if isinstance(e, Tensor) else torch.full_like(like, e) for e in entries], 1).view(-1, 3, 3)


def _scale(x: Tensor, y: Tensor | float) -> Tensor:
    return _matrix(x, x, 0.0, 0.0, 0.0, y, 0.0)


def _rotation(angle: Tensor) -> Tensor:
    return _matrix(angle, angle.cos(), -angle.sin(), 0.0, angle.sin(), angle.cos(), 0.0)


def _move(x: Tensor, y: Tensor) -> Tensor:
    return _matrix(x, 1.0, 0.0, x, 0.0, 1.0, y)


@dataclass(frozen=True)
class Transforms(Augmentation):
    """Mirroring, quarter turns, shifts, scaling, rotation, colour, each with ``probability`` and its own parameters.

    All geometry is one affine map, read bilinearly with reflection at the edges (the authors filter with wavelets
    instead). Hue and saturation act on RGB images, brightness, contrast and luma flip on all.

    References:
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, appendix B.
    """

    probability: Probability = Adaptive()
    geometry: bool = True
    color: float = 1.0
    """Strength of the colour changes; 0 leaves them out. R3GAN takes 0.5."""
    cutout: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.color) and self.color >= 0):
            raise ValueError(f"color must be a finite strength >= 0, got {self.color}; 1 is ADA's.")

    def check(self, shape: tuple[int, ...]) -> None:
        refuse_points(shape, "Transforms")

    def init_state(self) -> AugmentState:
        return self.probability.init_state()

    def __call__(self, images: Tensor, random: torch.Generator, state: AugmentState, counters: Counters) -> Tensor:
        images, p = at_least_single(images), self.probability.now(state, counters)
        if self.geometry:
            matrix = torch.eye(3, device=images.device)
            for part in self._geometry(images, random, p):
                # All geometry is one matrix and one resampling: each further one would blur the image again.
                matrix = matrix @ part
            # Without the last row, which is (0, 0, 1) for every product.
            images = transformed(images, matrix[:, :2])
        if self.color:
            images = with_colours(images, lambda colours: self._colored(colours, random, p))
        if self.cutout:
            rows, columns = (whole(images, random, 0, side - 1) for side in images.shape[2:])
            images = cut_out(images, rows, columns, uniform(images, random) < p)
        # Gathering writes another memory order than the one that the networks and their inputs have.
        return images.contiguous(memory_format=torch.channels_last)

    def _geometry(self, images: Tensor, random: torch.Generator, p: Tensor | float) -> Iterator[Tensor]:
        """One matrix per change, from the output's places to the input's; the identity where a change is not made."""
        height, width = images.shape[2:]

        def by_chance(value: Tensor, neutral: float, chance: Tensor | float = p) -> Tensor:
            return torch.where(uniform(images, random) < chance, value, neutral)

        def chosen_of(count: int) -> Tensor:
            return whole(images, random, 0, count - 1).float().view(-1, 1, 1, 1)

        either = 1 - (1 - p) ** 0.5  # two rotations: one of them at least with probability p
        # Drawn from all cases, the identity among them, and then skipped with probability 1 - p, as in ADA.
        mirror = by_chance(1 - 2 * chosen_of(2), 1.0)
        # Each part is a matrix for every image, [batch, 3, 3].
        yield _scale(mirror, 1.0)
        yield _rotation(by_chance(pi / 2 * chosen_of(4), 0.0))
        # Whole pixels, so that this change blurs nothing.
        right, down = ((uniform(images, random, -0.125, 0.125) * side).round() for side in (width, height))
        # One draw for both directions: a shift is one change.
        moved = uniform(images, random) < p
        yield _move(right * moved, down * moved)
        # Lognormal, so that twice and half the size are as likely.
        grown = by_chance(normal(images, random, 0.2 * log(2)).exp(), 1.0)
        yield _scale(grown, grown)
        yield _rotation(by_chance(uniform(images, random, -pi, pi), 0.0, either))
        # Between two rotations, so that the stretch has any direction.
        stretched = by_chance(normal(images, random, 0.2 * log(2)).exp(), 1.0)
        # The area stays the same.
        yield _scale(stretched, 1 / stretched)
        yield _rotation(by_chance(uniform(images, random, -pi, pi), 0.0, either))
        right, down = (normal(images, random, 0.125) * side for side in (width, height))
        moved = uniform(images, random) < p
        yield _move(right * moved, down * moved)

    def _colored(self, images: Tensor, random: torch.Generator, p: Tensor | float) -> Tensor:
        def by_chance(value: Tensor, neutral: float) -> Tensor:
            return torch.where(uniform(images, random) < p, value, neutral)

        # Brightness, then contrast, luma flip, hue and saturation, as in the paper.
        images = images + by_chance(normal(images, random, 0.2 * self.color), 0.0)
        # Powers of two, 2^N(0, 0.5): half and double the contrast are as likely.
        images = images * by_chance(normal(images, random, 0.5 * self.color * log(2)).exp(), 1.0)
        flipped = by_chance(whole(images, random, 0, 1).float().view(-1, 1, 1, 1), 0.0)
        # Brightness mirrored about mid-grey, 0 here, while colours stay: a reflection along the grey axis.
        images = images - 2 * flipped * images.mean(1, keepdim=True)
        if images.shape[1] == 3:
            images = hue_turned(images, by_chance(uniform(images, random, -pi, pi) * self.color, 0.0))
            images = saturated(images, by_chance(normal(images, random, self.color * log(2)).exp(), 1.0))
        return images

    @property
    def reads_boundary(self) -> bool:
        return self.probability.reads_boundary

    def observe(self, real_logits: Tensor, state: AugmentState, output: Output = LOG_RATIO) -> None:
        self.probability.observe(real_logits, state, output)

    def probability_now(self, state: AugmentState, counters: Counters) -> Tensor | float:
        return self.probability.now(state, counters)
