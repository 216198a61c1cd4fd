"""The real side of a measurement: images, or the mean and covariance of features in a file."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ganneal.data import Arrays, Dataset, Encoded, Reading, Source, read_as, source_at
from ganneal.data.decode.images import ImageSize, height_and_width, image_size
from ganneal.data.decode.survey import survey_files
from ganneal.data.identity import content_hash
from ganneal.data.messages import way
from ganneal.data.sources.arrays import Refitted
from ganneal.data.sources.files import holds_images
from ganneal.evaluation.measuring import RealEvidence, Say
from ganneal.evaluation.suited import better_features, fewer_features, suited_extractor
from ganneal.metrics.extractors import EXTRACTORS, Extracted, Extractor, ExtractorConfig
from ganneal.metrics.extractors.protocol import extractor_facts
from ganneal.metrics.frechet import gaussian_distance
from ganneal.metrics.measures import metric_name
from ganneal.metrics.moments import Moments
from ganneal.metrics.protocol import Evidence, Metric, Reference
from ganneal.metrics.references import reference_features
from ganneal.metrics.stored_moments import (
    StatisticsCard,
    StoredMoments,
    holds_moments,
    read_moments,
    write_moments,
)
from ganneal.storage.encoding import decode, encode

UNTOUCHED = "none"
"""Name of the transform of images that are taken as they are."""


class RealSides(NamedTuple):
    """Kinds of a real side: images, a mean and a covariance, or both."""

    images: RealEvidence | None
    statistics: RealEvidence | None = None

    def of(self, metrics: Sequence[Metric]) -> Iterator[tuple[RealEvidence, tuple[Metric, ...]]]:
        """Each side with the metrics that take it: mean and covariance go before images where they are enough."""
        # A published file of mu and sigma has the numbers that others compare with, so it goes before the images beside
        # it.
        by_moments = tuple(metric for metric in metrics if self.statistics is not None and takes_moments(metric))
        others = tuple(metric for metric in metrics if metric not in by_moments)
        for side, own in ((self.statistics, by_moments), (self.images, others)):
            if side is not None and own:
                yield side, own


def takes_moments(metric: Metric) -> bool:
    """True if a metric needs only the mean and the covariance of the real features."""
    return getattr(metric, "from_moments", False)


class RealFile(NamedTuple):
    """Content of a path that a user names as the real side."""

    path: str
    dataset: Dataset | None
    transform: str = UNTOUCHED
    stored: StoredMoments | None = None

    def check(self, shape: tuple[int, ...], metrics: Sequence[Metric], reading: Reading) -> None:
        """Refuse samples of another shape or crop, and metrics of which not one can be measured.

        Args:
            reading: How the generated images, or those that the generator learned, were read.
        Raises:
            ValueError: They are not of ``shape``, or are a mean and a covariance that none of ``metrics`` takes, or of
                images that were cropped in another way.
        """
        card = None if self.stored is None else self.stored.card
        # Moments without a card say nothing of the images they are of: then the shape of the samples is believed.
        own = self.dataset.shape if self.dataset is not None else card.shape if card is not None else shape
        if tuple(own) != tuple(shape):
            way = "bring both to one size and number of channels"
            if card is not None and len(shape) == 3:
                channels, height, width = shape
                size = f"{width}x{height}" if width != height else width
                way = f"write it again with `ganneal data statistics PATH --size {size} --channels {channels}`"
            raise ValueError(
                f"real must be of the shape of the generated samples, {tuple(shape)}, got {tuple(own)} in {self.path}; "
                f"{way}."
            )
        # The middle of a photograph and its whole squeezed together have other features, and no size tells them apart.
        if card is not None and card.transform != UNTOUCHED and not card.transform.startswith(_how(reading)):
            raise ValueError(
                f"real must be cropped as the generated images, {_how(reading)!r}, got {card.transform!r} in "
                f"{self.path}; make it again with `ganneal data statistics --fit {reading.fit}`."
            )
        if all(map(self.lacks_images_for, metrics)):
            raise ValueError(
                f"metrics must hold 'frechet' for {self.path}, which holds a mean and a covariance and no images, got "
                f"{', '.join(map(metric_name, metrics))}; add it, or name the images."
            )

    def lacks_images_for(self, metric: Metric) -> bool:
        """True if a metric needs images that are not there."""
        return self.dataset is None and not takes_moments(metric)

    def count_for(self, metric: Metric, built: Extractor) -> int:
        """Real samples that a metric is given; as many as it may need where nobody says how many there are."""
        if self.stored is not None and takes_moments(metric):
            # One more than features is the least with a covariance of full rank.
            return self.stored.count or built.dimensions + 1
        assert self.dataset is not None
        return len(self.dataset)

    def through(self, built: Extractor) -> str:
        """The real side in words."""
        if self.dataset is not None:
            also = "" if self.stored is None else f"; the Fréchet distance by mu and sigma in {self.path}"
            return f"{len(self.dataset):,} real samples through {built.name}{also}"
        assert self.stored is not None
        count = "an unknown number of" if self.stored.count is None else f"{self.stored.count:,}"
        return f"mu and sigma of {count} real samples through {built.name}, from {self.path}"

    def sides(
        self, built: Extractor, split: str = "train", name: str | None = None, changed: tuple[str, ...] = ()
    ) -> RealSides:
        """Both sides, seen by the extractor.

        Args:
            split: What records call the part of the data set.
            name: What records call the data set; None for the name it has.
            changed: How the samples differ from a run's, in words.
        """
        images = statistics = None
        if self.dataset is not None:
            images = real_side(self.dataset, built, self.transform, name, changed, split)
        if (stored := self.stored) is not None:
            # Without samples: only metrics that take moments are given this side.
            evidence = Evidence(torch.zeros(0, len(stored.mean), dtype=torch.float64), stored=stored)
            card = stored.card
            of, how = (Path(self.path).name, "unknown") if card is None else (card.dataset, card.transform)
            statistics = RealEvidence(evidence, Reference(of, split, stored.sha256, stored.count, how))
            if images is not None:
                self._check_beside(stored, images.evidence, built)
        return RealSides(images, statistics)

    def _check_beside(self, stored: StoredMoments, images: Evidence, built: Extractor) -> None:
        """Refuse a mean and a covariance that are no such network's of the images beside them."""
        # Moments of another network with as many features would pass every check of shapes and give a number.
        own = Moments.of(images.features)
        distance, variance = gaussian_distance(stored, own), float(stored.covariance.trace())
        # Of the same network and images the distance is about 0; the trace is the scale on which it is large.
        if distance > variance:
            raise ValueError(
                f"mu and sigma in {self.path} are not of {built.name}: their distance to its features of the images "
                f"beside them, {distance:.4g}, is above their whole variance, {variance:.4g}; name the network that "
                f"made them, or leave --extractor out to measure the images."
            )


def read_real(path: str | Path, reading: Reading, real_count: int | None = None) -> RealFile:
    """Read ``path``: images by the settings ``reading``, a mean and a covariance, or both.

    Args:
        real_count: Number of images behind a mean and a covariance that do not say it.
    Raises:
        FileNotFoundError: There is nothing.
        ValueError: It can be read as neither.
    """
    if not holds_moments(path):
        if real_count is not None:
            raise ValueError(f"real_count is for a file of mu and sigma, and {path} is none, got {real_count}.")
        return RealFile(str(path), *images_at("real", path, reading))
    stored = read_moments(path, real_count)
    # A file may hold both, as the reference batches of ADM do.
    if not holds_images(Path(path)):
        return RealFile(str(path), None, stored=stored)
    return RealFile(str(path), *images_at("real", path, reading), stored)


def extractor_for(
    file: RealFile,
    given: ExtractorConfig | None,
    own: ExtractorConfig | None,
    shape: tuple[int, ...],
    count: int,
    say: Say,
    followed: ExtractorConfig | None = None,
) -> tuple[Extractor, RealFile]:
    """The network for both sides, and ``file`` with the mean and covariance left out where they are not of it.

    Args:
        given: The network that a person names.
        own: The one of a run, where none is named and the file names none.
        shape: Shape of one sample.
        count: Number of generated samples.
        followed: The one that suited a run when it began.
    Raises:
        ValueError: Nobody says which network a mean and a covariance are of, or another one than the file.
    """
    stored, dataset = file.stored, file.dataset
    if dataset is None:
        assert stored is not None
        return _statistics_extractor(stored, file.path, given, shape), file
    # What a person names, then what the run was measured with, then what suits the data.
    config = given or own or suited_extractor(dataset, count, followed)
    if (given or own) is None and (better := better_features(shape, config)):
        say(better)
    built = config.build(shape)
    if stored is not None and (why := _not_of(stored, built, given)):
        say(f"mu and sigma in {file.path} are not used, its images are: {why}")
        return built, file._replace(stored=None)
    return built, file


def _not_of(stored: StoredMoments, built: Extractor, given: ExtractorConfig | None) -> str:
    """Why a mean and a covariance beside images are not taken to be of the network; empty where they are."""
    # Images are there too, so nothing has to be guessed about a network that nobody has named.
    if given is None:
        return "no network is named that made them; name it with --extractor"
    if built.dimensions != len(stored.mean):
        return f"they are of {len(stored.mean):,} features, and {built.name} has {built.dimensions:,}"
    return ""


def _statistics_extractor(
    stored: StoredMoments, path: str, given: ExtractorConfig | None, shape: tuple[int, ...]
) -> Extractor:
    """The network that a mean and a covariance are of."""
    card = stored.card
    if card is None:
        if given is None:
            raise ValueError(
                f"{path} does not say which network made its mu and sigma. Name it: --extractor inception for files "
                "of ADM, with --extractor.resize pytorch-fid for files of pytorch-fid."
            )
        built = given.build(shape)
        if built.dimensions != len(stored.mean):
            raise ValueError(
                f"mu and sigma in {path} are of {len(stored.mean):,} features, and the extractor {built.name} has "
                f"{built.dimensions:,}; name the network that made them (--extractor)."
            )
        return built
    config = given or decode(card.config, {type(one) for one in EXTRACTORS.values()})
    built = config.build(shape)
    facts = extractor_facts(built)
    # By the weights' hash and preprocessing, not by name: either moves every feature.
    differing = [name for name, old in card.extractor.items() if facts.get(name) != old]
    if changes := [f"{name}: {card.extractor[name]} there, {facts.get(name)} here" for name in differing]:
        leave = "leave --extractor out to measure with the network of the file" if given else "restore its weights"
        raise ValueError(
            f"{path} was made with another extractor than {built.name} is here ({'; '.join(changes)}); {leave}, or "
            f"make the file again with `ganneal data statistics`."
        )
    return built


def statistics_of(
    path: str | Path,
    out: str | Path | None = None,
    *,
    extractor: ExtractorConfig | None = None,
    reading: Reading | None = None,
) -> tuple[Path, StatisticsCard]:
    """Write the mean and covariance of the features of the images at ``path``.

    Args:
        out: The file; None names it after the images and the extractor, in the present folder.
        extractor: None takes one that suits the images.
        reading: How the images are read. Where its size is open, images that are not all of one size are refused.
    Returns:
        Where the file is, and what it says of itself.
    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: There are no images, or no more of them than features.
    """
    if out is not None and Path(out).suffix.lower() != ".npz":
        raise ValueError(f"out must end in .npz, got {str(out)!r}.")
    dataset, transform = images_at("path", path, reading or Reading())
    config = extractor or suited_extractor(dataset, len(dataset))
    built = config.build(dataset.shape)
    # n samples span n - 1 dimensions about their mean, so a covariance of d features needs d + 1 of them.
    if len(dataset) <= built.dimensions:
        fewer = fewer_features(dataset.shape, len(dataset))
        raise ValueError(
            f"path must hold more images than {built.name} has features, {built.dimensions:,}, got {len(dataset):,}: "
            f"their covariance is singular. Add images{f', or take fewer features ({fewer})' if fewer else ''}."
        )
    sha256 = content_hash(dataset)
    moments = Moments.of(reference_features(dataset, built, sha256=sha256).features)
    name = str(dataset.description.get("name", Path(path).name))
    facts = extractor_facts(built)
    card = StatisticsCard(len(dataset), tuple(dataset.shape), name, sha256, transform, facts, encode(config))
    file = Path(f"{Path(path).stem}-{built.name}.npz") if out is None else Path(out).expanduser()
    write_moments(file, moments, card)
    return file, card


def images_at(name: str, path: str | Path, reading: Reading) -> tuple[Dataset, str]:
    """The images at ``path`` and what was done to them."""
    source = source_at(path)
    if not isinstance(source, Encoded):
        return _of_arrays(source, reading)
    listing = source.listing()
    # All headers, not a sample: one image of another size would be resampled without a word.
    sizes = survey_files(listing, len(listing.names)).sizes
    if reading.size is None and sizes:
        reading = replace(reading, size=_own_size(name, path, sizes))
    return read_as(source, reading).load(), _transform(reading, sizes)


def _of_arrays(source: Source, reading: Reading) -> tuple[Dataset, str]:
    """Images that are one array; levels are for the other side where these are bytes already."""
    # Levels scale what is not 8 bits yet, and only one side may be so.
    if not isinstance(source, Arrays) or source.unscaled()[0].dtype == np.uint8:
        reading = replace(reading, levels=None)
    read = read_as(source, reading)
    if not isinstance(read, Refitted):
        return read.load(), UNTOUCHED
    data = read.source.load()
    made = read.refit(data)
    # (C, H, W) backwards and without C: width and height, the order in which files say them.
    return made, _transform(replace(reading, size=image_size(*made.shape[1:])), [data.shape[:0:-1]])


def _transform(reading: Reading, sizes: Iterable[tuple[int, ...]]) -> str:
    """Name of the transform that gives images of these widths and heights one size."""
    # Images that have the wanted size already are untouched.
    kept = set() if reading.size is None else {height_and_width(reading.size)[::-1]}
    return f"{_how(reading)}, Lanczos to {reading.size}" if set(sizes) - kept else UNTOUCHED


def _own_size(name: str, path: str | Path, sizes: Collection[tuple[int, int]]) -> ImageSize:
    """The size of images that are all of one."""
    if len(sizes) > 1:
        some = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:3])
        give = way("size") or "a size"
        raise ValueError(
            f"{name} must hold images of one size, got {len(sizes)} sizes in {path}, as {some}. Give {give} to crop "
            "and resample all of them; this changes every value."
        )
    ((width, height),) = sizes
    return image_size(height, width)


def _how(reading: Reading) -> str:
    return "centre crop" if reading.fit == "crop" else reading.fit


def labels_of(dataset: Dataset) -> torch.Tensor | None:
    """The classes of the samples; None without any."""
    # Shares memory with the data's own labels, which nothing writes into.
    return None if dataset.labels is None else torch.from_numpy(dataset.labels)


def evidence_of(extracted: Extracted, labels: torch.Tensor | None) -> Evidence:
    """Features in float64, with logits and labels where there are any."""
    # Networks give float32; a covariance summed up in it has too few digits for a small distance.
    return Evidence(extracted.features.double(), extracted.logits, labels)


def real_side(
    dataset: Dataset,
    extractor: Extractor,
    transform: str = UNTOUCHED,
    name: str | None = None,
    changed: tuple[str, ...] = (),
    split: str = "train",
) -> RealEvidence:
    """``dataset`` as the extractor sees it, with what records say of it."""
    sha256 = content_hash(dataset)
    evidence = evidence_of(reference_features(dataset, extractor, sha256=sha256), labels_of(dataset))
    evidence = evidence._replace(class_names=tuple(dataset.class_names))
    name = name or str(dataset.description.get("name", "data"))
    return RealEvidence(evidence, Reference(name, split, sha256, len(dataset), transform, changed))
