"""The data of a run: written down when it begins, compared when it goes on, kept apart from its own files."""

import json
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganneal.data import Dataset, Source
from ganneal.data.classes import class_names_of, paired_in_order, populated
from ganneal.data.decode.images import shown
from ganneal.data.identity import Identity, data_changes, identify
from ganneal.data.places import candidates, file_hashes, found_at, places, recorded, with_places, without_places
from ganneal.experiment import Experiment
from ganneal.metrics.extractors import EXTRACTORS, ExtractorConfig
from ganneal.storage.encoding import decode, difference, encode
from ganneal.storage.json_files import CARD, read_description
from ganneal.storage.run_directory import OWN_FOLDERS, RunDirectory
from ganneal.wording import with_options

SourceField = Literal["data", "held_out"]
SOURCE_WORDS: dict[SourceField, str] = {"data": "data", "held_out": "held-out data"}
SOURCE_FIELDS: dict[SourceField, str] = {"data": "data", "held_out": "records.held_out"}
"""Fields of an experiment that name the sources."""
EXTRACTOR = "records.extractor"
ACCEPT = "--accept-changed-data"
HOW_TO_TRAIN = (
    f"Bring the data back, or train into another directory (--out). Or continue with {ACCEPT}, in Python "
    "accept_changed_data=True; the run records the change."
)
OTHER_DIRECTORY = "bring them back, or train into another directory (--out)"


class Compared(NamedTuple):
    """A set of data beside what the run began with."""

    identity: Identity
    changes: list[str]
    """In words, how it differs from what the run knew; empty where it does not."""


class KnownData:
    """The data of a run by its `experiment.json`; empty where there is no run yet.

    Args:
        file: Another file that describes the run, as the card of weights.
        command: What a person typed to train, for advice.
    Raises:
        ValueError: The file is damaged.
    """

    def __init__(self, directory: RunDirectory, file: Path | None = None, command: str | None = None):
        self.directory, self.file, self.command = directory, file or directory.description, command
        self.content = read_description(self.file) if self.file.exists() else None

    @classmethod
    def of_weights(cls, directory: RunDirectory) -> "KnownData":
        """The data of a run that is measured, of which no more than final/ may be left.

        Raises:
            FileNotFoundError: There is no run.
        """
        card = directory.path / "final" / CARD
        # A folder with weights alone, as models are handed on, has a card that describes the run as well.
        if directory.description.exists() or not card.exists():
            card = directory.description
        if not card.exists():
            raise FileNotFoundError(f"no run at {directory.path}: no {card.name}; name another directory.")
        return cls(directory, card)

    def identity(self, key: SourceField) -> Identity | None:
        """Identity of a data set in the run; None where the run had none."""
        if self.content is None or (described := self.content.get(key)) is None:
            return None
        try:
            return Identity.of(described["identity"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.file} is damaged ({error}), so the run's data is unknown; restore it, or use another run "
                "directory."
            ) from error

    def changes(self, key: SourceField, dataset: Dataset) -> list[str]:
        """In words, how ``dataset`` differs from what the run had; by count and shape alone for weights that ship."""
        described, now = (self.content or {}).get(key) or {}, identify(dataset)
        # The cards of weights that ship have count and shape of the data and no hashes.
        if self.file.name == CARD and "identity" not in described and "count" in described:
            before, now = Identity(described["count"], tuple(described["shape"])), Identity(now.count, now.shape)
        else:
            before = self.identity(key)
        # held-out data that no evaluation has read yet are those that are there now
        return [] if before is None else data_changes(before, now)

    def compared(self, key: SourceField, source: Source, dataset: Dataset, *, accept: bool = False) -> Compared:
        """``dataset`` of ``source`` beside what the run knew; held-out data of another source are asked for.

        Raises:
            ValueError: The data changed, and that is not accepted; the message has both values.
        """
        now, before = identify(dataset), self.identity(key)
        # Held-out data decide no weight, so another source of them may be asked for at any time.
        if before is None or (key == "held_out" and not _same_part(self.stored(key), source)):
            return Compared(now, [])
        changes = data_changes(before, now)
        if changes and not accept:
            advice = f"{HOW_TO_TRAIN}{how_to_start_from(self.directory, self.command)}"
            raise ValueError(refusal(self.directory, key, changes, advice))
        return Compared(now, changes)

    def check_classes(self, dataset: Dataset) -> None:
        """Refuse other classes for players that know the run's by number, accepted changes or not.

        Raises:
            ValueError: ``dataset`` has other classes, or in another order; the message has the names.
        """
        names = class_names_of({} if self.content is None else self.content["data"])
        called = (f"the run {self.directory.path}", "the data")
        try:
            paired_in_order(names, populated(dataset).class_names, called=called)
        except ValueError as error:
            raise ValueError(f"{error}{how_to_start_from(self.directory, self.command)}") from error

    def check_extractor(self, extractor: ExtractorConfig | None, advice: str = OTHER_DIRECTORY) -> None:
        """Refuse an extractor that is called as before and has other weights: its values would continue a column.

        Args:
            advice: What to do about it.
        Raises:
            ValueError: A file has another hash than when the run began.
        """
        if self.content is None:
            return
        kept = self.content.get("places", {})
        if not _same_part(self.content["experiment"].get("records", {}).get("extractor"), extractor):
            return
        # By content: another file under the same name gives other features, and a column of the log would jump in the
        # middle.
        for name, sha256 in file_hashes(extractor).items():
            before = kept.get(f"{EXTRACTOR}.{name}", {}).get("sha256", sha256)
            if before != sha256:
                raise ValueError(
                    f"the weights of the extractor are not those that {self.directory.path} was measured with: SHA-256 "
                    f"{before[:12]} when it began, {sha256[:12]} now; {advice}."
                )

    def suited_extractor(self) -> ExtractorConfig | None:
        """The extractor of a run that names none; None where it names one, or has not begun."""
        # Part of the record and not of the experiment: it was chosen from what is installed on that machine.
        encoded = (self.content or {}).get("suited_extractor")
        return decode(encoded, {type(one) for one in EXTRACTORS.values()})

    def record(self, key: SourceField, compared: Compared | None, num_real: int) -> dict[str, Any] | None:
        """The new entry of `experiment.json` for a data set; the old one where ``compared`` is None.

        Args:
            num_real: Where in training a change was accepted.
        """
        before = (self.content or {}).get(key)
        if compared is None:
            return before
        accepted = list((before or {}).get("accepted_changes", ()))
        if compared.changes:
            # With the place on the clock: values before and after it are of other data.
            accepted.append({"num_real": num_real, "changes": compared.changes})
        return {"identity": compared.identity.as_dict(), "accepted_changes": accepted}

    def stored(self, key: SourceField) -> Any:
        """The encoded source of a set of data, None where there is none."""
        experiment = {} if self.content is None else self.content["experiment"]
        return experiment.get("data") if key == "data" else experiment.get("records", {}).get("held_out")

    def places_of(self, field: str) -> dict[str, list[Path]]:
        """Candidate places for each field of the part ``field`` of the experiment."""
        kept = (self.content or {}).get("places", {})
        return {
            name.removeprefix(f"{field}."): candidates(record, self.directory.path)
            for name, record in kept.items()
            if name.startswith(f"{field}.") and "absolute" in record  # a name of the hub is no place on this machine
        }


def how_to_start_from(directory: RunDirectory, command: str | None) -> str:
    """A line that says how to start another run from the weights of ``directory``; empty where there are none.

    Args:
        command: What a person typed to train; None where it was a call.
    """
    if not directory.list_checkpoints() and not (directory.path / "final" / CARD).exists():
        return ""
    path = str(directory.path)
    # The command is to work as it is printed, so it names a folder that is not there yet.
    free = next(name for number in count(2) if not Path(name := f"{path}-{number}").exists())
    if command is None:
        return f"\nTo start another run from its weights: init_from={path!r}, into another directory."
    return f"\nTo start from its weights instead: {with_options(command, {'--init-from': path, '--out': free})}"


def check_identity(directory: RunDirectory, experiment: Experiment, command: str | None = None) -> None:
    """Refuse to go on with another experiment than the directory's.

    Args:
        command: What a person typed to train, for advice.
    Raises:
        ValueError: An identity field differs, the message shows which; or nothing says what the checkpoints are.
    """
    if not directory.description.exists():
        # Weights without a description could be anybody's; to go on with them would be a guess.
        if directory.list_checkpoints():
            raise ValueError(
                f"{directory.path} has checkpoints and no {directory.description.name}, the description of the "
                "experiment and its data; restore it, or train into another directory (--out)."
            )
        return
    content = read_description(directory.description)
    changes = experiment.changes_from(content["experiment"])
    start, known = experiment.init_from, content.get("places", {}).get("init_from")
    if start is not None and known is not None and not _is_at(start, known, directory.path):
        # Weights of another start are another experiment, even where all settings agree.
        changes.append(f"init_from: {known.get('absolute', known['given'])} -> {Path(start).resolve()}")
    if changes:
        listed = "\n  ".join(changes)
        # Weights of another network cannot be a start for this one, so that way is offered only where they fit.
        same_model = content["experiment"].get("model", {}).get("type") == type(experiment.model).__name__
        raise ValueError(
            f"{directory.path} holds a run of another experiment:\n  {listed}\n"
            f"Train into another directory (--out), or go back to these settings to resume. "
            f"Budget, records, divergence, device, devices, nodes and threads may change."
            f"{how_to_start_from(directory, command) if same_model else ''}"
        )


def _is_at(place: str, known: Mapping[str, str], directory: Path) -> bool:
    """True if ``place`` is a recorded place of the run in ``directory``. It may have moved with the run."""
    if "relative" not in known:  # a name, as zoo:NAME
        return place == known["given"]
    # The absolute place, or the same way from the run: a run and its data are often moved together.
    here = Path(place).expanduser().resolve()
    return here in (Path(known.get("absolute", "")), Path(os.path.normpath(directory.resolve() / known["relative"])))


def _same_part(stored: Any, part: Any) -> bool:
    """True if an encoded part is ``part``, apart from its place."""
    if not isinstance(stored, dict) or stored.get("type") != type(part).__name__:
        return False
    before = without_places(stored, part)
    # Through JSON and back, as the stored side went: tuples have become lists there.
    return not difference(before, json.loads(json.dumps(without_places(encode(part), part))))


def refusal(directory: RunDirectory, key: SourceField, changes: list[str], advice: str) -> str:
    """Why a run is not taken up, or measured, with other data than it had."""
    listed = "\n  ".join(changes)
    return f"the {SOURCE_WORDS[key]} of {directory.path} are not those that the run began with:\n  {listed}\n{advice}"


def recorded_places(experiment: Experiment, directory: RunDirectory) -> dict[str, dict[str, str]]:
    """Places of an experiment's data and weights, for `experiment.json`."""
    hashes = {f"{EXTRACTOR}.{name}": sha256 for name, sha256 in file_hashes(experiment.records.extractor).items()}
    named = places(experiment) | ({} if experiment.init_from is None else {"init_from": experiment.init_from})
    # The hash with the place, as a file of weights may be replaced where it lies.
    found = {
        name: recorded(place, directory.path) | ({"sha256": hashes[name]} if name in hashes else {})
        for name, place in named.items()
    }
    before = read_description(directory.description).get("places", {}) if directory.description.exists() else {}
    if "absolute" not in found.get("init_from", {"absolute": ""}) and "init_from" in before:
        found["init_from"] = before["init_from"]  # the other run is not needed any more, and is still the one it was
    return found


def found_again(experiment: Experiment, directory: RunDirectory) -> Experiment:
    """``experiment`` with places that are not found from here where its run in ``directory`` knows them to be.

    Only a place that is written as the run wrote it is looked up there: another one is meant as it stands.
    """
    if not directory.description.exists():
        return experiment
    kept = read_description(directory.description).get("places", {})
    moved = {}
    for name, place in places(experiment).items():
        record = kept.get(name, {})
        # Only where the command names the same place as before and nothing is there: a place that is found is meant.
        if record.get("given") == place and found_at(place) is None:
            moved.update((name, str(there)) for there in candidates(record, directory.path)[:1])
    return with_places(experiment, moved)


def check_apart(experiment: Experiment, directory: RunDirectory) -> None:
    """Refuse a run directory among whose files the data lie, or that is itself a part of the data.

    A new directory below a folder of images is none: the images of runs are passed over there.

    Raises:
        ValueError: The run would write into its data, or over them.
    """
    # Without links, so that a link into the data is seen as the place it leads to.
    out = directory.path.resolve()
    for key, field in SOURCE_FIELDS.items():
        for name, place in places(experiment).items():
            if not name.startswith(f"{field}.") or (lies := found_at(place)) is None:
                continue
            # Data in samples/ or best/ of the run would be replaced by its own pictures and weights.
            if lies == out or any(lies.is_relative_to(out / own) for own in OWN_FOLDERS):
                raise ValueError(
                    f"out must not be where the {SOURCE_WORDS[key]} lie, got {shown(str(out))} for the run and "
                    f"{shown(str(lies))} for the {SOURCE_WORDS[key]}: the run writes its pictures and weights there. "
                    f"Name another directory (--out)."
                )
            # A new folder within the data is passed over as a run's from the start; one that holds images would vanish
            # from the data.
            if out.is_relative_to(lies) and not directory.description.exists() and _holds_files(out):
                raise ValueError(
                    f"out must be a new folder where it lies within the {SOURCE_WORDS[key]}, got {shown(str(out))}, "
                    f"which holds files already; name another directory (--out)."
                )


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())
