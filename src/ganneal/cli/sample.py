"""`ganneal sample`: draw from a trained run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class SampleOptions:
    """Draw samples from a trained run."""

    run: Annotated[str, tyro.conf.Positional]
    """Directory of the run, as `ganneal train` wrote it."""
    count: int = 64
    """Number of samples."""
    out: str = "samples.png"
    """A .png grid, an .npz of uint8 images, or a folder (no ending) with one PNG each."""
    seed: int = 0
    """The same seed draws the same samples."""
    labels: tuple[int, ...] = ()
    """Classes, repeated in turn over the samples; left out, classes are drawn uniformly."""
    sampler: Literal["generator", "pushed"] | None = None
    """The averaged generator, or the one that functional gradients trained with its pushes; left out, as the run."""
    columns: int | None = None
    """Columns of the grid; left out, it is square."""


def main(arguments: Sequence[str]) -> None:
    """Parse, draw and write."""
    options = tyro.cli(SampleOptions, args=list(arguments), prog="ganneal sample")
    import numpy as np

    from ganneal.grid import image_grid, save_png, scatter, to_uint8
    from ganneal.sampling import load

    endings = (".png", ".npz", "")
    suffix = Path(options.out).suffix.lower()
    if suffix not in endings:
        raise ValueError(f"out must end in .png or .npz, or be a folder without an ending, got {options.out!r}.")
    labels = [options.labels[i % len(options.labels)] for i in range(options.count)] if options.labels else None
    generator = load(options.run, sampler=options.sampler)
    samples = generator.sample(options.count, options.seed, labels=labels)
    path = Path(options.out)
    match suffix:
        case ".npz":
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, images=to_uint8(samples) if samples.dim() == 4 else samples.numpy())
        case ".png":
            save_png(image_grid(samples, options.columns) if samples.dim() == 4 else scatter(None, samples), path)
        case _:
            if samples.dim() != 4:
                raise ValueError(f"out must end in .png or .npz for points, got {options.out!r}.")
            for index, image in enumerate(samples):
                save_png(image_grid(image[None], 1), path / f"{index:06d}.png")
    pushed = f", the generator with {generator.num_pushes} pushes" if generator.num_pushes else ""
    print(f"{options.count} samples: {path}{pushed}")
