"""The data and features of a run that is measured, read again from wherever the data lie by now."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from ganneal.data import DATASETS, Dataset, Reading, Source, load_like
from ganneal.data.decode.images import image_size, shown
from ganneal.data.places import places, with_places
from ganneal.evaluation.run_data import ACCEPT, EXTRACTOR, SOURCE_FIELDS, SOURCE_WORDS, KnownData, SourceField, refusal
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig, Pixels, Points
from ganneal.storage.encoding import decode
from ganneal.storage.run_directory import RunDirectory

HOW_TO_MEASURE = (
    "Bring the data back, or name their place (--data.path PATH, for held-out data --held-out.path PATH). Or measure "
    f"against the present data with {ACCEPT}; every record then says so."
)


class ReadData(NamedTuple):
    """A set of data of a run, read again."""

    dataset: Dataset
    changes: list[str]
    """In words, how it differs from what the run was trained on."""


def named(directory: RunDirectory) -> str | None:
    """The run's own names of its data, wherever the data lies now."""
    return (KnownData.of_weights(directory).content or {}).get("data", {}).get("name")


def reading_of(directory: RunDirectory, given: Reading | None = None) -> Reading:
    """Settings that read other images as the run in ``directory`` reads its data: size, crop and levels.

    Args:
        given: What is to be otherwise; where it has the values of `Reading()`, the run's hold.
    Raises:
        ValueError: It asks for a size or channels, which are the run's.
    """
    given = given or Reading()
    if (given.size, given.channels) != (None, None):
        raise ValueError(
            f"size and channels are those of the run's images, got size={given.size} and channels={given.channels}; "
            f"leave them out."
        )
    # Samples of this run have one shape, whatever the other images have.
    content = KnownData.of_weights(directory).content or {}
    shape, stored = content["data"]["shape"], content["experiment"].get("data", {})
    channels, size = (shape[0], image_size(*shape[1:])) if len(shape) == 3 else (None, None)
    # A real side that is cropped in another way than the training data would measure the crop.
    how = {name: stored[name] for name in ("fit", "on_damaged", "levels") if name in stored}
    how |= {name: value for name, value in asdict(given).items() if value != getattr(Reading(), name)}
    if how.get("levels") is not None:
        how["levels"] = tuple(how["levels"])  # a list in JSON
    return Reading(size=size, channels=channels, **how)


def training_data(directory: RunDirectory, *, path: str | None = None, accept: bool = False) -> ReadData:
    """The data of the run in ``directory``, wherever they lie by now.

    Args:
        path: Where to look, and nowhere else.
        accept: Take other data than those the run was trained on, where there are no others.
    Raises:
        FileNotFoundError: There is no run, or nothing at ``path``, or where the run knows of.
        ValueError: The data are not those of the run, or their source is not registered.
    """
    return _read_again(KnownData.of_weights(directory), "data", path, accept, lambda source: source.load())


def held_out_data(
    directory: RunDirectory, like: Dataset, *, path: str | None = None, accept: bool = False
) -> ReadData | None:
    """The held-out data of a run, read like the data ``like``; None where it has none. See `training_data`."""
    known = KnownData.of_weights(directory)
    if known.stored("held_out") is None:
        return None
    return _read_again(known, "held_out", path, accept, lambda source: load_like(source, like))


def _read_again(
    known: KnownData, key: SourceField, path: str | None, accept: bool, read: Callable[[Source], Dataset]
) -> ReadData:
    directory = known.directory
    source: Source = decode(known.stored(key), {type(one) for one in DATASETS.values()})
    others: list[ReadData] = []
    errors: list[Exception] = []
    for at in _sources(source, known.places_of(SOURCE_FIELDS[key]), path, directory, key):
        try:
            dataset = read(at)
        except (ValueError, OSError) as error:  # something else lies where the data may have been moved to
            errors.append(error)
            continue
        changes = known.changes(key, dataset)
        # The first place that holds exactly the data of the run; any other is remembered for the message.
        if not changes:
            return ReadData(dataset, [])
        others.append(ReadData(dataset, changes))
    # Nothing could be read at all: the error of the most likely place says why.
    if not others:
        raise errors[0]
    if not accept:
        raise ValueError(refusal(directory, key, others[0].changes, HOW_TO_MEASURE))
    return others[0]


def followed_features(directory: RunDirectory) -> ExtractorConfig | None:
    """The network that suited the run in ``directory`` as it began; None for pixels, whose size follows the samples."""
    suited = KnownData.of_weights(directory).suited_extractor()
    # A size of pixels was chosen for the number of samples during training, and more may be drawn now.
    return None if isinstance(suited, Pixels | Points) else suited


def own_extractor(directory: RunDirectory) -> ExtractorConfig | None:
    """The extractor that the run in ``directory`` names, its weights found again; None where it names none.

    Raises:
        ValueError: It is not registered, or its file holds other weights than when the run began.
    """
    known = KnownData.of_weights(directory)
    encoded = (known.content or {}).get("experiment", {}).get("records", {}).get("extractor")
    extractor = decode(encoded, {type(one) for one in EXTRACTORS.values()})
    found = {name: str(places[0]) for name, places in known.places_of(EXTRACTOR).items() if places}
    extractor = with_places(extractor, found)
    known.check_extractor(extractor, "bring them back, or name an extractor (--extractor)")
    return extractor


def _sources(
    source: Source, known: Mapping[str, list[Path]], path: str | None, directory: RunDirectory, key: SourceField
) -> Iterator[Source]:
    """``source`` at the places where it may lie, the most likely first."""
    named = places(source)
    option = {"data": "--data.path", "held_out": "--held-out.path"}[key]
    if path is not None:
        if len(named) != 1:
            raise ValueError(f"{option} must be left out: the {SOURCE_WORDS[key]} of {directory.path} are no files.")
        yield with_places(source, dict.fromkeys(named, path))
        return
    if lacking := [place for name, place in named.items() if name in known and not known[name]]:
        raise FileNotFoundError(
            f"the {SOURCE_WORDS[key]} of {directory.path} are not where they were, {shown(lacking[0])}, nor beside the "
            f"run; name their place ({option} PATH)."
        )
    # Place by place, the most likely first; a part with fewer candidates stays at its last one.
    for index in range(max((len(found) for found in known.values()), default=1)):
        yield with_places(source, {name: str(found[min(index, len(found) - 1)]) for name, found in known.items()})
