"""`ganneal sample`: draw from a trained run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT, Typed

if TYPE_CHECKING:
    from ganneal.inference.generator import TrainedGenerator, Truncation


@dataclass(frozen=True)
class SampleCommand(Command):
    """Draw samples from a trained run."""

    run: Annotated[str, ARGUMENT]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    checkpoint: str = "last"
    """Weights: last, best (of the best evaluation), or a snapshot by its number of real images."""
    count: int | None = None
    """Number of samples. Default: 64, or 8 for each of several truncations."""
    out: str = "samples.png"
    """A .png file: one image as it is, or several as a grid. Data, bit for bit, with the classes of labelled samples:
    an .npz, a .zip, or a folder (no ending) of PNG files. A film of --interpolate: .mp4, .gif or .webp."""
    overwrite: bool = False
    """Replace the file, or the earlier samples in the folder. Other files in the folder stay."""
    seed: int = 0
    """Number that fixes the random draws."""
    classes: Annotated[tuple[str, ...], Typed(name="class", aliases=("--labels",))] = ()
    """Classes by name, or by number where the data has no names. The samples take them in turn. Default: random
    classes."""
    drawn: Annotated[Literal["data", "uniform"], Typed(name="classes")] = "data"
    """Frequencies of random classes: as in the data, or uniform."""
    per_class: int | None = None
    """Number of samples of each class, or of each class in --class, one row a class. Replaces --count."""
    interpolate: int | None = None
    """Walk through this many samples and back to the first: a film that repeats, or a .png with a row for each stretch.
    Latents move on great circles. Classes move too, unless one --class holds them. An .mp4 needs ffmpeg."""
    frames: int | None = None
    """Frames from one sample of --interpolate to the next. Default: a second of film, or 8 in a .png."""
    fps: int = 25
    """Frames per second of a film."""
    truncation: tuple[float, ...] = ()
    """Redraw the entries of the latents beyond this size, which gives more typical and less varied samples. Several,
    such as 0.5 0.7 1, make a .png with a row for each, of the same latents."""
    truncation_form: Literal["resample", "scale"] = "resample"
    """Redraw entries beyond the truncation, or multiply all of them by it."""
    statistics: Literal["running", "standing", "batch"] | None = None
    """Statistics for the generator's batch norm: those of training, new ones over 32 batches, or those of the samples
    at hand. Default: the run's own setting."""
    sampler: Literal["generator", "raw", "pushed"] | None = None
    """Source of the samples: the averaged generator, the generator as trained (raw), or the latter followed by its
    pushes. Default: the run's own setting."""
    raw: bool = False
    """Draw from the generator as trained, without averaging: same as --sampler raw."""
    columns: int | None = None
    """Columns of the grid. Default: a square grid, or the width of --per-class."""

    def __call__(self, typed: str) -> None:
        """Draw and write."""
        from ganneal.inference.film_files import check_film
        from ganneal.inference.loading import load
        from ganneal.inference.sample_files import check_out, check_outside
        from ganneal.inference.zoo import run_path

        path = Path(self.out)
        self._check()
        # What the file forbids is said before the weights are loaded.
        if self.interpolate is None:
            check_out(path, overwrite=self.overwrite)
        else:
            check_film(path, self.fps, overwrite=self.overwrite)
        check_outside(path, run_path(self.run))
        sampler = "raw" if self.raw else self.sampler
        generator = load(self.run, checkpoint=self.checkpoint, sampler=sampler, statistics=self.statistics)
        if self.interpolate is not None:
            self._film(generator, path, self.interpolate)
        elif len(self.truncation) > 1:
            self._sweep(generator, path)
        else:
            self._samples(generator, path)

    def _check(self) -> None:
        """Refuse options that contradict each other."""
        if self.raw and self.sampler not in (None, "raw"):
            raise ValueError(f"--raw and --sampler {self.sampler} name two different generators; give one of them.")
        taken = {"--count": self.count, "--per-class": self.per_class, "--columns": self.columns}
        given = [option for option, value in taken.items() if value is not None]
        several = len(self.truncation) > 1
        if self.interpolate is not None and (given or several):
            wrong = given[0] if given else "several values of --truncation"
            raise ValueError(f"--interpolate draws one film; leave {wrong} out.")
        if self.interpolate is None and (self.frames is not None or self.fps != 25):
            raise ValueError("--frames and --fps are of a film; add --interpolate N.")
        if several and (self.per_class is not None or self.columns is not None):
            raise ValueError("several values of --truncation have a row each; leave --per-class and --columns out.")
        if several and Path(self.out).suffix.lower() != ".png":
            raise ValueError(f"several values of --truncation make a sheet; end out in .png, got {self.out!r}.")

    def _cuts(self) -> "list[Truncation | None]":
        """The truncations; one entry without truncation where none is given."""
        from ganneal.inference.generator import Truncation

        return [Truncation(bound, self.truncation_form) for bound in self.truncation] or [None]

    def _film(self, generator: "TrainedGenerator", path: Path, stops: int) -> None:
        from ganneal.inference.film_files import write_film
        from ganneal.inference.walk import LatentWalk

        sheet = path.suffix.lower() == ".png"
        steps = self.frames if self.frames is not None else 8 if sheet else self.fps
        labels = self._labels(generator, stops)
        walk = LatentWalk(stops, steps, self.seed, self.drawn, *self._cuts())
        count = write_film(walk(generator, labels), path, fps=self.fps, overwrite=self.overwrite)
        shown = f"{stops} rows of {steps}" if sheet else f"{count / self.fps:.3g} s at {self.fps} frames a second"
        print(f"{count} frames, {shown}, through {stops} samples and back: {self.out}")

    def _sweep(self, generator: "TrainedGenerator", path: Path) -> None:
        from ganneal.inference.drawing import write_truncations

        count = 8 if self.count is None else self.count
        labels = self._labels(generator, count)
        write_truncations(generator, path, self._cuts(), count, self.seed, labels=labels, classes=self.drawn)
        values = ", ".join(f"{value:g}" for value in self.truncation)
        print(f"{count} samples for each truncation, a row each, from the top {values}: {self.out}")

    def _samples(self, generator: "TrainedGenerator", path: Path) -> None:
        from ganneal.data.classes import few
        from ganneal.inference.sample_files import DrawnSamples, write_samples

        count = 64 if self.count is None else self.count
        labels = self._labels(generator, count)
        count = count if labels is None else len(labels)
        (cut,) = self._cuts()
        # Drawn and finished apart, since the classes that were drawn belong into the file.
        latents, condition, random = generator.draw(count, self.seed, labels=labels, classes=self.drawn, truncation=cut)
        samples = generator.finish(latents, condition, random)
        drawn = DrawnSamples(samples, generator.labels_of(condition), generator.data_class_names, generator.num_classes)
        write_samples(drawn, path, columns=self.columns or self.per_class, overwrite=self.overwrite)
        pushed = f", the generator with {generator.num_pushes} pushes" if generator.num_pushes else ""
        print(f"{count} samples: {self.out}{pushed}")
        if self.per_class is not None and labels is not None and path.suffix.lower() == ".png" and count > 1:
            print(f"a row for each class: {few([generator.class_names[c] for c in labels[:: self.per_class]])}")

    def _labels(self, generator: "TrainedGenerator", count: int) -> list[int] | None:
        from ganneal.inference.drawing import labels_for

        return labels_for(generator, count, self.classes, self.per_class, drawn=self.drawn)
