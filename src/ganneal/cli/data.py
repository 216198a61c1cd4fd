"""`ganneal data`: look at images, convert them, fetch the small public sets."""

import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import numpy as np
import tyro

from ganneal.cli.help import help_of
from ganneal.data import Reading, read_as, reporting, source_at
from ganneal.data.classes import classes_in_words, few, populated
from ganneal.data.decode.images import Fit, Levels, OnDamaged
from ganneal.data.finding import fetched_folder
from ganneal.data.messages import OWN, spelled
from ganneal.data.tools.convert import write_zip
from ganneal.data.tools.download import DOWNLOADS, fetch_files
from ganneal.data.tools.huggingface import download as download_set
from ganneal.data.tools.inspection import Inspection, inspect
from ganneal.data.tools.pairwise import START_STD, fitted_first_weight, suggest_weights
from ganneal.registry import lookup, nearest
from ganneal.training.display import SECONDS_PER_LINE

SHEET = 64


@dataclass(frozen=True)
class InspectOptions:
    """Count, sizes, classes, damaged files, duplicates, pixel statistics, distances, and a contact sheet."""

    path: Annotated[str, tyro.conf.Positional]
    """A folder, .zip, .npz, .npy, MNIST's files or CIFAR's archive."""
    size: int | None = None
    """Side in pixels to look at them in; left out, it follows the median image."""
    channels: int | None = None
    """1 for grey, 3 for colours; left out, grey where all images are."""
    fit: Fit = "crop"
    """Images that are not square are cropped in the middle, padded with black, or stretched."""
    levels: Levels | None = None
    """Of data of more than 8 bits, the lowest and the highest level, which become 0 and 255."""
    sheet: str | None = None
    """Write a contact sheet of 64 images to this PNG file."""


@dataclass(frozen=True)
class ConvertOptions:
    """Write a set of images as a zip in the layout of the StyleGAN tools, lossless, of one size, with labels."""

    path: Annotated[str, tyro.conf.Positional]
    out: Annotated[str, tyro.conf.Positional]
    size: int | None = None
    """Side in pixels; left out, it follows the median image."""
    channels: int | None = None
    """1 for grey, 3 for colours; left out, grey where all images are."""
    fit: Fit = "crop"
    """Images that are not square are cropped in the middle, padded with black, or stretched."""
    levels: Levels | None = None
    """Of data of more than 8 bits, the lowest and the highest level, which become 0 and 255."""
    on_damaged: OnDamaged = "fail"
    """What to do about images that cannot be read: name them and stop, or name them and go on without."""


@dataclass(frozen=True)
class FetchDataOptions:
    """Download the original files of a small data set, checked by their published checksums; or a set of the hub."""

    name: Annotated[str, tyro.conf.Positional]
    """mnist, fashion-mnist, cifar10 or cifar100; or OWNER/NAME of the Hugging Face hub."""
    out: str | None = None
    """Folder to write to; left out, ganneal's cache folder, where experiments look, or data/OWNER-NAME of the hub."""
    url: str | None = None
    """A mirror: the address before the files' names; not of the hub."""
    config: str | None = None
    """Of the hub: the configuration, where the set has several."""
    revision: str | None = None
    """Of the hub: branch, tag or commit; left out, the newest."""


@contextmanager
def _lines() -> Iterator[None]:
    """Long readings say how far they are every ten seconds, on standard error."""
    said_at = monotonic()

    def say(what: str, done: int, total: int) -> None:
        nonlocal said_at
        if monotonic() - said_at >= SECONDS_PER_LINE:
            said_at = monotonic()
            print(f"{100 * done / total:3.0f}%  {what}: {done:,} of {total:,}", file=sys.stderr)

    with reporting(say):
        yield


def text(found: Inspection) -> str:
    """An inspection for a person."""
    lines = [f"images      {found.count:,} of shape {found.shape} as measured here"]
    for kind, count in found.sizes.most_common(5):
        lines.append(f"stored as   {kind}  {count:,}")
    if (others := len(found.sizes) - 5) > 0:
        lines.append(f"            and {others:,} other {'sizes or modes' if others > 1 else 'size or mode'}")
    lines += [f"note        {text}" for text in found.remarks]
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
    lines = [f"classes     {len(counts):,}, with {min(counts):,} to {max(counts):,} images each{about}"]
    if empty := [name for name, count in found.classes.items() if not count]:
        lines.append(f"            without an image, and left out of training: {few(empty)}")
    each = ", ".join(f"{name} {count:,}" for name, count in found.classes.items())
    return lines + textwrap.wrap(each, 100, initial_indent=" " * 12, subsequent_indent=" " * 12, break_on_hyphens=False)


def _inspect(arguments: list[str]) -> None:
    options = tyro.cli(InspectOptions, args=arguments, prog="ganneal data inspect")
    with _lines():
        reading = Reading(
            size=options.size, channels=options.channels, fit=options.fit, on_damaged="skip", levels=options.levels
        )
        found, data = inspect(read_as(source_at(options.path), reading))
    print(text(found))
    if options.sheet is not None:
        import torch

        from ganneal.storage.pictures import image_grid, save_png

        rows = np.linspace(0, len(data) - 1, min(SHEET, len(data))).astype(int)
        images = torch.from_numpy(np.array(data.samples[rows])).float() / 127.5 - 1
        save_png(image_grid(images), Path(options.sheet))
        print(f"sheet       {options.sheet}")


def _convert(arguments: list[str]) -> None:
    options = tyro.cli(ConvertOptions, args=arguments, prog="ganneal data convert")
    if not options.out.endswith(".zip"):
        raise ValueError(f"out must end in .zip, got {options.out!r}.")
    with _lines():
        reading = Reading(
            size=options.size,
            channels=options.channels,
            fit=options.fit,
            on_damaged=options.on_damaged,
            levels=options.levels,
        )
        data = populated(read_as(source_at(options.path), reading).load())
        write_zip(data, Path(options.out))
    why = f": {data.unusable}" if data.unusable else ""
    classes = f"no classes{why}" if data.labels is None else classes_in_words(data)
    print(f"{options.out}: {len(data):,} images of shape {data.shape}, {classes}")


def _fetch(arguments: list[str]) -> None:
    options = tyro.cli(FetchDataOptions, args=arguments, prog="ganneal data fetch")
    if "/" in options.name:
        return _fetch_from_hub(options)
    if options.config is not None or options.revision is not None:
        raise ValueError(f"--config and --revision are of the hub's sets, OWNER/NAME, got the name {options.name!r}.")
    download = lookup("data set", DOWNLOADS, options.name)
    out = fetched_folder(options.name) if options.out is None else Path(options.out).expanduser()
    for path in fetch_files(download, out, address=options.url):
        print(f"{path}: MD5 as published")
    then = download.then_named if options.out is None and download.then_named else download.then
    print(then.format(folder=shlex.quote(str(out))))


def _fetch_from_hub(options: FetchDataOptions) -> None:
    if options.url is not None:
        raise ValueError("--url is for mnist, fashion-mnist, cifar10 and cifar100; for the hub set HF_ENDPOINT.")
    out = Path(options.out or f"data/{options.name.replace('/', '-')}").expanduser()
    for split, count in download_set(options.name, options.config, options.revision, out).items():
        print(f"{out}: split {split}, {count:,} rows")
    print(f"ganneal train {out}")


DATA_COMMANDS = {"inspect": _inspect, "convert": _convert, "fetch": _fetch}


@dataclass(frozen=True)
class DataOptions:
    """Look at a set of images, convert it, or fetch a small public one; `ganneal data COMMAND --help` says more."""


def help_text(arguments: Sequence[str]) -> str:
    """The help of a data command, or of all of them."""
    own = {"inspect": InspectOptions, "convert": ConvertOptions, "fetch": FetchDataOptions}
    for name in arguments[:1]:
        if name in own:
            return help_of(own[name], f"data {name}")
    return help_of(DataOptions, "data", usage=["inspect PATH", "convert PATH OUT.zip", "fetch NAME"])


def main(arguments: Sequence[str]) -> None:
    """Run one of the data commands."""
    if arguments[0] not in DATA_COMMANDS:
        raise ValueError(f"unknown data command {arguments[0]!r}. {nearest(arguments[0], DATA_COMMANDS)}")
    with spelled(OWN):
        DATA_COMMANDS[arguments[0]](list(arguments[1:]))
