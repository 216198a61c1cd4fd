"""Reader of run directories for a page. It never writes, and it tolerates missing files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganneal.clocks import CLOCKS
from ganneal.stop import Row
from ganneal.storage.json_files import read_json, read_lines

STUDY = "study.json"
"""The file that makes a folder a comparison."""
LOGGED = frozenset(CLOCKS) | frozenset(
    "round d_lr g_lr d_loss g_loss d_real d_fake d_penalty g_penalty g_step g_step_per_d_update "
    "d_grad_norm g_grad_norm evaluating_seconds evaluation_cost rollbacks compared duplicates_expected stopped".split()
)
"""Keys of a log row that training writes; any other number in a row is an evaluation, but for those of a level."""
DISTANCE = re.compile(r"(FD|KD|FID|KID)\b")
"""Evaluations of which less is better."""
FRAME = re.compile(r"\d+")


@dataclass(frozen=True)
class RunRecord:
    """One run as its directory tells it."""

    path: Path
    experiment: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    command: str | None = None
    rows: list[Row] = field(default_factory=list)
    health: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    """Outcome of the run, where a comparison wrote it down."""
    frames: list[tuple[int, Path]] = field(default_factory=list)
    """Pictures of samples with the real images seen, in order."""
    real: Path | None = None
    rows_of_classes: tuple[int, ...] = ()
    """The class of each row of the pictures, where they have one each."""

    @property
    def class_rows(self) -> list[str]:
        """Their names, numbers where the data has none."""
        names = self.data.get("classes") or ()
        # A set may name fewer classes than it has.
        return [str(names[c]) if c < len(names) else str(c) for c in self.rows_of_classes]

    @property
    def name(self) -> str:
        return str(self.experiment.get("name", self.path.name))

    @property
    def sampler(self) -> str:
        """Source of the evaluated samples."""
        # From the end: what the last evaluation was drawn from.
        return next((str(row["sampler"]) for row in reversed(self.rows) if "sampler" in row), "generator")

    @property
    def is_images(self) -> bool:
        """True if samples are images rather than points."""
        return len(self.data.get("shape", ())) == 3

    @property
    def unit(self) -> str:
        """Unit of the clock ``num_real``."""
        return "real images" if self.is_images else "real points"

    @property
    def last(self) -> Row:
        """The clocks as last recorded; empty for a run without records."""
        return self.rows[-1] if self.rows else {}

    def series(self, key: str, clock: str = "num_real") -> tuple[np.ndarray, np.ndarray]:
        """The finite values of ``key`` and the clock at each, in the record's order."""
        # Evaluations stand in some rows only: each value with the clock of its own row.
        pairs = [(row[clock], row[key]) for row in self.rows if is_finite(row.get(key)) and is_finite(row.get(clock))]
        # The shape holds without a single row too.
        x, y = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return x, y

    def evaluation_names(self) -> list[str]:
        """The evaluations in the rows, distances first, those between learned features before those between pixels."""
        names = dict.fromkeys(
            key for row in self.rows for key in row if key not in LOGGED and "/" not in key and is_finite(row[key])
        )
        # The sort is stable: within a group the order of the log stays.
        return sorted(names, key=lambda name: (not DISTANCE.match(name), "pixels" in name))

    @property
    def distance(self) -> str | None:
        """The distance this run is judged by, or None where none was measured."""
        # All runs of a comparison are judged by one name; alone a run has its own.
        chosen = (self.outcome or {}).get("metric")
        if chosen and len(self.series(chosen)[0]):
            return chosen
        return next((name for name in self.evaluation_names() if DISTANCE.match(name)), None)

    def on_clock(self, num_real: float, clock: str) -> float:
        """Value of ``clock`` after ``num_real`` images, linear between rows."""
        x, y = self.series(clock)
        # Without that clock in the record, real images keep the frames in order.
        return float(np.interp(num_real, x, y)) if len(x) else float(num_real)


def is_finite(value: Any) -> bool:
    """True if a value of a log row is a finite number."""
    # To Python a truth value is an integer; to a chart it is none.
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def read_run(path: str | Path, *, needs_samples: bool = True) -> RunRecord:
    """The run at ``path``.

    Args:
        needs_samples: Refuse a run that has not drawn a sample yet.
    Raises:
        FileNotFoundError: There is no run, or one without samples.
        ValueError: A file is damaged.
    """
    path = Path(path)
    description = path / "experiment.json"
    if not description.exists():
        raise FileNotFoundError(f"no run at {path}: no experiment.json; give a directory that `ganneal train` wrote.")
    content = read_json(description)
    pictures = sorted((path / "samples").glob("*.png"))
    # Grids are named by the real images seen; real.png lies beside them.
    frames = sorted((int(file.stem), file) for file in pictures if FRAME.fullmatch(file.stem))
    if needs_samples and not frames:
        raise FileNotFoundError(
            f"a run without samples: {path / 'samples'} holds no pictures; train it first, or bring that folder along."
        )
    outcome, real = path / "outcome.json", path / "samples" / "real.png"
    return RunRecord(
        path=path,
        experiment=content.get("experiment", {}),
        data=content.get("data", {}),
        provenance=content.get("provenance", {}),
        command=content.get("command"),
        rows=read_lines(path / "metrics.jsonl"),
        health=read_lines(path / "health.jsonl"),
        evaluations=read_lines(path / "evaluation.jsonl"),
        outcome=read_json(outcome) if outcome.exists() else None,
        frames=frames,
        real=real if real.exists() else None,
        rows_of_classes=tuple(content.get("class_rows", ())),
    )


def flatten(value: Any, path: str = "") -> Mapping[str, Any]:
    """The leaves of an encoded configuration by dotted path.

    >>> flatten({"scheme": {"levels": 5, "values": [1, 2]}})
    {'scheme.levels': 5, 'scheme.values': '1, 2'}
    """
    if isinstance(value, dict):
        leaves: dict[str, Any] = {}
        for key, inner in value.items():
            leaves |= flatten(inner, f"{path}.{key}" if path else str(key))
        return leaves
    # Plain values in a row read as one leaf; a list of parts goes on part by part.
    if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        return {path: ", ".join(map(str, value)) or "none"}
    if isinstance(value, list):
        return flatten({str(index): item for index, item in enumerate(value)}, path)
    return {path: value}
