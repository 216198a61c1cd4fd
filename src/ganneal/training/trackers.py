"""Programs that show a run while it trains: TensorBoard where installed, and Weights & Biases where it is asked for.

`metrics.jsonl` and `samples/` are the record. A tracker that fails is told of once and left out from then on: it
neither ends a training nor changes one.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ganneal.experiment import Records
from ganneal.registry import optional_module
from ganneal.stop import Row
from ganneal.storage.atomic import write_bytes
from ganneal.storage.json_files import read_json

WANDB_ID = "wandb.json"
"""File in the run directory with the id of its W&B run, by which a resumed run continues it."""


def check_installed(records: Records) -> None:
    """Refuse a tracker that is asked for and not installed.

    Raises:
        ValueError: W&B is not; the message says how to install it.
    """
    if records.wandb is not None:
        optional_module("wandb", "records.wandb", "wandb", ", or leave --records.wandb out")


class Tracker(Protocol):
    """Shows log rows and pictures, both placed by real images seen."""

    def row(self, row: Row) -> None:
        """Show the numbers of a log row."""
        ...

    def picture(self, name: str, picture: Image.Image, num_real: int) -> None:
        """Show a picture."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


def numbers(row: Mapping[str, Any]) -> dict[str, int | float]:
    """The entries of a log row that are numbers."""
    return {key: value for key, value in row.items() if isinstance(value, int | float)}


class TensorBoard:
    """Event files in ``folder``; those of a stopped run are continued after ``num_real`` real images."""

    def __init__(self, folder: Path, num_real: int):
        from torch.utils.tensorboard import SummaryWriter

        # What a stopped run wrote after its checkpoint is about to be written again: TensorBoard drops the old part.
        self._writer = SummaryWriter(str(folder), purge_step=num_real + 1)

    def row(self, row: Row) -> None:
        for key, value in numbers(row).items():
            self._writer.add_scalar(key, value, row["num_real"])

    def picture(self, name: str, picture: Image.Image, num_real: int) -> None:
        self._writer.add_image(name, np.asarray(picture.convert("RGB")), num_real, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of the W&B project ``project``; the same one for every process that trains in ``directory``.

    Rows that a resumed run logs again are passed over by W&B, whose steps are real images and only rise.
    """

    def __init__(self, project: str, directory: Path, config: Mapping[str, Any]):
        wandb = import_module("wandb")
        self._image = wandb.Image
        self._run = wandb.init(
            project=project,
            id=_run_id(directory / WANDB_ID, project),
            resume="allow",
            name=directory.resolve().name,
            dir=str(directory),
            config=dict(config),
            # W&B would put itself between the program and its standard streams.
            settings=wandb.Settings(console="off"),
        )

    def row(self, row: Row) -> None:
        # By real images and not by rows: runs with other batch sizes or logging intervals lie on one axis.
        self._run.log(numbers(row), step=int(row["num_real"]))

    def picture(self, name: str, picture: Image.Image, num_real: int) -> None:
        self._run.log({name: self._image(picture)}, step=num_real)

    def close(self) -> None:
        self._run.finish()


def _run_id(file: Path, project: str) -> str:
    """The id of the directory's run in ``project``, made and kept where there is none."""
    kept = read_json(file) if file.exists() else {}
    # An id belongs to a project: in another one the run is a new run.
    if kept.get("project") != project or not isinstance(kept.get("id"), str):
        kept = {"project": project, "id": secrets.token_hex(8)}
        write_bytes(file, json.dumps(kept).encode())
    return kept["id"]


class Trackers:
    """The trackers that the ``records`` of the run in ``directory`` ask for; ``say`` shows a line to a person."""

    def __init__(self, records: Records, directory: Path, say: Callable[[str], None]):
        self._records, self._directory, self._say = records, directory, say
        self._tracking: dict[str, Tracker] = {}

    def begin(self, num_real: int, config: Mapping[str, Any]) -> None:
        """Start them for a run of the experiment ``config`` that begins, or goes on, at ``num_real`` real images."""
        if self._records.tensorboard and find_spec("tensorboard"):
            with self._guarded("TensorBoard"):
                self._tracking["TensorBoard"] = TensorBoard(self._directory / "tensorboard", num_real)
        if self._records.wandb is not None:
            with self._guarded("W&B"):
                self._tracking["W&B"] = WeightsAndBiases(self._records.wandb, self._directory, config)

    def row(self, row: Row) -> None:
        """Show a log row everywhere."""
        self._everywhere(lambda tracker: tracker.row(row))

    def picture(self, name: str, picture: Image.Image, num_real: int) -> None:
        """Show a picture everywhere."""
        self._everywhere(lambda tracker: tracker.picture(name, picture, num_real))

    def _everywhere(self, show: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._tracking.items()):  # a list, as a tracker that fails leaves the dictionary
            with self._guarded(name):
                show(tracker)

    def close(self) -> None:
        """Have everything written; nothing is shown after it."""
        while self._tracking:
            name, tracker = self._tracking.popitem()
            with self._guarded(name):
                tracker.close()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Whatever goes wrong in the block with the tracker ``name`` ends that tracker, not the training."""
        try:
            yield
        except Exception as error:  # programs of others fail in their own ways
            self._tracking.pop(name, None)
            self._say(
                f"warning: {name} shows nothing from here on ({type(error).__name__}: {error}). The training goes on; "
                f"metrics.jsonl and samples/ have everything."
            )
