"""A trained generator to draw from, alone or followed by the pushes of stored discriminators; no training code."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import erf, isfinite, sqrt
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.data.classes import Classes, check_classes, composed, drawn_classes
from ganneal.models import Latent, ModelPair, Normal
from ganneal.models.parts.batch_norm import Statistics, batch_norms, keep_standing_statistics, on_the_batch
from ganneal.registry import check_at_least_one, nearest
from ganneal.task import Condition, Task

TruncationForm = Literal["resample", "scale"]


@dataclass(frozen=True)
class Truncation:
    """Normal latents kept near 0.

    "resample" draws every entry beyond ``bound`` again until it is within; "scale" multiplies all entries by ``bound``,
    as the curves of the authors' code do. A value of one form is not that of the other.

    References:
        Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019, sec. 3.1.
    """

    bound: float
    form: TruncationForm = "resample"

    def __post_init__(self) -> None:
        if not (isfinite(self.bound) and self.bound > 0):
            raise ValueError(
                f"truncation must be a finite number above 0, got {self.bound}; leave it out for all of the latents."
            )
        if self.form not in get_args(TruncationForm):
            raise ValueError(f"form of truncation must be {' or '.join(get_args(TruncationForm))}, got {self.form!r}.")

    def check(self, latent: Latent) -> None:
        """Refuse latents that are not normal.

        Raises:
            ValueError: They are not.
        """
        if not isinstance(latent, Normal):
            raise ValueError(f"truncation needs standard normal latents, got {latent}; leave it out.")

    def __call__(self, latents: Float[Tensor, "count size"], random: torch.Generator) -> Float[Tensor, "count size"]:
        """``latents`` truncated. Entries within the bound stay, the others are redrawn from the random generator."""
        match self.form:
            case "scale":
                return self.bound * latents
            # Entries within the bound stay as they were, so that two bounds give related samples of a seed.
            case "resample":
                return torch.where(latents.abs() > self.bound, self._within(latents, random), latents)

    def _within(self, like: Tensor, random: torch.Generator) -> Tensor:
        """Normal numbers under the condition that they are within the bound, by their distribution function."""
        # float64: near 1 the steps between float32 numbers, 6e-8, become steps of a tenth in the tail of erfinv.
        uniform = torch.rand(like.shape, generator=random, dtype=torch.float64, device=random.device)
        # Inverse of the truncated distribution function: one draw each, where drawing again until all are within would
        # need a different number of random numbers for each bound.
        drawn = sqrt(2) * torch.erfinv((2 * uniform - 1) * erf(self.bound / sqrt(2)))
        # Rounding of erfinv may step over the bound by a last digit.
        return drawn.clamp(-self.bound, self.bound).to(like)


SamplerName = Literal["generator", "raw", "pushed"]
"""The averaged generator, the generator as trained, or that one followed by the pushes of stored discriminators."""


@runtime_checkable
class Pushes(Protocol):
    """Moves of a generator's finished samples, as `pushing.ChainPushes` makes them."""

    @property
    def count(self) -> int:
        """Pushes of each sample."""
        ...

    @property
    def chunk(self) -> int:
        """Samples pushed together."""
        ...

    def __call__(self, samples: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """``samples`` of the generator after every push."""
        ...

    def trail(self, samples: Tensor, condition: Condition, random: torch.Generator) -> list[tuple[float, Tensor]]:
        """The size of each push, with ``samples`` after it."""
        ...


class TrainedGenerator:
    """A generator in eval mode with the task that says how to draw from it; latents are drawn on the CPU.

    With ``pushes`` its samples are moved by stored discriminators, one pass of the generator and as many of
    discriminators, forward and back, as there are pushes.
    """

    def __init__(
        self,
        generator: nn.Module,
        pair: ModelPair,
        task: Task,
        card: dict[str, Any] | None = None,
        pushes: Pushes | None = None,
        *,
        class_counts: Sequence[int] = (),
        averaged: bool = True,
    ):
        self.averaged = averaged
        """True if its weights are the average over training."""
        # Changed in place: whoever goes on training the generator gives a copy.
        self.generator = generator.eval().requires_grad_(False)
        self.latent, self.shape, self.num_classes = pair.latent, pair.shape, pair.num_classes
        self.task = task
        self.card = card or {}
        """The card: training, data and duration."""
        # Classes are drawn as often as the data has them: equal shares would be another distribution than the real one.
        known = class_counts or self.card.get("data", {}).get("class_counts")
        self.class_counts: Sequence[int] = known or [1] * self.num_classes
        """Real samples of each class, the shares in which classes are drawn; alike where nothing says them."""
        self.pushes = pushes
        self.statistics: Statistics | None = "running" if batch_norms(generator) else None
        """Statistics for batch norm; None where the generator has none."""

    def has_weights_of(self, other: "TrainedGenerator") -> bool:
        """True if it draws the samples of ``other``, of the same run: same weights and buffers, and no pushes."""
        # Buffers too: the same weights under other batch-norm statistics draw other images.
        mine, theirs = self.generator.state_dict(), other.generator.state_dict()
        plain = self.pushes is None and other.pushes is None
        return plain and all(torch.equal(value, theirs[name]) for name, value in mine.items())

    def with_statistics(self, statistics: Statistics, batch_size: int) -> "TrainedGenerator":
        """Itself, with batch norm on ``statistics`` from now on.

        Args:
            statistics: "running", kept in training; "standing", averages over 32 passes of fresh latents and classes
                as often as the data has them (`keep_standing_statistics`); "batch", those of the samples that are
                computed together.
            batch_size: Of a pass for the standing ones.
        Raises:
            ValueError: The generator has no batch norm.
        """
        if self.statistics is None:
            raise ValueError(f"statistics must be left out for a generator without batch norm, got {statistics!r}.")
        if statistics == "standing":
            # Of latents that are the same at every call: standing statistics are a function of the weights.
            def draw(random: torch.Generator) -> Tensor:
                latents = self.latent.sample(batch_size, random)
                return self._generated(latents, self.condition(batch_size, random), random)

            keep_standing_statistics(self.generator, draw)
        self.statistics = statistics
        return self

    @property
    def class_names(self) -> list[str]:
        """The names of the classes where the data has them, else their numbers."""
        return self.data_class_names or list(map(str, range(self.num_classes)))

    @property
    def data_class_names(self) -> list[str]:
        """The names that the data has for the classes; none where it has none."""
        names = self.card.get("data", {}).get("classes") or ()
        return list(map(str, names)) if len(names) == self.num_classes else []

    def class_of(self, given: str) -> int:
        """The class with the name ``given``; with that number where classes have no names.

        A number is never the place of a named class: of classes 10, 20 and 3, ``"1"`` is none.

        Raises:
            ValueError: There is no such class, or there are none at all.
        """
        names = self.class_names
        if not names:
            raise ValueError(f"class must be left out: this generator was trained without classes, got {given!r}.")
        if given in names:
            return names.index(given)
        # A name typed on another system may be the same letters in another of Unicode's forms.
        if (same := composed([given])[0]) in (spelled := composed(names)):
            return spelled.index(same)
        if self.data_class_names:
            raise ValueError(f"class must be a name of a class, got {given!r}. {nearest(given, dict.fromkeys(names))}")
        if given.isascii() and given.isdigit() and int(given) < len(names):
            return int(given)
        raise ValueError(f"class must be a number in 0..{len(names) - 1}, got {given!r}")

    @property
    def sampler(self) -> SamplerName:
        """Which of the samplers this is."""
        if self.pushes is not None:
            return "pushed"
        return "generator" if self.averaged else "raw"

    @property
    def num_pushes(self) -> int:
        """Pushes of each sample."""
        return 0 if self.pushes is None else self.pushes.count

    @torch.no_grad()
    def sample(
        self,
        count: int,
        seed: int = 0,
        *,
        labels: Sequence[int | str] | Tensor | None = None,
        classes: Classes = "data",
        truncation: Truncation | float | None = None,
        batch_size: int = 256,
    ) -> Tensor:
        """Draw ``count`` samples; the same ``seed`` gives the same samples.

        Args:
            labels: A class for each sample, by its number or as `class_of` takes it; None draws them.
            classes: How they are drawn: "data" as often as the data has them, "uniform" all classes alike
                (`class_shares.drawn_classes`).
            truncation: Largest size of a latent's entries, those beyond it drawn again, or a `Truncation`. The same
                ``seed`` gives the same classes as without.
            batch_size: Samples computed at once; it does not change which latents are drawn, but samples too where
                batch norm is on "batch". Samples that are pushed are computed in training's batches, because batch
                norm in a discriminator depends on them.
        Returns:
            ``[count, C, H, W]`` in [-1, 1] for images, ``[count, D]`` for points; float32.
        Raises:
            ValueError: ``count`` below 1, labels that do not fit, or a truncation that is not above 0.
        """
        check_at_least_one(batch_size=batch_size)
        latents, condition, random = self.draw(count, seed, labels=labels, classes=classes, truncation=truncation)
        return self.finish(latents, condition, random, batch_size=batch_size)

    def draw(
        self,
        count: int,
        seed: int = 0,
        *,
        labels: Sequence[int | str] | Tensor | None = None,
        classes: Classes = "data",
        truncation: Truncation | float | None = None,
    ) -> tuple[Tensor, Condition, torch.Generator]:
        """The input of `finish`: latents ``[count, size]``, their condition, and the random generator of what is
        random beside them. `labels_of` the condition are the classes.
        """
        check_at_least_one(count=count)
        if not 0 <= seed < 2**63:  # torch takes negative seeds too, as other names of large ones
            raise ValueError(f"seed must be in 0..2^63-1, got {seed}.")
        cut = Truncation(truncation) if isinstance(truncation, float | int) else truncation
        random = torch.Generator().manual_seed(seed)
        # All latents at once, before any batch: the batch size must not change which samples a seed gives.
        latents = self.latent.sample(count, random)  # [count, size]
        chosen = None if labels is None else self._numbered(labels)
        condition = self.condition(count, random, labels=chosen, classes=classes)
        # After the classes, so that truncation, which draws too, leaves them as they were.
        if cut is not None:
            cut.check(self.latent)
            latents = cut(latents, random)
        return latents, condition, random

    def _numbered(self, labels: Sequence[int | str] | Tensor) -> Tensor:
        """The numbers of classes given by name or number."""
        if not isinstance(labels, Tensor):
            labels = torch.as_tensor([self.class_of(one) if isinstance(one, str) else one for one in labels])
        if labels.is_floating_point():
            raise ValueError(f"labels must be whole numbers or names of classes, got {labels.tolist()}.")
        return labels

    def condition(
        self, count: int, random: torch.Generator, *, labels: Tensor | None = None, classes: Classes = "data"
    ) -> Condition:
        """The condition of ``count`` samples: of the classes ``labels``, or of classes drawn from ``random``."""
        check_classes("classes", classes)
        if classes == "uniform" and not self.num_classes:
            raise ValueError("classes must be left out: this generator was trained without classes, got 'uniform'.")
        if labels is None and self.num_classes:
            labels = drawn_classes(self.class_counts, count, classes, random)
        return self.task.sample_condition(labels, count, self.num_classes, random)

    def labels_of(self, condition: Condition) -> Tensor | None:
        """The class of each sample under ``condition``, int64 ``[count]``; None for a generator without classes."""
        return condition[0].cpu() if self.num_classes else None  # a task with classes has them first

    @torch.no_grad()
    def finish(
        self, latents: Tensor, condition: Condition, random: torch.Generator, *, batch_size: int = 256
    ) -> Tensor:
        """The samples of what `draw` draws, or of other latents and conditions like them; see `sample`."""
        # A discriminator with batch norm sees other samples in another chunk, and would push along another gradient.
        at_once = batch_size if self.pushes is None else self.pushes.chunk
        parts = []
        for start in range(0, len(latents), at_once):
            piece = slice(start, start + at_once)
            given = tuple(c[piece] for c in condition)
            drawn = self._generated(latents[piece], given, random)
            # To the CPU batch by batch: 50,000 samples need not fit beside the generator on a GPU.
            parts.append(self.pushed(drawn, tuple(c.to(drawn.device) for c in given), random).cpu())
        return torch.cat(parts)

    def _generated(self, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """Samples before any push, on the generator's device."""
        device = next(self.generator.parameters()).device
        given = tuple(c.to(device) for c in condition)
        # Then a sample depends on the others of its batch, which every record says.
        with on_the_batch(self.generator) if self.statistics == "batch" else nullcontext():
            # Under bf16 a generator gives bf16; pictures are quantised from float32.
            return self.task.sample(self.generator, latents.to(device), given, random).float()

    def pushed(self, samples: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """``samples`` of the generator after the pushes, where there are any; ``random`` moves where they do."""
        if self.pushes is None:
            return samples
        # One number of the stream seeds everything within the pushes, whose augmentations and layers may draw from
        # torch's global generator.
        seed = int(torch.randint(2**62, (), generator=random, device=random.device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.pushes(samples, condition, torch.Generator(samples.device).manual_seed(seed))
