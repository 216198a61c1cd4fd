"""Rules that bring 8-bit images to a network's input size; scores under different rules are not comparable.

All rules agree where an image has the size already. When enlarging, "tf-legacy" differs from the others by up to half
a source pixel; when shrinking, "pytorch-fid" and "tf-legacy" skip source pixels (aliasing), the other two average.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

PixelValues = Float[Tensor, "n _ _ _"]
"""Pixel values on the scale 0..255."""


def half_pixel_bilinear(pixels: PixelValues, size: int) -> PixelValues:
    """Bilinear between pixel centres, without antialiasing (rule "pytorch-fid")."""
    # No antialiasing where images shrink: fine texture turns into aliasing, which is part of every value under this
    # rule.
    return F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)


def corner_bilinear(pixels: PixelValues, size: int) -> PixelValues:
    """Bilinear at source = target * in / out, without the half-pixel shift, as TensorFlow 1 (rule "tf-legacy")."""
    # One axis at a time: bilinear interpolation is the product of two linear ones.
    return _corner_interpolated(_corner_interpolated(pixels, size, dim=2), size, dim=3)


def _corner_interpolated(pixels: PixelValues, size: int, dim: int) -> PixelValues:
    length = pixels.shape[dim]
    # TensorFlow 1 took pixel corners for pixel centres, which shifts an image enlarged by s by (s - 1) / (2 s) of its
    # own pixels. On the CPU, as MPS has no float64.
    source = torch.arange(size, dtype=torch.float64) * (length / size)
    low = source.long()
    share = (source - low).to(pixels).reshape([size if axis == dim else 1 for axis in range(4)])
    # Beyond the last pixel TensorFlow repeats it.
    before, after = (at.to(pixels.device) for at in (low, (low + 1).clamp(max=length - 1)))
    return torch.lerp(pixels.index_select(dim, before), pixels.index_select(dim, after), share)


def antialiased_bicubic(pixels: PixelValues, size: int) -> PixelValues:
    """Pillow's bicubic on floating-point channels, clipped to 0..255, not rounded (rule "clean")."""
    # A bicubic kernel has negative lobes and overshoots at edges.
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(0, 255)


def antialiased_bilinear(pixels: PixelValues, size: int) -> PixelValues:
    """Pillow's bilinear on floating-point channels (rule "friendly")."""
    return F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)


RESIZE_RULES: dict[str, Callable[[PixelValues, int], PixelValues]] = {
    "pytorch-fid": half_pixel_bilinear,
    "tf-legacy": corner_bilinear,
    "clean": antialiased_bicubic,
    "friendly": antialiased_bilinear,
}
"""Rules of resizing, by the name that scores are recorded under."""


@dataclass(frozen=True)
class Scaling:
    """From 0..255 to a network's input: (u - offset) / divisor, one number for all channels or one for each."""

    offset: tuple[float, ...] = (127.5,)
    divisor: tuple[float, ...] = (127.5,)

    def __call__(self, pixels: PixelValues) -> PixelValues:
        offset, divisor = (pixels.new_tensor(values)[:, None, None] for values in (self.offset, self.divisor))
        return (pixels - offset) / divisor

    def __str__(self) -> str:
        """The text in records.

        >>> str(Scaling((128,), (128,)))
        '(u - 128) / 128'
        """
        return f"(u - {_text(self.offset)}) / {_text(self.divisor)}"


def _text(values: tuple[float, ...]) -> str:
    numbers = [f"{value:g}" for value in values]
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


TO_SIGNED = Scaling()
"""To [-1, 1], the exact inverse of the quantisation of generated images."""

INCEPTION_SCALINGS = {
    "pytorch-fid": TO_SIGNED,
    # The 2015 graph subtracts and divides by 128: 255 becomes 0.992 and not 1.
    "tf-legacy": Scaling((128,), (128,)),
    "clean": Scaling((128,), (128,)),
    "friendly": TO_SIGNED,
}
"""Input scaling of the public FID programs that go with each rule."""


@dataclass(frozen=True)
class Resize:
    """One of `RESIZE_RULES` with the square size it leads to."""

    rule: str
    size: int

    def __post_init__(self) -> None:
        if self.rule not in RESIZE_RULES:
            raise ValueError(f"rule must be one of {', '.join(RESIZE_RULES)}, got {self.rule!r}.")
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {self.size}.")

    def __call__(self, pixels: PixelValues) -> PixelValues:
        same = pixels.shape[-2:] == (self.size, self.size)
        return pixels if same else RESIZE_RULES[self.rule](pixels, self.size)

    def __str__(self) -> str:
        """The name in records: the rule, with the size where it is not Inception's."""
        return self.rule if self.size == 299 else f"{self.rule}-{self.size}"


def network_input(
    images: UInt8[Tensor, "n c h w"], resize: Resize | None, scaling: Scaling, channels: int | None
) -> PixelValues:
    """8-bit images resized, scaled and, where they are grey and ``channels`` is 3, repeated."""
    pixels = images.float() if resize is None else resize(images.float())
    if channels is not None and channels != pixels.shape[1] == 1:
        pixels = pixels.expand(-1, channels, -1, -1)  # a view: no grey value is copied
    return scaling(pixels)
