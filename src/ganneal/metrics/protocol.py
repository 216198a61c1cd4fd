"""The protocol of a metric, and the record of a measured value with its full protocol."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from ganneal.metrics.intervals import seed_interval
from ganneal.metrics.stored_moments import StoredMoments

OFFICIAL_INCEPTION = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of the weights without which no value is called FID, KID or IS."""
LAYER_OF_FID = "2048"  # pool3, behind the last average
FEWEST_FOR_FID = 10_000


class Evidence(NamedTuple):
    """One side of a comparison, as an extractor sees it; labels and logits where there are any."""

    features: Float[Tensor, "n d"]
    logits: Float[Tensor, "n k"] | None = None
    labels: Int64[Tensor, " n"] | None = None
    class_names: tuple[str, ...] = ()
    """The names of the classes 0, 1, ...; the same on both sides where there are any."""
    stored: StoredMoments | None = None
    """Moments of a real side that is a file of mean and covariance. It has no features then."""


class Value(NamedTuple):
    """One number of a metric. ``part`` tells several of one metric apart, as precision from recall."""

    part: str
    value: float
    standard_error: float | None = None
    better: Literal["lower", "higher"] = "lower"
    extra: Mapping[str, Any] = {}
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Metric(Protocol):
    """A frozen dataclass whose fields are the metric's parameters; registered in `measures.METRICS`."""

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> Sequence[Value]:
        """Measure; an empty sequence where the evidence holds nothing to measure (no logits, no labels).

        Raises:
            ValueError: There is something to measure, and it cannot be: too few samples, another dimension, NaN.
        """
        ...


@dataclass(frozen=True)
class Reference:
    """The real side."""

    dataset: str
    split: str
    sha256: str
    n_real: int | None
    """Real samples; None where a file of mean and covariance does not say how many they are of."""
    transform: str = "none"
    changed: tuple[str, ...] = ()
    """In words, how these data differ from those that the measured run was trained on; empty where they do not."""


@dataclass(frozen=True)
class MetricProtocol:
    """Everything that two values must share to stand in one column of a table."""

    part: str
    metric: str
    parameters: Mapping[str, Any]
    extractor: str
    extractor_sha256: str | None
    layer: str
    quantised: bool
    resize: str
    input_scaling: str
    reference: Reference
    n_fake: int
    classes: str = "none"
    """Shares of the classes in the draw: "data" as in the data, "uniform", "equal shares" the same number of each, "as
    in the files", or "none" without classes."""
    classes_paired: str | None = None
    """The pairing of the classes of the real and of the generated side; None where nothing needs it."""
    truncation: float | None = None
    truncation_form: str | None = None
    """Form of truncation: entries redrawn until within, or all scaled."""
    statistics: str | None = None
    """Statistics for the generator's batch norm: running, standing, batch. None without batch norm, or unknown."""
    generator_weights: str = "ema"
    sampler: str = "generator"
    """Source of the samples: the generator alone, or followed by pushes of stored discriminators."""
    sampler_steps: int = 1
    precision: str = "float32"

    @property
    def name(self) -> str:
        """The display name: FID, KID and IS for the published protocol only, else the extractor's name is in it."""
        count = _thousands(self.n_fake)
        # The bias of order 1 / n is as large as most differences below that.
        enough = min(self.n_fake, self.reference.n_real or 0) >= FEWEST_FOR_FID
        weights = self.extractor_sha256 == OFFICIAL_INCEPTION and self.layer == LAYER_OF_FID
        # Another resize, layer, quantisation or precision gives another number from the same weights.
        official = weights and self.resize != "none" and self.quantised and self.precision == "float32"
        published = {"FD": "FID", "KD": "KID", "exp-mean-KL": "IS"}
        if official and enough and self.part in published:
            return f"{published[self.part]}{count}-{self.reference.split}"
        if self.part == "exp-mean-KL" and self.extractor == "inception-torchvision":
            return f"IS-torchvision(resize={self.resize},splits={self.parameters.get('splits')})@{count}"
        return f"{self.part}-{self.extractor}@{count}"


def _thousands(count: int) -> str:
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)


@dataclass(frozen=True)
class Place:
    """Point of a training run at which the samples were drawn; None where they came from files."""

    checkpoint: str | None = None
    num_real: float | None = None
    d_updates: float | None = None
    g_updates: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Record:
    """One measured value with its protocol, one JSON line each."""

    protocol: MetricProtocol
    value: float
    better: Literal["lower", "higher"]
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    """95 % t interval over evaluation seeds: how far the draw of samples moves the value; not over training."""
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    place: Place = Place()
    extra: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The protocol's display name."""
        return self.protocol.name

    def as_dict(self) -> dict[str, Any]:
        """Flat JSON types."""
        # The fields of protocol and place stand beside the record's own, so that a line is one flat row of a table.
        own = asdict(self)
        return (
            {"name": self.name}
            | own.pop("protocol")
            | own.pop("place")
            | own
            | {"n_seeds": len(self.seeds), "interval": None if self.interval is None else list(self.interval)}
        )

    def line(self) -> str:
        """The JSON line; a number that is undefined or infinite is null, which JSON has no other word for."""
        # Python would write NaN, which is no JSON: other readers would refuse the whole line.
        return json.dumps(_finite(self.as_dict()), allow_nan=False)


def _finite(content: Any) -> Any:
    match content:
        case float():
            return content if isfinite(content) else None
        case dict():
            return {key: _finite(value) for key, value in content.items()}
        case list() | tuple():
            return [_finite(value) for value in content]
        case _:
            return content


def over_seeds(records: Sequence[Record]) -> Record:
    """One record for the same measurement under several evaluation seeds: the mean with its interval.

    Raises:
        ValueError: There are none, or they are of different protocols or checkpoints.
    """
    if not records:
        raise ValueError("records must hold at least one, got none; measure under one seed or more.")
    first = records[0]
    for other in records[1:]:
        if (other.protocol, other.place) != (first.protocol, first.place):
            raise ValueError(
                f"records must share one protocol and one checkpoint, got {first.name} of {first.place} and "
                f"{other.name} of {other.place}; average over seeds only."
            )
    values = tuple(record.value for record in records)
    interval = seed_interval(values)
    return Record(
        protocol=first.protocol,
        value=interval.mean,
        better=first.better,
        # The error of one draw says nothing of the mean over several; the interval over seeds does.
        standard_error=first.standard_error if len(records) == 1 else None,
        interval=None if interval.low is None or interval.high is None else (interval.low, interval.high),
        values=values,
        seeds=tuple(seed for record in records for seed in record.seeds),
        place=first.place,
        extra=first.extra if all(record.extra == first.extra for record in records) else {},
        environment=first.environment,
        warnings=tuple(dict.fromkeys(w for record in records for w in record.warnings)),  # each once, in order
    )


def columns(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by display name, for a table.

    Raises:
        ValueError: Two records of one name differ in protocol, so that they may not stand in one column.
    """
    found: dict[str, list[Record]] = {}
    for record in records:
        # Names leave out most of the protocol, so equal names do not mean equal measurements.
        column = found.setdefault(record.name, [])
        if column and column[0].protocol != record.protocol:
            ours, theirs = asdict(record.protocol), asdict(column[0].protocol)
            differing = ", ".join(f"{k}: {theirs[k]} and {ours[k]}" for k in ours if ours[k] != theirs[k])
            raise ValueError(
                f"two values named {record.name} were measured differently ({differing}); measure both the same way."
            )
        column.append(record)
    return found
