"""Measuring what is on disk: a run's last and best weights, or any two sets of images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from ganneal.data import Dataset, Reading
from ganneal.data.classes import Classes, check_classes, class_counts, populated, with_classes_of
from ganneal.data.messages import way
from ganneal.evaluation.measuring import Counts, Say, measurable, measured, once
from ganneal.evaluation.read_again import (
    followed_features,
    held_out_data,
    named,
    own_extractor,
    reading_of,
    training_data,
)
from ganneal.evaluation.real_side import (
    RealFile,
    evidence_of,
    extractor_for,
    images_at,
    labels_of,
    read_real,
    real_side,
)
from ganneal.evaluation.suited import EVALUATION_SEEDS, as_stored, check_fresh
from ganneal.inference import zoo
from ganneal.inference.generator import SamplerName, TrainedGenerator, Truncation
from ganneal.inference.loading import load
from ganneal.metrics.extractors import Extractor, ExtractorConfig
from ganneal.metrics.measures import DEFAULT_METRICS, metric_name
from ganneal.metrics.protocol import Evidence, Metric, Place, Record, over_seeds
from ganneal.metrics.references import reference_features
from ganneal.models.parts.batch_norm import Statistics
from ganneal.storage.json_files import CARD
from ganneal.storage.run_directory import RunDirectory

_MORE = "more generated ones (--count)"
LINE_ON_FID = (
    "These are not FID: that needs the 2015 Inception weights. `ganneal fetch inception` downloads them once, "
    "`--extractor inception` then uses them."
)
"""The sentence below values of every other network."""


@dataclass(frozen=True)
class Settings:
    """Settings of a measurement."""

    metrics: tuple[Metric, ...] = DEFAULT_METRICS
    count: int = 10_000
    """Generated samples; with a bundle of files all of them are taken."""
    seeds: tuple[int, ...] = EVALUATION_SEEDS
    """Evaluation seeds: each draws other samples from the same generator, none of those that chose the best weights."""
    classes: Classes = "data"
    """Draw classes as often as the data has them, or all alike; the protocol says which."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count must be at least 2, got {self.count}.")
        check_classes("classes", self.classes)
        check_fresh(self.seeds)
        # The same seed twice is the same samples twice: an interval over them would be too narrow.
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be one or more different numbers, got {self.seeds}.")


def evaluate_run(
    path: str | Path,
    *,
    checkpoints: Sequence[str] | None = None,
    settings: Settings | None = None,
    extractor: ExtractorConfig | None = None,
    sampler: SamplerName | None = None,
    statistics: Statistics | None = None,
    truncation: Truncation | None = None,
    data_path: str | None = None,
    held_out_path: str | None = None,
    accept_changed_data: bool = False,
    real: str | Path | None = None,
    reading: Reading | None = None,
    real_count: int | None = None,
    say: Say = lambda text: None,
) -> list[Record]:
    """Measure the trained generator of the run at ``path`` against all of its data, or against ``real``.

    The data is found where it was, or where it lies from the run. Values against other data are no values of the run:
    such data is refused, unless it is accepted, which every record then says.

    The extractor is the run's own where none is given, so that values continue those of its log. Held-out data of the
    run, where it has any, serves the tests of memorisation. Metrics of single classes are given samples of their own,
    as many of every class of a run with labels: ``settings.count`` altogether, or the next smaller multiple.

    Args:
        checkpoints: Names of weights, as `ganneal.load` takes them; None for the last and, where there are any, the
            best ones.
        sampler: "generator", "raw" or "pushed", as `ganneal.load` takes it; None takes the run's own.
        statistics: What batch norm runs on, as `ganneal.load` takes it.
        truncation: Of the latents; None for all of them.
        data_path, held_out_path: Where the data, and the held-out data, lie now; None looks where the run knows them.
        accept_changed_data: Measure against data that is not what the run was trained on.
        real: Images to measure against in place of the run's data, as a test set, cropped and resized as these are; or
            a file of mean and covariance, `real_side.statistics_of`, pytorch-fid's or ADM's.
        reading: How the images of ``real`` are read, where it is not as the run's; size and channels are the run's.
        real_count: Images behind a mean and covariance that do not say it.
    Returns:
        One record for each checkpoint and value, over the evaluation seeds.
    Raises:
        FileNotFoundError: ``path`` is no run, has no weights yet, or its data are not where they were.
        ValueError: No metric can be computed from so few samples, the run uses parts that are not
            registered, or the data is not what the run was trained on.
    """
    settings, say = settings or Settings(), once(say)
    directory = RunDirectory(zoo.run_path(path))
    # Only where there are any: a run that was never evaluated has no best weights.
    names = checkpoints or ("last", *(("best",) if (directory.path / "best" / CARD).exists() else ()))
    # All are loaded before anything is measured: a missing checkpoint must not cost an hour first.
    generators = {
        name: load(path, checkpoint=name, sampler=sampler, statistics=statistics) for name in dict.fromkeys(names)
    }
    if real is None:
        data, held_out, changed = _data_of(directory, data_path, held_out_path, accept_changed_data, say)
        reading, file = Reading(), RealFile(str(directory.path), data)
    else:
        # Tests of memorisation compare with what was trained on, and ``real`` is not that.
        held_out, changed, reading = None, (), reading_of(directory, reading)
        file = read_real(real, reading, real_count)
    first = next(iter(generators.values()))
    # Before anything is drawn, which may take minutes.
    file.check(first.shape, settings.metrics, reading)
    dataset, classes_paired = _check_classes(settings, list(generators.values()), file.dataset, say)
    # Moments without images are of the network that their file names, not of the run's.
    own = None if dataset is None else own_extractor(directory)
    file, followed = file._replace(dataset=dataset), followed_features(directory)
    built, file = extractor_for(file, extractor, own, first.shape, settings.count, say, followed)
    classes = {} if dataset is None else _drawn_of_classes(settings, first, dataset)
    settings = _measurable(settings, file, settings.count, classes, first.shape, built, _MORE, say)
    say(file.through(built))
    # Data that changed must not carry the name of the run's in a table.
    called = named(directory) if real is None and not changed else None
    sides = file.sides(built, "train" if real is None else Path(real).stem, called, changed)
    unseen = None if held_out is None else real_side(held_out, built).evidence
    made: dict[str, list[Record]] = {}
    for name, generator in generators.items():
        # The last weights are often the best ones too; measuring them twice would cost minutes and give the same
        # numbers.
        same = next((other for other in made if generator.has_weights_of(generators[other])), None)
        if same is not None:
            say(f"{name}: the same weights as {same}")
            made[name] = made[same]
            continue
        made[name] = []
        for seed, samples, labels, metrics, about in _samples_of(name, generator, settings, truncation, say):
            # A diverged run has no value, not even of the seeds before: their mean would be of chosen seeds.
            if not samples.isfinite().all():
                say(f"warning: no values for the {name} weights: their samples are NaN or infinite")
                made[name] = []
                break
            # The same extractor object on both sides, so that no setting of it can differ.
            fake = evidence_of(built(as_stored(samples)), labels)
            about |= {"classes_paired": classes_paired}
            for side, own_metrics in sides.of(metrics):
                found = measured(own_metrics, side, fake, unseen, built, about, say)
                made[name] += [replace(record, seeds=(seed,)) for record in found]
    return [one for name, records in made.items() for one in _joined(records, _place(name, generators[name]))]


def _samples_of(
    name: str, generator: TrainedGenerator, settings: Settings, truncation: Truncation | None, say: Say
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor | None, tuple[Metric, ...], dict[str, Any]]]:
    """Each draw of samples, with its seed, labels where classes are in equal shares, metrics, how it was made."""
    for seed in settings.seeds:
        for labels, metrics in _draws(settings, generator):
            equal = labels is not None
            count = len(labels) if equal else settings.count
            say(f"{name}: {count:,} samples of seed {seed}{' in equal shares of the classes' if equal else ''}")
            # Not used where labels are given; it must be one of its words all the same.
            classes = "data" if equal else settings.classes
            samples = generator.sample(count, seed, labels=labels, classes=classes, truncation=truncation)
            about = _sampling_of(generator, truncation, "equal shares" if equal else settings.classes)
            yield seed, samples, labels, metrics, about


def evaluate_images(
    real: str | Path,
    fake: str | Path,
    *,
    settings: Settings | None = None,
    extractor: ExtractorConfig | None = None,
    reading: Reading | None = None,
    real_count: int | None = None,
    say: Say = lambda text: None,
) -> list[Record]:
    """Measure the images at ``fake`` against those at ``real``: folders, zips, npz or npy files.

    Args:
        real: Images, or a file of mean and covariance, `real_side.statistics_of`, pytorch-fid's or ADM's.
        reading: How image files are read. Where its size is open, images that are not all of one size are refused, for
            resampling moves every metric.
        real_count: Images behind a mean and covariance that do not say it.
    Raises:
        FileNotFoundError: There is nothing at one of the paths.
        ValueError: A path holds no images, or the two are of different shapes.
    """
    settings, reading, say = settings or Settings(), reading or Reading(), once(say)
    file = read_real(real, reading, real_count)
    reals, (fakes, _) = file.dataset, images_at("fake", fake, reading)
    if reals is not None and reals.shape != fakes.shape:
        raise ValueError(
            f"real and fake must be images of one shape, got {reals.shape} in {real} and {fakes.shape} in {fake}; give "
            f"{way('size')} or {way('channels')}, or convert one of them."
        )
    file.check(fakes.shape, settings.metrics, reading)
    for side, found in (("real", reals), ("fake", fakes)):
        if found is not None and found.unusable:
            say(f"warning: labels of {side} are not used: {found.unusable}")
    classes, classes_paired = {}, None
    if reals is not None:
        settings, reals, fakes, classes_paired = _paired_files(settings, reals, fakes, say)
        classes = _held_of_classes(reals, fakes)
    built, file = extractor_for(file._replace(dataset=reals), extractor, None, fakes.shape, len(fakes), say)
    settings = _measurable(settings, file, len(fakes), classes, fakes.shape, built, "more generated ones", say)
    say(f"{file.through(built)}; {len(fakes):,} generated images")
    seen = Evidence(*reference_features(fakes, built), labels_of(fakes), tuple(fakes.class_names))
    about = {
        "generator_weights": "files",
        "classes": "as in the files",
        "classes_paired": classes_paired,
        "quantised": fakes.is_images,
    }
    made: list[Record] = []
    for side, metrics in file.sides(built).of(settings.metrics):
        made += measured(metrics, side, seen, None, built, about, say)
    return [over_seeds([record]) for record in made]


def _draws(settings: Settings, generator: TrainedGenerator) -> list[tuple[torch.Tensor | None, tuple[Metric, ...]]]:
    """The metrics of each draw of samples, and its labels where classes have equal shares."""
    # Without classes a metric of single classes stays with the others and says itself that it lacks labels.
    by_class = [metric for metric in settings.metrics if getattr(metric, "by_class", False) and generator.num_classes]
    others = tuple(metric for metric in settings.metrics if metric not in by_class)
    draws: list[tuple[torch.Tensor | None, tuple[Metric, ...]]] = [(None, others)] if others else []
    if by_class:
        # Rounded down: no class gets one more than another.
        each = settings.count // generator.num_classes
        if each < 1:
            raise ValueError(
                f"count must be at least the number of classes, {generator.num_classes}, for a metric of single "
                f"classes, got {settings.count}."
            )
        # A metric of single classes has a bias that depends on the count, so every class gets as many samples.
        draws.append((torch.arange(generator.num_classes).repeat(each), tuple(by_class)))
    return draws


def _check_classes(
    settings: Settings, generators: Sequence[TrainedGenerator], dataset: Dataset | None, say: Say
) -> tuple[Dataset | None, str | None]:
    """Have classes drawn as often as the data has them that samples are measured against.

    Returns:
        The data under the generators' numbers of the classes, and how the classes were paired; None without any.
    """
    first = next(iter(generators), None)
    if first is None or not first.num_classes:
        if settings.classes == "uniform" and first is not None:
            raise ValueError("classes must be left out: this generator was trained without classes, got 'uniform'.")
        return dataset, None
    if dataset is None:
        return None, None
    if dataset.labels is None:
        why = f": {dataset.unusable}" if dataset.unusable else ""
        say(f"warning: the data has no classes{why}; classes are drawn as often as the run's own data had them")
        return dataset, None
    dataset, words = with_classes_of(first.class_names, dataset, called=("the run", "the data"))
    # Drawn as the data has them: else a generator without fault would differ from data of unequal classes.
    for generator in generators:
        generator.class_counts = class_counts(dataset.labels, dataset.num_classes)
    say(f"classes of the run and of the data are paired {words}")
    return dataset, words


def _paired_files(
    settings: Settings, reals: Dataset, fakes: Dataset, say: Say
) -> tuple[Settings, Dataset, Dataset, str | None]:
    """Both sides with the numbers of the real side's classes, where a metric needs classes and both sides have them."""
    by_class = [metric for metric in settings.metrics if getattr(metric, "by_class", False)]
    if not by_class:
        return settings, reals, fakes, None
    for side, dataset in (("real", reals), ("fake", fakes)):
        if dataset.labels is None:
            say(f"warning: no {', '.join(map(metric_name, by_class))}, as {side} has no classes")
            others = tuple(metric for metric in settings.metrics if metric not in by_class)
            return replace(settings, metrics=others), reals, fakes, None
    # A class without a real sample cannot be measured and must not need a partner among the fakes.
    reals = populated(reals)
    fakes, words = with_classes_of(reals.class_names, fakes, called=("real", "fake"))
    say(f"classes of real and fake are paired {words}")
    return settings, reals, fakes, words


def _data_of(
    directory: RunDirectory, path: str | None, held_out_path: str | None, accept: bool, say: Say
) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """The data of a run, its held-out data, and how they differ from what the run was trained on."""
    data = training_data(directory, path=path, accept=accept)
    held_out = held_out_data(directory, data.dataset, path=held_out_path, accept=accept)
    beside = [] if held_out is None else [f"held-out data: {change}" for change in held_out.changes]
    for change in (changed := (*data.changes, *beside)):
        say(f"warning: not what the run was trained on: {change}")
    return data.dataset, None if held_out is None else held_out.dataset, changed


def _measurable(
    settings: Settings,
    file: RealFile,
    num_fake: int,
    classes: Mapping[str, Counts],
    shape: Sequence[int],
    extractor: Extractor,
    more: str,
    say: Say,
) -> Settings:
    """The settings without the metrics for which images are missing, or too few samples are there."""
    # Precision, kernel distance and the like need single samples, which a mean and covariance no longer have.
    without = [metric for metric in settings.metrics if file.lacks_images_for(metric)]
    if without:
        names = ", ".join(map(metric_name, without))
        say(f"not measured: {names}; {file.path} holds mu and sigma, not the images they need")
    kept = [metric for metric in settings.metrics if metric not in without]
    metrics, lines = measurable(
        kept, lambda metric: Counts(file.count_for(metric, extractor), num_fake), classes, shape, extractor, more
    )
    for line in lines:
        say(f"warning: {line}")
    return replace(settings, metrics=metrics)


def _drawn_of_classes(settings: Settings, generator: TrainedGenerator | None, dataset: Dataset) -> dict[str, Counts]:
    """Real samples of each class and generated ones of equal shares, by name; empty without classes."""
    if generator is None or not generator.num_classes or dataset.labels is None:
        return {}
    each = settings.count // generator.num_classes
    counts = class_counts(dataset.labels, dataset.num_classes)
    return {name: Counts(count, each) for name, count in zip(dataset.class_names, counts, strict=True)}


def _held_of_classes(reals: Dataset, fakes: Dataset) -> dict[str, Counts]:
    """Samples of each class of either side, by name; empty where one side has no classes, or they are not paired."""
    if reals.labels is None or fakes.labels is None or reals.class_names != fakes.class_names:
        return {}
    pairs = zip(*(class_counts(side.labels, side.num_classes) for side in (reals, fakes)), strict=True)
    return {name: Counts(*pair) for name, pair in zip(reals.class_names, pairs, strict=True)}


def _sampling_of(
    generator: TrainedGenerator, truncation: Truncation | None, classes: Classes | Literal["equal shares"]
) -> dict[str, Any]:
    return {
        "statistics": generator.statistics,
        "truncation": None if truncation is None else truncation.bound,
        "truncation_form": None if truncation is None else truncation.form,
        "generator_weights": "ema" if generator.sampler == "generator" else "raw",
        "sampler": generator.sampler,
        "sampler_steps": 1 + generator.num_pushes,
        "classes": classes if generator.num_classes else "none",
        "quantised": len(generator.shape) == 3,
    }


def _place(checkpoint: str, generator: TrainedGenerator) -> Place:
    counters = generator.card.get("counters", {})
    return Place(checkpoint, *(counters.get(key) for key in ("num_real", "d_updates", "g_updates", "seconds")))


def _joined(records: Sequence[Record], place: Place) -> list[Record]:
    """The records of several evaluation seeds as one each, in the order in which they first came."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        # By the whole protocol: two settings of one metric share a name, and their values no mean.
        groups.setdefault(repr(record.protocol), []).append(replace(record, place=place))
    return [over_seeds(group) for group in groups.values()]
