"""Networks and batches made fit for the images and the machine at hand: every value is an option with its reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ganneal.data.decode.images import height_and_width
from ganneal.experiment import Experiment
from ganneal.models import (
    DCGAN,
    R3GAN,
    SNDCGAN,
    SNGAN,
    BigGAN,
    DCGANExt,
    FastGAN,
    Model,
    Projected,
    Relation,
    ResNet4,
)
from ganneal.models.parts.grid import grid_of
from ganneal.models.r3gan import R3GAN_DOUBLINGS

LARGE_SIDE = 32
"""Images with a shorter side of more pixels than this are large to a CPU."""
CPU_BATCH = 16
SMALLEST_BATCH = 8
BATCHES_A_PASS = 8
"""At least so many where batches are not below the smallest, or a small set would be seen whole in every update."""
R3GAN_WIDTHS = (768, 768, 768, 768, 384, 192, 96)
"""Published widths from 4 px on, for faces at 256 px (Huang et al., 2024)."""
LIGHT_R3GAN_WIDTHS = (128, 128, 64, 64, 32)
ON_CPU: dict[type, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    # At 64 px width 16 came further than 32 in 45 processor seconds (docs/recipes.md).
    DCGAN: ({"width": 64}, {"width": 16}),
    **dict.fromkeys((SNDCGAN, DCGANExt, ResNet4, Relation), ({"width": 64}, {"width": 32})),
    BigGAN: ({"width": 32}, {"width": 16}),
    # A quarter of the published widths at 64 px.
    SNGAN: ({"g_width": 128, "d_width": 64}, {"g_width": 256, "d_width": 256}),
    FastGAN: ({"width": 32}, {"width": 16}),
    # The time of a projected discriminator falls with the square of this side.
    Projected: ({"side": 96}, {"side": 96}),
}
"""Sizes of networks on a CPU for small and for large images: some tens of images a second on one thread at 64 px."""


@dataclass(frozen=True)
class Choice:
    """A value and why."""

    value: Any
    reason: str


@dataclass(frozen=True)
class Surroundings:
    """The facts that decide the sizes of networks and batches."""

    accelerator: bool
    size: tuple[int, int]
    """Height and width of the images in pixels."""
    count: int | None = None
    """Number of images; None where it is not known yet."""

    def __str__(self) -> str:
        height, width = self.size
        side = f"{height} px" if height == width else f"{width}x{height} px"
        return f"{side} on a {'GPU' if self.accelerator else 'CPU'}"

    @staticmethod
    def of(
        experiment: Experiment, device: str | None = None, side: int | None = None, count: int | None = None
    ) -> "Surroundings":
        """The surroundings of ``experiment``; ``side`` is for sources that do not give the size of their images.

        Args:
            device: The device that the run began on, where it is another; a run that moves keeps its sizes.
        """
        size = getattr(experiment.data, "size", None) or side or LARGE_SIDE
        return Surroundings((device or experiment.device) != "cpu", height_and_width(size), count)


def fitting(experiment: Experiment, where: Surroundings) -> dict[str, Choice]:
    """Sizes of the networks of ``experiment`` and its batch, by option.

    The batch is at most the experiment's own.
    """
    sizes = {f"model.{path}": Choice(value, f"for {where}") for path, value in _sizes(experiment.model, where)}
    return {**sizes, "batch_size": batch_for(experiment.batch_size, where)}


def fitted_to(experiment: Experiment, where: Surroundings) -> Experiment:
    """``experiment`` with what `fitting` says."""
    for option, choice in fitting(experiment, where).items():
        experiment = with_field(experiment, option.split("."), choice.value)
    return experiment


def with_field(part: Any, path: Sequence[str], value: Any) -> Any:
    """``part``, a frozen dataclass, with ``value`` in the field at ``path``, through the parts that it holds."""
    name, *deeper = path
    # The innermost part is replaced first, then each that holds it.
    return replace(part, **{name: with_field(getattr(part, name), deeper, value) if deeper else value})


def _sizes(model: Model, where: Surroundings) -> Iterator[tuple[str, Any]]:
    """Fields of ``model`` and of the families inside it, by dotted path, with their values."""
    if isinstance(model, R3GAN):
        yield from _sizes_of_r3gan(model, where)
    if not where.accelerator:
        small, large = ON_CPU.get(type(model), ({}, {}))
        yield from (large if min(where.size) > LARGE_SIDE else small).items()
    for field in fields(model):  # type: ignore[arg-type]
        if isinstance(part := getattr(model, field.name), Model):
            yield from ((f"{field.name}.{path}", value) for path, value in _sizes(part, where))


def _sizes_of_r3gan(model: R3GAN, where: Surroundings) -> Iterator[tuple[str, Any]]:
    try:
        stages = 1 + grid_of("R3GAN", (3, *where.size), R3GAN_DOUBLINGS).doublings
    except ValueError:  # the network refuses the size itself, where it is built
        return
    if not where.accelerator:
        yield from {"widths": LIGHT_R3GAN_WIDTHS[:stages], "grouped": False, "blocks": 1}.items()
    elif model.widths == R3GAN_WIDTHS[:1]:
        # The published network at the images' size: narrower from 64 px on, as 768 channels at 256 px fit no GPU.
        yield "widths", R3GAN_WIDTHS[:stages]


def batch_for(usual: int, where: Surroundings) -> Choice:
    """The batch size where a recipe has ``usual``."""
    most = usual if where.accelerator else min(usual, CPU_BATCH)
    if where.count is not None:
        # A power of two, as large as leaves enough batches a pass.
        fair = max(SMALLEST_BATCH, 1 << max(where.count // BATCHES_A_PASS, 1).bit_length() - 1)
        if (fewer := min(fair, where.count)) < most:
            return Choice(fewer, f"few images: {where.count:,}")
    return Choice(most, "usual" if most == usual else "many small updates come further on a CPU than few large ones")
