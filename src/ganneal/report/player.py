"""Samples over time: frames of one run or of several, moved together by one slider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from ganneal.report.pictures import MOST_FRAMES, Picture, encode_frames, evenly, page_picture
from ganneal.report.records import RunRecord
from ganneal.report.words import clock as reading

MOST_FRAMES_OF_SEVERAL = 12
MOST_STOPS = 60


@dataclass(frozen=True)
class Frame:
    """One picture, and where on the slider's clock it was drawn."""

    at: float
    label: str
    picture: Picture


@dataclass(frozen=True)
class Track:
    """The frames of one run."""

    name: str
    group: str
    """Runs of one group are seen together; groups are chosen between."""
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class TrackPlayer:
    """Tracks under one slider."""

    tracks: tuple[Track, ...]
    stops: tuple[float, ...]
    labels: tuple[str, ...]
    real: Picture | None

    @property
    def groups(self) -> list[str]:
        # Each once, in the order of its first track.
        return list(dict.fromkeys(track.group for track in self.tracks))


def _real(run: RunRecord) -> Picture | None:
    if run.real is None:
        return None
    with Image.open(run.real) as image:
        # A copy, for the file is closed when the block ends.
        return page_picture(image.copy(), "A sheet of real samples from the training data")


def build_player(
    runs: Mapping[tuple[str, str], RunRecord], clock: str = "num_real", most: int | None = None
) -> TrackPlayer | None:
    """The frames of ``runs``, keyed by (name, group), on one clock; None where none has a frame."""
    runs = {key: run for key, run in runs.items() if run.frames}
    if not runs:
        return None
    # All tracks share one budget of bytes.
    most = most or (MOST_FRAMES if len(runs) == 1 else MOST_FRAMES_OF_SEVERAL)
    encoded = encode_frames({str(index): run.frames for index, run in enumerate(runs.values())}, most)
    tracks = tuple(
        Track(*key, _frames(run, encoded[str(index)], clock)) for index, (key, run) in enumerate(runs.items())
    )
    # The clocks of several runs differ, so the slider stops wherever one of them has a frame.
    stops = evenly(sorted({frame.at for track in tracks for frame in track.frames}), MOST_STOPS)
    unit = next(iter(runs.values())).unit
    real = next((found for run in runs.values() if (found := _real(run)) is not None), None)
    return TrackPlayer(tracks, tuple(stops), tuple(reading(stop, clock, unit) for stop in stops), real)


def _frames(run: RunRecord, encoded: Sequence[tuple[int, bytes]], clock: str) -> tuple[Frame, ...]:
    frames = []
    for num_real, data in encoded:
        # Pictures are named by real images; other clocks are read off the log, between its rows.
        at = float(num_real) if clock == "num_real" else run.on_clock(num_real, clock)
        label = f"after {reading(at, clock, run.unit)}" if num_real else "before training"
        frames.append(Frame(at, label, page_picture(data, f"Samples of {run.name} {label}")))
    return tuple(frames)
