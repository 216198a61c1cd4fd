"""A closed walk through latents: the frames of a film, each a sample of a point on great circles between samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ganneal.data.classes import Classes
from ganneal.inference.generator import TrainedGenerator, Truncation
from ganneal.models import Normal
from ganneal.task import Condition

TOGETHER = 64
"""Frames that are computed at once."""
LOOK_UPS = {F.embedding: 0, F.one_hot: 0, Tensor.__getitem__: 1}
"""The ways in which networks turn the number of a class into a vector, and the place of that number among the
arguments."""


@dataclass(frozen=True)
class LatentWalk:
    """A walk through the latents of ``stops`` samples and back to the first, ``steps`` frames from each to the next.

    Each stretch goes by equal angles. Frame ``i * steps`` is sample ``i`` of `TrainedGenerator.sample` under the same
    seed, and no frame comes twice: a film of them repeats without a halt.
    """

    stops: int
    steps: int
    seed: int = 0
    classes: Classes = "data"
    truncation: Truncation | None = None

    def __post_init__(self) -> None:
        if self.stops < 2:
            raise ValueError(f"interpolate must be at least 2, the samples to walk through, got {self.stops}.")
        if self.steps < 1:
            raise ValueError(f"frames must be at least 1, from one sample to the next, got {self.steps}.")

    def __call__(
        self, generator: TrainedGenerator, labels: Sequence[int] | None = None
    ) -> Iterator[Float[Tensor, "steps channels height width"]]:
        """The frames of each stretch, in [-1, 1].

        Args:
            labels: A class for each stop, between which the network's class vectors move in a straight line; None draws
                them.
        Raises:
            ValueError: ``generator`` makes points, denoises, or has other than normal latents; or what it does with
                classes cannot be moved between two of them.
        """
        check_walkable(generator)
        latents, condition, random = generator.draw(
            self.stops, self.seed, labels=labels, classes=self.classes, truncation=self.truncation
        )
        return self._stretches(generator, latents, condition, random)

    def _stretches(
        self, generator: TrainedGenerator, latents: Tensor, condition: Condition, random: torch.Generator
    ) -> Iterator[Tensor]:
        classes = generator.labels_of(condition)
        for stop in range(self.stops):
            after = (stop + 1) % self.stops
            # The end of a stretch is the first frame of the next one.
            points = great_circle(latents[stop], latents[after], self.steps + 1)[:-1]
            # One condition for the whole stretch, [steps, ...], without a copy for each frame.
            held = tuple(each[stop : stop + 1].expand(self.steps, *each.shape[1:]) for each in condition)
            if classes is None or classes[stop] == classes[after]:
                yield generator.finish(points, held, random, batch_size=TOGETHER)
            else:
                yield _between_classes(generator, points, held, int(classes[after]), random)


def check_walkable(generator: TrainedGenerator) -> None:
    """Refuse a generator whose samples are no function of one normal latent, or no images.

    Raises:
        ValueError: It is one.
    """
    allowed = "interpolate is for generators that make an image in one pass from one normal latent"
    if generator.task.denoises:
        raise ValueError(
            f"{allowed}, but this one denoises in several passes with noise of their own; leave interpolate out."
        )
    if len(generator.shape) != 3:
        raise ValueError(f"{allowed}, but this one makes points; `ganneal report` draws the paths of points.")
    if not isinstance(generator.latent, Normal):
        raise ValueError(f"{allowed}, but this one has the latents {generator.latent}; leave interpolate out.")
    if generator.statistics == "batch":
        raise ValueError(
            "statistics must be 'running' or 'standing' with interpolate, got 'batch', under which a frame depends on "
            "the frames beside it."
        )


def great_circle(start: Float[Tensor, " size"], end: Float[Tensor, " size"], steps: int) -> Float[Tensor, "steps size"]:
    """Points from ``start`` to ``end`` at equal angles, whose lengths go evenly from one to the other.

    Ends on one line are joined by it. Normal latents of many entries are nearly all of one length; a straight way would
    lead through shorter ones, which no generator has seen.

    References:
        White, Sampling Generative Networks, 2016, sec. 2.1; Shoemake, Animating Rotation with Quaternion Curves, 1985.
    """
    a, b = start.double(), end.double()
    # In float64: the arc cosine loses half the digits near 1, where latents are close.
    lengths = [each.norm().clamp_min(1e-300) for each in (a, b)]
    from_a, from_b = a / lengths[0], b / lengths[1]
    angle = torch.acos((from_a @ from_b).clamp(-1, 1))
    t = torch.linspace(0, 1, steps, dtype=torch.float64, device=a.device)[:, None]
    if torch.sin(angle) < 1e-6:  # one direction, or opposite ones, between which no great circle is the shortest
        return ((1 - t) * a + t * b).to(start)
    direction = (torch.sin((1 - t) * angle) * from_a + torch.sin(t * angle) * from_b) / torch.sin(angle)
    # Direction and length apart: mixed vectors of unequal lengths would turn fast beside the shorter one.
    return (((1 - t) * lengths[0] + t * lengths[1]) * direction).to(start)


class _BlendedClasses(TorchFunctionMode):
    """While entered, each look-up of a class gives a mixture with the look-up of ``ends``, to the part ``share``."""

    def __init__(self, ends: Int[Tensor, " batch"], share: Float[Tensor, " batch"]):
        super().__init__()
        self.ends, self.share = ends, share
        self.found = 0
        """Look-ups so far."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # A mixture of class vectors, not of class numbers: between the numbers 2 and 4 lies another class.
        value = func(*args, **(kwargs or {}))
        place = LOOK_UPS.get(func)
        if place is None or not self._are_classes(args[place]):
            return value
        # Counted, so that a network that looks up its classes in another way is refused and not drawn without motion.
        self.found += 1
        ends = self.ends.to(args[place].device)
        other = func(*args[:place], ends, *args[place + 1 :], **(kwargs or {}))
        share = self.share.to(value.device).reshape(-1, *[1] * (value.dim() - 1))
        return torch.lerp(value.to(share.dtype), other.to(share.dtype), share)

    def _are_classes(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == torch.int64 and value.shape == self.ends.shape


def _between_classes(
    generator: TrainedGenerator, latents: Tensor, held: Condition, end: int, random: torch.Generator
) -> Tensor:
    """The samples of ``latents`` as their class goes from the one that is ``held`` to the class ``end``."""
    one = "give one --class, which every frame then has"
    if generator.pushes is not None:
        raise ValueError(f"a walk between classes needs samples without pushes; {one}, or --sampler generator.")
    parts, shares = [], torch.arange(len(latents)) / len(latents)  # from 0, below 1: the end begins the next stretch
    for start in range(0, len(latents), TOGETHER):
        piece = slice(start, start + TOGETHER)
        given = tuple(each[piece] for each in held)
        ends = torch.full_like(given[0], end)
        with _BlendedClasses(ends, shares[piece]) as blended:
            parts.append(generator.finish(latents[piece], given, random, batch_size=TOGETHER))
        if not blended.found:
            raise ValueError(f"this network does not look up its classes in a way that can be walked; {one}.")
    return torch.cat(parts)
