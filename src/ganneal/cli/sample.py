"""`ganneal sample`: draw from a trained run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT, Typed

if TYPE_CHECKING:
    from ganneal.inference.generator import TrainedGenerator


@dataclass(frozen=True)
class SampleCommand(Command):
    """Draw samples from a trained run."""

    run: Annotated[str, ARGUMENT]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: str = "last"
    """last | best, the weights of the best evaluation; or a snapshot by its number of real images."""
    count: int = 64
    """Number of samples."""
    out: str = "samples.png"
    """A .png: one image as it is, several as a grid for the eye. As data, bit for bit, with the classes of labelled
    samples: an .npz, a .zip, or a folder (no ending) of PNG files."""
    overwrite: bool = False
    """Replace the file, or the earlier samples in the folder; other files in the folder stay."""
    seed: int = 0
    """The same seed draws the same samples."""
    classes: Annotated[tuple[str, ...], Typed(name="class", aliases=("--labels",))] = ()
    """Classes by name, by number where the data has no names, repeated in turn over the samples; left out, they are
    drawn."""
    drawn: Annotated[Literal["data", "uniform"], Typed(name="classes")] = "data"
    """Draw classes as often as the data has them, or all alike."""
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

    def __call__(self, typed: str) -> None:
        """Draw and write."""
        from ganneal.data.classes import few
        from ganneal.inference.generator import Truncation
        from ganneal.inference.loading import load
        from ganneal.inference.sample_files import DrawnSamples, check_out, check_outside, write_samples
        from ganneal.inference.zoo import run_path

        path = Path(self.out)
        check_out(path, overwrite=self.overwrite)
        check_outside(path, run_path(self.run))
        cut = None if self.truncation is None else Truncation(self.truncation, self.truncation_form)
        generator = load(self.run, checkpoint=self.checkpoint, sampler=self.sampler, statistics=self.statistics)
        labels = self._labels(generator)
        count = self.count if labels is None else len(labels)
        latents, condition, random = generator.draw(count, self.seed, labels=labels, classes=self.drawn, truncation=cut)
        samples = generator.finish(latents, condition, random)
        drawn = DrawnSamples(samples, generator.labels_of(condition), generator.data_class_names, generator.num_classes)
        write_samples(drawn, path, columns=self.columns or self.per_class, overwrite=self.overwrite)
        pushed = f", the generator with {generator.num_pushes} pushes" if generator.num_pushes else ""
        print(f"{count} samples: {self.out}{pushed}")
        if self.per_class is not None and labels is not None and path.suffix.lower() == ".png" and count > 1:
            print(f"a row for each class: {few([generator.class_names[c] for c in labels[:: self.per_class]])}")

    def _labels(self, generator: "TrainedGenerator") -> list[int] | None:
        """The class of each sample; None leaves them to the generator."""
        if self.drawn == "uniform" and (self.classes or self.per_class is not None):
            raise ValueError(
                "classes says how classes are drawn; leave it out where --class or --per-class chooses them."
            )
        chosen = [generator.class_of(given) for given in self.classes]
        if self.per_class is None:
            return [chosen[i % len(chosen)] for i in range(self.count)] if chosen else None
        if self.per_class < 1:
            raise ValueError(f"per_class must be at least 1, got {self.per_class}.")
        if not generator.num_classes:
            raise ValueError("per_class must be left out: this generator was trained without classes; use count.")
        return [c for c in chosen or range(generator.num_classes) for _ in range(self.per_class)]
