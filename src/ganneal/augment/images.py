"""Differentiable changes of images ``[batch, channels, height, width]`` in [-1, 1], twice where penalties ask for it.

Pixels are moved by gathering: torch's own grid sampling has no second derivative, which a gradient penalty through an
augmentation needs.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ganneal.data.protocol import Images

PerImage = Float[Tensor, "batch 1 1 1"]
Flags = Bool[Tensor, "batch 1 1 1"]


def at_least_single(images: Images) -> Images:
    """Half precision raised: a fake must go through the same arithmetic as a real one."""
    # A generator under autocast gives bfloat16 where reals are float32; rounded differently, the two could be told
    # apart by it.
    return images.float() if images.dtype in (torch.bfloat16, torch.float16) else images


def uniform(images: Tensor, random: torch.Generator, low: float = 0.0, high: float = 1.0) -> PerImage:
    """One number in [low, high) for each image."""
    # On the images' own device, in the order of the calls: another order gives other bits at the same seed.
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=random, device=images.device)


def normal(images: Tensor, random: torch.Generator, deviation: float) -> PerImage:
    """One normal number for each image."""
    return deviation * torch.randn(len(images), 1, 1, 1, generator=random, device=images.device)


def whole(images: Tensor, random: torch.Generator, low: int, high: int) -> Int[Tensor, " batch"]:
    """One whole number in low..high, both included, for each image."""
    return torch.randint(low, high + 1, (len(images),), generator=random, device=images.device)


def mirrored(images: Images, chosen: Flags) -> Images:
    """Left and right exchanged where ``chosen``."""
    return torch.where(chosen, images.flip(3), images)


def reflected(index: Int[Tensor, "..."], size: int) -> Int[Tensor, "..."]:
    """Indices beyond 0..size-1 mirrored at the middle of the edge pixel, as often as need be.

    >>> reflected(torch.arange(-2, 5), 3).tolist()
    [2, 1, 0, 1, 2, 1, 0]
    """
    if size == 1:
        return torch.zeros_like(index)
    # Reflection without repeating the edge pixel has this period.
    folded = index.remainder(2 * size - 2)
    return torch.minimum(folded, 2 * size - 2 - folded)


def gather_pixels(images: Images, rows: Int[Tensor, "batch height"], columns: Int[Tensor, "batch width"]) -> Images:
    """Pixel (i, j) of each image from its pixel (rows[i], columns[j])."""
    # Rows and columns are chosen one after the other, which is cheaper than pixel by pixel, and gather can be
    # differentiated twice, as penalties need.
    taken = images.gather(2, rows[:, None, :, None].expand(*images.shape))
    return taken.gather(3, columns[:, None, None, :].expand(*images.shape))


def shifted(images: Images, down: Int[Tensor, " batch"], right: Int[Tensor, " batch"], *, reflect: bool) -> Images:
    """Each image moved by whole pixels; what comes in is its reflection, or 0."""
    sources, inside = [], []
    for size, move in ((images.shape[2], down), (images.shape[3], right)):
        # Where each pixel comes from, [batch, size].
        index = torch.arange(size, device=images.device)[None] - move[:, None]
        sources.append(reflected(index, size))
        inside.append((index >= 0) & (index < size))
    moved = gather_pixels(images, *sources)
    return moved if reflect else moved * (inside[0][:, None, :, None] & inside[1][:, None, None, :])


def eighth(size: int) -> int:
    """An eighth of a side, to the nearest pixel."""
    return int(size / 8 + 0.5)


def flip_and_shift(images: Images, random: torch.Generator) -> Images:
    """Mirrored with probability 1/2, then shifted by up to an eighth of the side with reflection: CR's change."""
    # Flip before shift, as the consistency terms of CR and bCR have it.
    flipped = mirrored(images, uniform(images, random) < 0.5)
    down, right = (whole(images, random, -eighth(side), eighth(side)) for side in images.shape[2:])
    return shifted(flipped, down, right, reflect=True)


def cut_out(images: Images, rows: Int[Tensor, " batch"], columns: Int[Tensor, " batch"], chosen: Flags) -> Images:
    """0 in a square of half the side around (rows, columns), cut at the border, where ``chosen``."""
    near = []
    for side, center in zip(images.shape[2:], (rows, columns), strict=True):
        size = int(side / 2 + 0.5)
        # The place within the square, [batch, side]; beyond the border the square is cut.
        place = torch.arange(side, device=images.device)[None] - center[:, None] + size // 2
        near.append((place >= 0) & (place < size))
    square = near[0][:, None, :, None] & near[1][:, None, None, :]
    return images * ~(square & chosen)


def transformed(images: Images, matrix: Float[Tensor, "batch 2 3"]) -> Images:
    """Each image read bilinearly at ``matrix @ (x, y, 1)``, in pixels from its centre, reflecting at its edges."""
    count, channels, height, width = images.shape
    # From the middle of the image, so that rotations and scalings leave the middle where it is.
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device) - (height - 1) / 2
    ys, xs = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([xs.flatten(), ys.flatten(), torch.ones_like(xs).flatten()]).to(matrix)
    # [batch, 2, 3] @ [3, H W] -> [batch, 2, H W].
    column, row = (matrix @ places).unbind(1)
    # Numbers and no tensor of them, which would be copied to the device in every move.
    column, row = column + (width - 1) / 2, row + (height - 1) / 2
    left, top = column.floor(), row.floor()
    flat, total = images.flatten(2), images.new_zeros(())
    for down in (0, 1):
        for right in (0, 1):
            index = reflected(top.long() + down, height) * width + reflected(left.long() + right, width)
            # Bilinear weights, written out with gathers, which can be differentiated twice.
            weight = (1 - (row - top - down).abs()) * (1 - (column - left - right).abs())
            total = total + weight[:, None] * flat.gather(2, index[:, None].expand(count, channels, -1))
    return total.view(images.shape)


def with_colours(images: Images, change: Callable[[Images], Images]) -> Images:
    """``images`` with their colours changed; of RGBA images the transparency stays as it is."""
    return change(images) if images.shape[1] != 4 else torch.cat([change(images[:, :3]), images[:, 3:]], 1)


def saturated(images: Images, factor: PerImage) -> Images:
    """Each pixel's distance from its grey times ``factor``."""
    # The plain mean of the colours, not the luminance: both papers turn and stretch about the axis (1, 1, 1).
    grey = images.mean(1, keepdim=True)
    return grey + factor * (images - grey)


def hue_turned(images: Images, angle: PerImage) -> Images:
    """RGB colours turned by ``angle`` about the grey axis (Rodrigues)."""
    grey = images.mean(1, keepdim=True)
    color = images - grey
    # The cross product with the unit vector along grey, (1, 1, 1) / sqrt 3.
    across = (color.roll(1, 1) - color.roll(-1, 1)) / 3**0.5
    return grey + angle.cos() * color + angle.sin() * across
