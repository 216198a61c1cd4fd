"""`ganneal data`: look at images, convert them, fetch the small public sets."""

import shlex
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT
from ganneal.data import Reading, Source, read_as, reporting, source_at
from ganneal.data.classes import classes_in_words, populated
from ganneal.data.decode.images import Fit, ImageSize, Levels, OnDamaged
from ganneal.data.finding import fetched_folder
from ganneal.data.messages import OWN
from ganneal.data.tools.convert import write_zip
from ganneal.data.tools.download import DOWNLOADS, fetch_files
from ganneal.data.tools.huggingface import download as download_set
from ganneal.data.tools.inspection import inspect
from ganneal.data.tools.inspection_text import inspection_as_text, write_sheet
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig
from ganneal.registry import lookup
from ganneal.training.display import Display


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """Options for reading images."""

    size: ImageSize | None = None
    """Side in pixels, or WIDTHxHEIGHT such as 128x96. Default: a square near the median size of the images."""
    channels: int | None = None
    """1 for grey, 3 for colour, 4 with transparency. Default: grey if all images are grey."""
    fit: Fit = "crop"
    """Treatment of images of another shape: crop the middle, pad with black, or stretch."""
    levels: Levels | None = None
    """Lowest and highest level of data of more than 8 bits, which become 0 and 255."""

    def reading(self, on_damaged: OnDamaged) -> Reading:
        """The settings for reading images."""
        return Reading(size=self.size, channels=self.channels, fit=self.fit, on_damaged=on_damaged, levels=self.levels)

    def source(self, path: str, on_damaged: OnDamaged) -> Source:
        """The source of the images at ``path``, with these settings."""
        return read_as(source_at(path), self.reading(on_damaged))


@dataclass(frozen=True)
class InspectCommand(ReadingOptions, Command):
    """Report count, sizes, classes, damaged files, duplicates, pixel statistics and distances of a set of images. Can
    draw a contact sheet."""

    prefix = OWN

    path: Annotated[str, ARGUMENT]
    """A folder, .zip, .npz, .npy, MNIST's files or CIFAR's archive."""
    sheet: str | None = None
    """Write a contact sheet of 64 images to this PNG file."""

    def __call__(self, typed: str) -> None:
        """Print what there is, and draw the sheet."""
        with _progress():
            # An inspection lists damaged images; it never stops at one.
            found, data = inspect(self.source(self.path, "skip"))
        print(inspection_as_text(found))
        if self.sheet is not None:
            write_sheet(data, Path(self.sheet))
            print(f"sheet       {self.sheet}")


@dataclass(frozen=True)
class ConvertCommand(ReadingOptions, Command):
    """Write a set of images as a lossless zip of one image size, with labels, in the layout of the StyleGAN tools."""

    prefix = OWN

    path: Annotated[str, ARGUMENT]
    out: Annotated[str, ARGUMENT]
    on_damaged: OnDamaged = "fail"
    """Stop at images that cannot be read, or skip them. Both name them."""

    def __call__(self, typed: str) -> None:
        """Read, write and say what was written."""
        if not self.out.endswith(".zip"):
            raise ValueError(f"out must end in .zip, got {self.out!r}.")
        with _progress():
            # Folders of classes may be empty; such a class gets no number in the zip.
            data = populated(self.source(self.path, self.on_damaged).load())
            write_zip(data, Path(self.out))
        why = f": {data.unusable}" if data.unusable else ""
        classes = f"no classes{why}" if data.labels is None else classes_in_words(data)
        print(f"{self.out}: {len(data):,} images of shape {data.shape}, {classes}")


@dataclass(frozen=True)
class StatisticsCommand(ReadingOptions, Command):
    """Write mean and covariance of the features of a set of images, for `ganneal evaluate --real`.

    The file has the arrays mu and sigma, as pytorch-fid reads them. It says which network made them, and of how many
    images of which size."""

    parts = {"extractor": ("extractor", EXTRACTORS)}
    prefix = OWN

    # It may be left out for --help-all alone, which lists the options of the extractor in place.
    path: Annotated[str | None, ARGUMENT] = None
    """A folder, .zip, .npz, .npy, MNIST's files or CIFAR's archive."""
    size: ImageSize | None = field(default=None, kw_only=True)
    """Side in pixels, or WIDTHxHEIGHT. Default: the images' own size, which must be the same for all."""
    out: str | None = None
    """The .npz file to write. Default: PATH-EXTRACTOR.npz in this folder."""
    extractor: ExtractorConfig | None = None
    """Feature network, with its file of weights in --extractor.path. Default: the one that suits the images."""
    on_damaged: OnDamaged = "fail"
    """Stop at images that cannot be read, or skip them. Both name them."""

    def __call__(self, typed: str) -> None:
        """Read, write and say what was written."""
        from ganneal.evaluation.real_side import statistics_of

        if self.path is None:
            raise ValueError("PATH is missing: `ganneal data statistics --help` says what it is.")
        reading = self.reading(self.on_damaged)
        with _progress():
            path, card = statistics_of(self.path, self.out, extractor=self.extractor, reading=reading)
        print(
            f"{path}: mu and sigma of {card.count:,} images of shape {card.shape} through {card.extractor['name']}, "
            f"{card.extractor['dimensions']:,} features"
        )


@dataclass(frozen=True)
class FetchDataCommand(Command):
    """Download a small data set and check its published checksums, or download a set of the Hugging Face hub."""

    name: Annotated[str, ARGUMENT]
    """mnist, fashion-mnist, cifar10 or cifar100; or OWNER/NAME of the Hugging Face hub."""
    out: str | None = None
    """Folder to write to. Default: ganneal's cache folder, where experiments look; for a hub set data/OWNER-NAME."""
    url: str | None = None
    """Address of a mirror, to which the file names are appended. Not for hub sets."""
    config: str | None = None
    """Configuration of a hub set that has several."""
    revision: str | None = None
    """Branch, tag or commit of the hub set. Default: the newest."""

    def __call__(self, typed: str) -> None:
        """Download, check and say what to do next."""
        # Names of sets on the hub are OWNER/NAME; those that ganneal knows have no slash.
        if "/" in self.name:
            return self._from_hub()
        if self.config is not None or self.revision is not None:
            raise ValueError(f"--config and --revision are of the hub's sets, OWNER/NAME, got the name {self.name!r}.")
        download = lookup("data set", DOWNLOADS, self.name)
        out = fetched_folder(self.name) if self.out is None else Path(self.out).expanduser()
        for path in fetch_files(download, out, address=self.url):
            print(f"{path}: MD5 as published")
        then = download.then_named if self.out is None and download.then_named else download.then
        print(then.format(folder=shlex.quote(str(out))))

    def _from_hub(self) -> None:
        if self.url is not None:
            raise ValueError("--url is for mnist, fashion-mnist, cifar10 and cifar100; for the hub set HF_ENDPOINT.")
        out = Path(self.out or f"data/{self.name.replace('/', '-')}").expanduser()
        for split, count in download_set(self.name, self.config, self.revision, out).items():
            print(f"{out}: split {split}, {count:,} rows")
        print(f"ganneal train {out}")


def _progress() -> AbstractContextManager[None]:
    """Print progress of long readings inside the block, every ten seconds, on standard error."""
    return reporting(Display(shown=True).reading)


@dataclass(frozen=True)
class DataCommand(Command):
    """Look at a set of images, convert it, write its statistics, or fetch a small public one.

    `ganneal data COMMAND --help` says more."""

    usage = ("inspect PATH", "convert PATH OUT.zip", "statistics PATH --out STATS.npz", "fetch NAME")
    commands = {
        "inspect": InspectCommand,
        "convert": ConvertCommand,
        "statistics": StatisticsCommand,
        "fetch": FetchDataCommand,
    }
