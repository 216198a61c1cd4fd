"""A run on disk: its configuration, its records and its checkpoints. It never imports the engine.

experiment.json            what is trained, versions, hardware
metrics.jsonl              one log row a line, the record
health.jsonl               verdicts, one a line, each with its figure
tensorboard/               the same, and the grids, for TensorBoard
wandb/  wandb.json         the same for W&B where it is asked for, and the id of its run
samples/000050000.png      grids from fixed latents, named by real images seen
checkpoints/               the last two training states
best/                      weights and a card of the best evaluation (`weights_on_disk`)
final/                     the same of the end
snapshots/000050000/       the same on the way, where they are asked for, named by real images seen
"""

import fcntl
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganneal import __version__
from ganneal.storage.atomic import check_named, sync, write_bytes
from ganneal.storage.json_files import CARD, append_line, read_json, read_record

CHECKPOINT_FORMAT = 4
OWN_FOLDERS = ("samples", "checkpoints", "tensorboard", "wandb", "best", "final", "snapshots")
"""Folders that a run writes, and in part replaces."""
KEPT_CHECKPOINTS = 2
LOCK_ATTEMPTS = 1_000
CHECKPOINT_NAME = re.compile(r"(\d{12})-([0-9a-f]{16})\.pt")


@cache
def _commit() -> str | None:
    """The last commit of this package's files, where it runs from a git checkout."""
    try:
        # Only commits that touched these files: a change of the tests trains to the same weights.
        command = ["git", "-C", str(Path(__file__).parents[1]), "log", "-1", "--format=%H", "--", "."]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    """The processor's name; of its kind where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def provenance() -> dict[str, Any]:
    """Versions and hardware, for `experiment.json` and cards."""
    return {
        "ganneal": __version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "safetensors": version("safetensors"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        # Another number of threads adds in another order and gives other bits.
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


Changes = Callable[[dict[str, Any]], list[str]]
"""A stored identity to what differs from the one wanted, a line each."""


class DirectoryInUse(ValueError):
    """Another process trains in the directory."""


class RunDirectory:
    """The files of one run below ``path``."""

    def __init__(self, path: str | Path):
        check_named(path)
        self.path = Path(path)
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.snapshots = self.path / "snapshots"
        self.metrics = self.path / "metrics.jsonl"
        self.health = self.path / "health.jsonl"
        self.description = self.path / "experiment.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against a second training process; released when this one ends, however it ends."""
        made = [folder for folder in self.path.parents if not folder.exists()]
        descriptor = self._take_lock()
        try:
            for folder in (self.path, self.checkpoints, self.samples):
                for leftover in folder.glob(".*.tmp"):  # of a process that was killed while writing
                    if leftover.is_file():
                        leftover.unlink()
            yield
        finally:
            with suppress(OSError):  # somebody else may be about to begin here
                if [file.name for file in self.path.iterdir()] == [".lock"]:  # nothing was begun: leave no trace
                    (self.path / ".lock").unlink()
                    self.path.rmdir()
                    for folder in made:  # innermost first; one in which somebody else began is not empty and stays
                        folder.rmdir()
            os.close(descriptor)

    def _take_lock(self) -> int:
        """The descriptor of the lock file, held: of the file that is there now, not of one just removed."""
        file = self.path / ".lock"
        for _ in range(LOCK_ATTEMPTS):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
            except (FileNotFoundError, FileExistsError):  # its last holder is just leaving no trace
                continue
            try:
                # The system releases it however the process ends; a file with a process number would outlive a kill.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Between opening and locking, the last holder may have removed the file: a lock on a file that is gone
                # locks nobody out.
                if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise DirectoryInUse(
                    f"another process is training in {self.path}; wait for it, or train into another directory."
                ) from None
            except FileNotFoundError:
                pass
            os.close(descriptor)
        raise ValueError(f"out must be a directory for the run, got the file {self.path}; name another.")

    def describe(self, content: Mapping[str, Any]) -> None:
        """Write `experiment.json`: what is trained on which data, with versions and hardware."""
        write_bytes(self.description, json.dumps({**content, "provenance": provenance()}, indent=2).encode())

    def automatic_choices(self) -> dict[str, Any] | None:
        """The automatic choices stored when the run began; None where there are none, or no run."""
        return read_json(self.description).get("chosen") or None if self.description.exists() else None

    def weights(self, checkpoint: str) -> Path:
        """The folder of the weights called ``checkpoint``: final/, best/ or a snapshot, which must be there.

        Raises:
            ValueError: It is neither last nor best, and no snapshot is kept of so many real images.
        """
        if checkpoint in ("last", "best"):
            return self.path / ("final" if checkpoint == "last" else "best")
        kept = self.list_snapshots()
        if checkpoint.isascii() and checkpoint.isdigit() and int(checkpoint) in kept:
            return kept[int(checkpoint)]
        others = f"last, best, or the number of real images of a snapshot: {', '.join(map(str, kept))}"
        none = "last or best: the run keeps no snapshots (--records.keep-every N of `ganneal train`)"
        raise ValueError(f"checkpoint must be {others if kept else none}; got {checkpoint!r} for {self.path}.")

    def list_snapshots(self) -> dict[int, Path]:
        """The folders of kept weights by the number of real images seen, in that order."""
        folders = self.snapshots.glob(f"*/{CARD}") if self.snapshots.exists() else ()
        numbered = ((int(card.parent.name), card.parent) for card in folders if card.parent.name.isdecimal())
        return dict(sorted(numbered))

    def append(self, row: dict[str, Any]) -> None:
        """Add one row to the record."""
        append_line(self.metrics, row)

    def append_verdict(self, verdict: dict[str, Any]) -> None:
        """Add one verdict on the run's health."""
        append_line(self.health, verdict)

    def rows(self) -> list[dict[str, Any]]:
        """The record so far; a last line that was cut off is left out."""
        return read_record(self.metrics)

    def truncate_metrics(self, size: int) -> None:
        """Drop the rows written after a checkpoint that knew ``size`` bytes, and the verdicts on them.

        Warns where rows that it knew are missing. A last line that was cut off goes, lest the next row continue it.
        """
        content = self.metrics.read_bytes() if self.metrics.exists() else b""
        # The last whole line within what the checkpoint knew: a row that was half written does not count.
        whole = content.rfind(b"\n", 0, size) + 1
        if whole < size:
            warnings.warn(
                f"{self.metrics} has lost its last rows: {size:,} bytes were written, {whole:,} of them are left. "
                f"The run goes on without those rows.",
                stacklevel=2,
            )
        if whole < len(content):
            os.truncate(self.metrics, whole)
        if not self.health.exists():
            return
        # A verdict has the clock of its row, so a row that went takes its verdicts along.
        places = {(row["num_real"], row["seconds"]) for row in self.rows()}
        kept = [v for v in read_record(self.health) if (v["num_real"], v["seconds"]) in places]
        content = "".join(json.dumps(verdict) + "\n" for verdict in kept).encode()
        if content != self.health.read_bytes():
            write_bytes(self.health, content)

    def save_checkpoint(
        self, state: dict[str, Any], identity: Mapping[str, Any], best_state: dict[str, Any] | None = None
    ) -> Path:
        """Write a training state beside the last one, then drop those before. The name holds the content's hash.

        Args:
            identity: What is trained, for `load_checkpoint` to compare.
            best_state: The state that a rollback would go back to.
        Raises:
            OSError: It could not be written; earlier checkpoints are untouched.
        """
        steps = int(state["counters"]["d_updates"] + state["counters"]["g_updates"])
        # In bytes, not rows: a resumed run cuts the record there, whatever was written after it.
        size = self.metrics.stat().st_size if self.metrics.exists() else 0
        content = {
            "format": CHECKPOINT_FORMAT,
            "identity": json.dumps(identity),
            "metrics_bytes": size,
            "state": state,
            "best_state": best_state,
        }
        buffer = io.BytesIO()
        # In memory first, for the hash that goes into the name, and so that a full disk is noticed before the old
        # checkpoint is touched.
        torch.save(content, buffer)
        data = buffer.getvalue()
        path = self.checkpoints / f"{steps:012d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
        try:
            for record in (self.metrics, self.health):  # first: the state counts on their rows
                if record.exists():
                    sync(record)
            write_bytes(path, data)
        except OSError as error:
            kept = self.list_checkpoints()
            raise OSError(
                error.errno,
                f"cannot save a checkpoint ({error.strerror}); the last, {kept[0] if kept else 'none'}, is untouched. "
                f"Free {len(data) / 1e6:.0f} MB, and the same command goes on from it",
                str(path),
            ) from error
        # Two are kept: should the newest be damaged, the run goes on from the one before.
        for old in self.list_checkpoints()[KEPT_CHECKPOINTS:]:
            old.unlink()
        return path

    def list_checkpoints(self) -> list[Path]:
        """Checkpoint files, newest first."""
        names = self.checkpoints.glob("*.pt") if self.checkpoints.exists() else ()
        # Names begin with the count of updates in twelve digits, so the order of text is that of time.
        return sorted((path for path in names if CHECKPOINT_NAME.fullmatch(path.name)), reverse=True)

    def newer_state(self) -> dict[str, Any] | None:
        """The training state of the newest checkpoint; None where final/ is as new, or there is no checkpoint."""
        found, card = self.list_checkpoints(), self.path / "final" / CARD
        if not found or not self.description.exists():
            return None
        if card.exists():
            # A run that went on after it had ended has checkpoints that are newer than final/.
            counters = read_json(card).get("counters", {})
            if int(found[0].name[:12]) <= counters.get("d_updates", 0) + counters.get("g_updates", 0):
                return None
        content = self.load_checkpoint()
        return None if content is None else content["state"]

    def load_checkpoint(self, changes: Changes | None = None) -> dict[str, Any] | None:
        """The newest checkpoint that is whole and, where ``changes`` is given, of the identity without any.

        Warns about each newer one that is passed over.

        Args:
            changes: The stored identity to what differs from the one wanted, a line each.
        Returns:
            Its content, or None when there is no checkpoint at all.
        Raises:
            ValueError: There are checkpoints, but none can be used.
        """
        candidates = self.list_checkpoints()
        for path in candidates:
            try:
                return read_checkpoint(path, changes)
            except ValueError as error:
                warnings.warn(f"passing over the checkpoint {path}: {error}", stacklevel=2)
        if candidates:
            raise ValueError(f"no usable checkpoint in {self.checkpoints}; move the folder away to start again.")
        return None


def read_checkpoint(path: Path, changes: Changes | None = None) -> dict[str, Any]:
    """The content of a checkpoint file.

    Raises:
        ValueError: It is damaged, or its identity has ``changes``.
    """
    data = path.read_bytes()
    named = CHECKPOINT_NAME.fullmatch(path.name)
    # Before torch reads it: a file with a changed number in it would load as well as any.
    if named is None or hashlib.sha256(data).hexdigest()[:16] != named[2]:
        raise ValueError(f"its {len(data)} bytes are not the ones that were written (truncated, or changed since)")
    try:
        # weights_only: tensors and plain types, so that a checkpoint from somebody else can run no code.
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a file that is no checkpoint
        raise ValueError(f"not a training state: {error}") from error
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        raise ValueError(f"not a training state of format {CHECKPOINT_FORMAT}")
    parts = {"state": dict, "metrics_bytes": int, "identity": str}
    if missing := [key for key, kind in parts.items() if not isinstance(content.get(key), kind)]:
        raise ValueError(f"not a training state: it has no {missing[0]}")
    if changes is not None and (found := changes(json.loads(content["identity"]))):
        raise ValueError(f"from another experiment ({'; '.join(found[:3])})")
    return content
