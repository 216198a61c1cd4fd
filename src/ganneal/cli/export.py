"""`ganneal export`: a trained generator as one file that runs without ganneal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT


@dataclass(frozen=True)
class ExportCommand(Command):
    """Write a trained generator to one file that runs without ganneal. The command first compares the file's images
    with the original's. If they differ, it writes no file."""

    run: Annotated[str, ARGUMENT]
    """Directory of the run, as `ganneal train` wrote it; or zoo:NAME, see `ganneal zoo`."""
    format: str = "onnx"
    """onnx for ONNX Runtime and others, or torch for a program of torch.export."""
    out: Path | None = None
    """The file to write. Default: the run's name, in this folder."""
    overwrite: bool = False
    """Replace an existing file."""
    checkpoint: str = "last"
    """Weights: last, best (of the best evaluation), or a snapshot by its number of real images."""
    sampler: Literal["generator", "pushed"] | None = None
    """Export the samples with their pushes, or the generator alone. Default: the run's own setting."""
    statistics: Literal["running", "standing"] | None = None
    """Statistics for the generator's batch norm: those of training, or new ones over 32 batches. Default: the run's own
    setting."""

    def __call__(self, typed: str) -> None:
        """Write, and say how near the file's images are to the original's."""
        from ganneal.inference.export import FORMATS, write_export
        from ganneal.inference.loading import load
        from ganneal.registry import lookup

        suffix = lookup("format", FORMATS, self.format).suffix
        # The name after "zoo:", or that of the folder; resolved, as the folder "." has none.
        path = self.out or Path(Path(self.run.rpartition(":")[2]).resolve().name + suffix)
        generator = load(self.run, checkpoint=self.checkpoint, sampler=self.sampler, statistics=self.statistics)
        done = write_export(generator, path, format=self.format, overwrite=self.overwrite)
        sizes = ", ".join(map(str, done.differences))
        print(f"largest difference to the original at {sizes} images: {max(done.differences.values()):.2g}")
        print(f"{self.format}, {done.bytes / 1e6:.2f} MB: {done.path}")
