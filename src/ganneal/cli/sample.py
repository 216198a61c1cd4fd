"""`ganneal sample`: draw from a trained run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from torch import Tensor

    from ganneal.trained import TrainedGenerator

ENDINGS = (".png", ".npz", "")


@dataclass(frozen=True)
class SampleOptions:
    """Draw samples from a trained run."""

    run: Annotated[str, tyro.conf.Positional]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    count: int = 64
    """Number of samples."""
    out: str = "samples.png"
    """A .png grid, an .npz of uint8 images, or a folder (no ending) with one PNG each."""
    seed: int = 0
    """The same seed draws the same samples."""
    classes: Annotated[tuple[str, ...], tyro.conf.arg(name="class", aliases=["--labels"])] = ()
    """Classes by number, or by name where the data has names, repeated in turn over the samples; left out, classes are
    drawn uniformly."""
    per_class: int | None = None
    """Draw so many samples of each class, of all or of those of --class, a row for each class; in place of --count."""
    truncation: float | None = None
    """Redraw the entries of the latents that are beyond it, for typical samples rather than varied ones."""
    truncation_form: Literal["resample", "scale"] = "resample"
    """Redraw entries beyond the truncation, or multiply all of them by it."""
    statistics: Literal["running", "standing", "batch"] | None = None
    """What the generator's batch norm runs on: statistics of training, ones computed anew over 32 batches, or those of
    the samples at hand; left out, as the run says."""
    sampler: Literal["generator", "pushed"] | None = None
    """The averaged generator, or the one that functional gradients trained with its pushes; left out, as the run."""
    columns: int | None = None
    """Columns of the grid; left out, it is square, or as wide as --per-class."""


def main(arguments: Sequence[str]) -> None:
    """Parse, draw and write."""
    options = tyro.cli(SampleOptions, args=list(arguments), prog="ganneal sample")
    from ganneal.sampling import load
    from ganneal.truncation import Truncation

    if Path(options.out).suffix.lower() not in ENDINGS:
        raise ValueError(f"out must end in .png or .npz, or be a folder without an ending, got {options.out!r}.")
    cut = None if options.truncation is None else Truncation(options.truncation, options.truncation_form)
    generator = load(options.run, sampler=options.sampler, statistics=options.statistics)
    labels = _labels(options, generator)
    count = options.count if labels is None else len(labels)
    samples = generator.sample(count, options.seed, labels=labels, truncation=cut)
    _write(samples, Path(options.out), options.columns or options.per_class)
    pushed = f", the generator with {generator.num_pushes} pushes" if generator.num_pushes else ""
    print(f"{count} samples: {options.out}{pushed}")
    if options.per_class is not None and labels is not None:
        print(f"a row for each class: {', '.join(generator.class_names[c] for c in labels[:: options.per_class])}")


def _labels(options: SampleOptions, generator: "TrainedGenerator") -> list[int] | None:
    """The class of each sample; None leaves them to the generator."""
    chosen = [generator.class_of(given) for given in options.classes]
    if options.per_class is None:
        return [chosen[i % len(chosen)] for i in range(options.count)] if chosen else None
    if options.per_class < 1:
        raise ValueError(f"per_class must be at least 1, got {options.per_class}.")
    if not generator.num_classes:
        raise ValueError("per_class must be left out: this generator was trained without classes; use count.")
    return [c for c in chosen or range(generator.num_classes) for _ in range(options.per_class)]


def _write(samples: "Tensor", path: Path, columns: int | None) -> None:
    import numpy as np

    from ganneal.grid import image_grid, save_png, scatter, to_uint8

    match path.suffix.lower():
        case ".npz":
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, images=to_uint8(samples) if samples.dim() == 4 else samples.numpy())
        case ".png":
            save_png(image_grid(samples, columns) if samples.dim() == 4 else scatter(None, samples), path)
        case _:
            if samples.dim() != 4:
                raise ValueError(f"out must end in .png or .npz for points, got {str(path)!r}.")
            for index, image in enumerate(samples):
                save_png(image_grid(image[None], 1), path / f"{index:06d}.png")
