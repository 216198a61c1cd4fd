"""Findings of an inspection for the eye: a text and a contact sheet."""

import textwrap
from pathlib import Path

import numpy as np
import torch

from ganneal.data.classes import few, images_each
from ganneal.data.protocol import Dataset
from ganneal.data.tools.inspection import Inspection
from ganneal.data.tools.pairwise import START_STD, fitted_first_weight, suggest_weights
from ganneal.storage.pictures import image_grid, save_png

SHEET = 64
"""Images of a contact sheet."""


def inspection_as_text(found: Inspection) -> str:
    """The findings as text, a line for each."""
    lines = [f"images      {found.count:,} of shape {found.shape} as measured here"]
    for kind, count in found.sizes.most_common(5):
        lines.append(f"stored as   {kind}  {count:,}")
    if (others := len(found.sizes) - 5) > 0:
        lines.append(f"            and {others:,} other {'sizes or modes' if others > 1 else 'size or mode'}")
    lines += [f"note        {remark}" for remark in found.remarks]
    lines += _classes(found)
    lines.append(f"damaged     {found.num_damaged:,}")
    lines += [f"            {name}: {reason}" for name, reason in list(found.damaged.items())[:20]]
    lines.append(f"duplicates  {found.duplicates:,} images have the pixels of another")
    lines.append(f"mean        {' '.join(f'{value:.4f}' for value in found.mean)}  of each channel, in [0, 1]")
    lines.append(f"std         {' '.join(f'{value:.4f}' for value in found.std)}")
    between = "between two images, pixels in [-1, 1]: the paper's D1"
    for name, what, d in (
        ("apart", between, found.d1),
        ("from noise", "from images to normal noise: the paper's D2", found.d2),
        ("from start", f"from images to noise of {START_STD:g}, where functional gradients start here", found.d2_start),
    ):
        if d is not None:
            lines.append(
                f"{name:<11} {d.median:.1f} median, {d.percentile_95:.1f} at 95 %, {d.largest:.1f} largest, {what}"
            )
    if found.d1 is not None and found.d1.median > 0:
        weights = suggest_weights(found.d1.median)
        lines.append(
            f"weights     annealed CFG: ({weights.first:g}, {weights.last:g}) by the paper's rule on D1; our curve "
            f"through its two settings begins at {fitted_first_weight(found.d2.median):.3g}. NATS: (1, 0.01) always."
        )
    return "\n".join(lines)


def _classes(found: Inspection) -> list[str]:
    """All classes with the number of images of each, or why there are none."""
    about = f"; {found.about_classes}" if found.about_classes else ""
    if not found.classes:
        return [f"classes     none{about}"]
    counts = found.classes.values()
    lines = [f"classes     {len(counts):,}, with {images_each(counts)}{about}"]
    if empty := [name for name, count in found.classes.items() if not count]:
        lines.append(f"            without an image, and left out of training: {few(empty)}")
    each = ", ".join(f"{name} {count:,}" for name, count in found.classes.items())
    return lines + textwrap.wrap(each, 100, initial_indent=" " * 12, subsequent_indent=" " * 12, break_on_hyphens=False)


def write_sheet(data: Dataset, path: Path) -> None:
    """Draw `SHEET` images, evenly spread over the set, as one PNG file."""
    rows = np.linspace(0, len(data) - 1, min(SHEET, len(data))).astype(int)
    save_png(image_grid(torch.from_numpy(np.array(data.samples[rows])).float() / 127.5 - 1), path)
