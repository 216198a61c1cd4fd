"""Everything worth knowing about a set of images before training on it."""

import hashlib
import warnings
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ganneal.data.classes import class_counts
from ganneal.data.decode.images import shown
from ganneal.data.decode.listing import Listing, settle
from ganneal.data.decode.loading import Encoded, load_images
from ganneal.data.decode.remarks import left_out_remarks, remarks
from ganneal.data.decode.survey import ImageHeader, Survey, survey_files
from ganneal.data.messages import Remark
from ganneal.data.protocol import Dataset, Source
from ganneal.data.sources.archive import Zip
from ganneal.data.sources.arrays import Arrays
from ganneal.data.sources.celeba import CelebA
from ganneal.data.sources.folder import Folder
from ganneal.data.tools.pairwise import START_STD, PairwiseDistances, noise_like, pairwise_distances

INSPECTED_TOGETHER = 1_024
LISTS_LABELS = (Folder, Zip, CelebA)
"""Sources whose labels may stand in a list beside the images."""


@dataclass(frozen=True)
class Inspection:
    """Findings of `inspect`."""

    count: int
    shape: tuple[int, ...]
    """Shape of one sample as it is trained on."""
    sizes: Counter[str]
    """Width x height and mode of the files, most frequent first; empty where there are no files."""
    remarks: tuple[str, ...]
    """Remarks on what is left out or changed in reading, a sentence each."""
    damaged: dict[str, str]
    """Why images cannot be read, by their names as shown; of those whose headers are whole the first five."""
    num_damaged: int
    """All of them."""
    classes: dict[str, int]
    """Images of each class by its name, of classes without an image too."""
    about_classes: str
    """Which folders the classes are, or why labels that were found are no classes; empty where it takes no word."""
    duplicates: int
    """Images whose pixels an earlier one has."""
    mean: tuple[float, ...]
    """Mean of each channel, in [0, 1]."""
    std: tuple[float, ...]
    d1: PairwiseDistances | None
    """Between images in [-1, 1]; None for a single image."""
    d2: PairwiseDistances
    """From images to standard normal pixels, as in the paper."""
    d2_start: PairwiseDistances
    """From images to normal pixels of `START_STD`, the start of functional gradients here."""


def survey(source: Source) -> Survey:
    """Look at the images of ``source``, which are not decoded where they are files.

    Raises:
        ValueError: They are no images, or not one can be read.
    """
    if isinstance(source, Encoded):
        listing = source.listing()
        found = survey_files(listing)
        if not found.headers:
            damaged = {**listing.damaged, **found.damaged}
            settle(damaged, len(damaged), listing.place, "fail")
        return found
    if isinstance(source, Arrays):  # the range of their values may not be given yet
        values, classes = source.unscaled()
        return _of_arrays(values.shape, classes.num_classes)
    data = source.load()
    return _of_arrays((len(data), *data.shape), data.num_classes)


def _of_arrays(shape: tuple[int, ...], num_classes: int) -> Survey:
    """The survey of images that are one array of ``shape``."""
    if len(shape) != 4:
        raise ValueError(f"data must be images, got points of shape {shape[1:]}; name an experiment for points.")
    count, channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    # One header stands for all: an array has one size and one kind of pixels.
    return Survey(count, {ImageHeader(width, height, mode, channels == 1): count}, num_classes)


def inspect(source: Source) -> tuple[Inspection, Dataset]:
    """Look at every image of ``source``; damaged ones are passed over and named.

    Raises:
        ValueError: Not one image can be read, or the data is points.
    """
    sizes, damaged, noted = _of_files(source) if isinstance(source, Encoded) else (Counter(), {}, ())
    data, said = _loaded(source)
    noted += tuple(text for text in said if text not in noted)
    if not data.is_images:
        raise ValueError(f"data must be images, got points of shape {data.shape}.")
    damaged = damaged | data.description.get("damaged", {})
    # The description names the first five alone, and counts all.
    num_damaged = max(len(damaged), data.description.get("passed_over", 0))
    mean, std, duplicates = _pixels(data)
    found = Inspection(
        len(data),
        data.shape,
        sizes,
        noted,
        damaged,
        num_damaged,
        dict(zip(data.class_names, class_counts(data.labels, data.num_classes), strict=True)),
        data.unusable or data.description.get("classes_are", ""),
        duplicates,
        mean,
        std,
        pairwise_distances(data.samples) if len(data) > 1 else None,
        *(pairwise_distances(data.samples, noise_like(data.shape, std=std)) for std in (1.0, START_STD)),
    )
    return found, data


def _loaded(source: Source) -> tuple[Dataset, list[str]]:
    """The data, and the remarks on it; other warnings are given as ever."""
    with warnings.catch_warnings(record=True) as caught:
        # Python would pass over a warning that it has shown once from the same line.
        warnings.simplefilter("always")
        data = load_images(source, _listed(source)) if isinstance(source, LISTS_LABELS) else source.load()
    for warning in caught:
        if not issubclass(warning.category, Remark):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return data, [str(warning.message) for warning in caught if issubclass(warning.category, Remark)]


def _listed(source: Encoded) -> Listing:
    """The images and labels as training finds them: an image that a list of labels leaves out is still an image."""
    return replace(source, on_damaged="fail").listing()


def _of_files(source: Encoded) -> tuple[Counter[str], dict[str, str], tuple[str, ...]]:
    """Sizes and modes, damage and remarks, from the headers of all files."""
    listing = _listed(source)
    found = survey_files(listing, len(listing.names))
    sizes: Counter[str] = Counter()
    for header, count in found.headers.items():
        sizes[f"{header.width}x{header.height} {header.mode}"] += count
    noted = left_out_remarks(listing)
    if found.headers:
        noted += remarks(found, source, listing)
    damaged = {shown(name): reason for name, reason in {**listing.damaged, **found.damaged}.items()}
    return sizes, damaged, tuple(noted)


def _pixels(data: Dataset) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Mean and standard deviation of each channel, and how many images are copies of earlier ones."""
    seen: set[bytes] = set()
    # How often each level comes is all that mean and deviation need, exact and in one pass over the data.
    histogram = np.zeros((data.shape[0], 256))
    for start in range(0, len(data), INSPECTED_TOGETHER):
        block = np.ascontiguousarray(data.samples[start : start + INSPECTED_TOGETHER])
        # 16 bytes stand for an image: two of a million different ones agree with probability 10^-27.
        seen.update(hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in block)
        for channel in range(data.shape[0]):
            histogram[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    levels = np.arange(256) / 255
    share = histogram / histogram.sum(1, keepdims=True)
    mean = share @ levels
    # About the mean: the difference of two large sums would cancel for flat images.
    variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), len(data) - len(seen)
