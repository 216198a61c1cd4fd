"""Sets of Hugging Face's `datasets`: on this machine, row by row and without a network; or as a stream, in order."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganneal.data.decode.images import Damaged, shown
from ganneal.data.finding import find_data
from ganneal.registry import lookup, optional_module
from ganneal.storage.atomic import replaced_folder

ON_THE_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
LONGEST_KIND = 80


@dataclass(frozen=True)
class HubSplit:
    """Which split of which data set."""

    name: str
    """A folder, or a name on the hub as ``ylecun/mnist``."""
    config: str | None
    split: str
    revision: str | None
    """Branch, tag or commit on the hub."""

    def __str__(self) -> str:
        config = "" if self.config is None else f" of configuration {self.config!r}"
        return f"split {self.split!r}{config} of {shown(self.name)}"

    @property
    def folder(self) -> Path | None:
        """The folder of the set; None for a name on the hub.

        Raises:
            FileNotFoundError: It is neither.
        """
        try:
            return find_data(self.name)
        except FileNotFoundError:
            if ON_THE_HUB.fullmatch(self.name):
                return None
            raise


def import_datasets() -> Any:
    """The module ``datasets``."""
    return optional_module("datasets", "a data set of Hugging Face", "hub")


def is_saved(folder: Path) -> bool:
    """True if ``save_to_disk`` wrote ``folder``: one set, or several splits."""
    one = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    # A single set has a state, several splits have one file that lists them.
    return one or (folder / "dataset_dict.json").is_file()


def load_split(part: HubSplit) -> Any:
    """The rows of ``part``, from this machine alone: a folder, or Hugging Face's own cache.

    Raises:
        FileNotFoundError: It is not on this machine; the message says how it comes there.
        ValueError: It is damaged, or has no such split or configuration.
    """
    datasets, folder = import_datasets(), part.folder
    with _offline(datasets), _in_words(part):
        if folder is not None and is_saved(folder):
            found = datasets.load_from_disk(str(folder), keep_in_memory=False)
            if not isinstance(found, datasets.DatasetDict):
                return found
            return found[lookup(f"split of {shown(str(folder))}", {split: split for split in found}, part.split)]
        try:
            found = datasets.load_dataset(str(folder or part.name), part.config, split=part.split, keep_in_memory=False)
        except OSError as error:
            if folder is not None:
                raise
            raise FileNotFoundError(
                f"no folder {part.name}, and no data set of that name in Hugging Face's cache on this machine. "
                f"Download it with `ganneal data fetch {part.name}`, or read it once over the network with "
                "--data.streaming."
            ) from error
    if folder is None and part.revision is not None:
        _check_revision(part, found)
    return found


def _check_revision(part: HubSplit, found: Any) -> None:
    """The cache gives the newest commit that it has, whatever was asked for."""
    # The library's cache keeps each commit in a folder of its name.
    commits = {Path(file["filename"]).parent.name for file in found.cache_files}
    if commits != {part.revision}:
        raise ValueError(
            f"revision must be the commit that is on this machine, {', '.join(sorted(commits))}, got "
            f"{part.revision!r}; or fetch that one: ganneal data fetch {part.name} --revision {part.revision}."
        )


def streamed(part: HubSplit) -> Any:
    """The rows of ``part`` in order, to be read once; over the network where it is a name on the hub.

    Raises:
        OSError: The hub cannot be reached, or has no such set.
        ValueError: It has no such split or configuration.
    """
    datasets, folder = import_datasets(), part.folder
    if folder is not None and is_saved(folder):
        return load_split(part).to_iterable_dataset()
    with _in_words(part):
        if folder is not None:
            return datasets.load_dataset(str(folder), part.config, split=part.split, streaming=True)
        return datasets.load_dataset(part.name, part.config, split=part.split, revision=part.revision, streaming=True)


def download(name: str, config: str | None, revision: str | None, out: Path) -> dict[str, int]:
    """Download every split of a set of the hub and write it to the folder ``out``, as ``save_to_disk`` does.

    Returns:
        The number of rows of each split.
    Raises:
        OSError: The hub cannot be reached, or has no such set; ``out`` is as it was.
        ValueError: ``out`` is not empty, or there is no such configuration.
    """
    datasets = import_datasets()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out must be a new folder, and {shown(str(out))} is there already; give --out another.")
    with _in_words(HubSplit(name, config, "all", revision)):
        found = datasets.load_dataset(name, config, revision=revision)
        # A download that breaks off leaves no half set under the name.
        with replaced_folder(out) as folder:
            found.save_to_disk(str(folder))
    return {split: len(rows) for split, rows in found.items()}


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """Within the block `datasets` asks nobody, shows no bars and writes no remarks."""
    logging, verbosity, config = datasets.logging, datasets.logging.get_verbosity(), datasets.config
    before, bars = config.HF_HUB_OFFLINE, datasets.are_progress_bars_disabled()
    # The library would ask the hub for a newer version at every load, and fail or hang without a network.
    config.HF_HUB_OFFLINE = True
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before
        logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()


@contextmanager
def _in_words(part: HubSplit) -> Iterator[None]:
    """Reword errors of `datasets` as one line that names ``part``."""
    try:
        yield
    # Its message says what is missing and how it comes here; more words would hide that.
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OSError(f"{part} cannot be reached: {_line(error)}") from error
    except Exception as error:  # damaged files make pyarrow raise almost any type
        raise ValueError(f"{part} cannot be opened: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def image_column(features: Mapping[str, Any], given: str | None, part: HubSplit) -> str:
    """The column of images: the ``given`` one, or the only one.

    Raises:
        ValueError: It is not there, holds something else, or several do.
    """
    images = [name for name, kind in features.items() if _is_encoded(kind)]
    kinds = ", ".join(f"{name} ({_shown_kind(kind)})" for name, kind in features.items())
    if given is None:
        if len(images) == 1:
            return images[0]
        found = f"several do: {', '.join(images)}" if images else f"none does among {kinds}"
        raise ValueError(f"image_column must name the column of {part} that holds images; {found}.")
    lookup(f"image_column of {part}", features, given)
    if given not in images:
        raise ValueError(
            f"image_column must hold images or their encoded bytes, got {given!r} ({_shown_kind(features[given])}) of "
            f"{part}; name another, or make images of it with cast_column({given!r}, datasets.Image())."
        )
    return given


def label_column(features: Mapping[str, Any], given: str | None, part: HubSplit) -> tuple[str | None, str]:
    """The column of labels: the ``given`` one, the only one of class labels, or ``label`` of numbers or words.

    Returns:
        The column, or None and why several are none.
    Raises:
        ValueError: The ``given`` one is not there, or holds something else.
    """
    suited = [name for name, kind in features.items() if _is_label(kind)]
    if given is not None:
        lookup(f"label_column of {part}", features, given)
        if given not in suited:
            raise ValueError(
                f"label_column must hold class labels, whole numbers or words, got {given!r} "
                f"({_shown_kind(features[given])}) of {part}; class_encode_column({given!r}) makes class labels of it."
            )
        return given, ""
    # ClassLabel alone, of the library's kinds, has names.
    classes = [name for name in suited if hasattr(features[name], "names")]
    # None of several is taken by guess: sets with coarse and fine labels have both.
    if len(classes) > 1:
        several = f"label_column must name one of {', '.join(classes)}, the class labels of {part}"
        return None, f"{several}, as --data.label-column {classes[0]}"
    if not classes and "label" in features and "label" not in suited:
        return None, f"column 'label' of {part} holds {_shown_kind(features['label'])}, no number or word for each row"
    return classes[0] if classes else "label" if "label" in suited else None, ""


def _is_encoded(kind: Any) -> bool:
    if isinstance(kind, dict):  # a struct
        return "bytes" in kind and _dtype(kind["bytes"]) in ("binary", "large_binary")
    return isinstance(kind, import_datasets().Image) or _dtype(kind) in ("binary", "large_binary")


def _is_label(kind: Any) -> bool:
    return hasattr(kind, "names") or re.fullmatch(r"u?int\d+|bool|(large_)?string", _dtype(kind)) is not None


def _dtype(kind: Any) -> str:
    return str(getattr(kind, "dtype", ""))


def _shown_kind(kind: Any) -> str:
    text = str(kind)
    return text if len(text) <= LONGEST_KIND else f"{text[:LONGEST_KIND]}..."


def content(value: Any) -> bytes:
    """The encoded image of a row: bytes, or a struct with them or with the path of a file of this machine.

    Raises:
        Damaged: There is none.
    """
    if isinstance(value, dict):
        # The library keeps the path of a local file where it has not taken in its bytes.
        inside, path = value.get("bytes"), value.get("path")
        value = Path(path).read_bytes() if inside is None and path else inside
    if value is None:
        raise Damaged("there are no bytes in that row")
    return value
