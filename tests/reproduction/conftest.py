"""A table of two rows that train in no time, and an executor that runs them in this process."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from ganneal.comparison.job import Job, run
from ganneal.data import Ring
from ganneal.experiment import Experiment, Records
from ganneal.metrics.extractors import Points
from ganneal.models import MLP
from ganneal.reproduction import SCALES, TABLES, Scale, Table, TableRow
from ganneal.reproduction.datasets import PUBLISHED_DATA, PublishedData
from ganneal.reproduction.scales import Reduction
from ganneal.reproduction.table import reported
from ganneal.schemes import Alternating, Nested

RECORDS = Records(
    log_every=32, sample_every=10**9, sample_count=4, evaluate_every=32, evaluate_count=40, tensorboard=False
)


@pytest.fixture(autouse=True)
def no_pictures(empty_pictures: None) -> None:
    """Nothing here looks at a run's pictures."""


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Inline:
    """Runs each job where it is started."""

    slots, threads = 1, 1

    def __init__(self, *_: Any) -> None:
        self.jobs: list[Job] = []
        self.started: list[str] = []

    def start(self, job: Job) -> None:
        run(job)
        self.jobs.append(job)
        self.started.append(job.arm)

    def ended(self) -> list[tuple[Job, str | None]]:
        done, self.jobs = self.jobs, []
        return [(job, None) for job in done]

    def stop(self) -> None:
        self.jobs = []


def _ring(**changes: Any) -> Experiment:
    experiment = Experiment(
        "ring", Ring(), MLP(width=8, depth=2, latent_size=2), batch_size=16, records=RECORDS, threads=1
    )
    return replace(experiment, **changes)


def _scale(num_real: int) -> Scale:
    return Scale("tiny", {"classical": Reduction(num_real, {})}, {}, {2: Points()}, samples=64)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The table ``tiny``, registered with its data and the scale ``tiny``."""
    monkeypatch.setitem(PUBLISHED_DATA, "ring", PublishedData("Ring", (2,), Ring(num_samples=200)))
    rows = (
        TableRow("ring", "nts", "GAN, NTS", "classical", _ring(scheme=Nested(levels=2)), reported(FID="5", IS="2")),
        TableRow("ring", "cts", "GAN, CTS", "classical", _ring(scheme=Alternating()), reported(FID="7", IS="1")),
    )
    timed = TableRow("ring", "cts-time", "GAN, CTS in the time of NTS", "classical", _ring(), {}, like="nts")
    questions = ((("ring/nts", "ring/cts-time"),),)
    table = Table("Table T. Tiny", "nowhere", rows, (("ring/nts", "ring/cts"),), ("A note.",), (timed,), questions)
    monkeypatch.setitem(TABLES, "tiny", table)
    monkeypatch.setitem(SCALES, "paper", _scale(640))
    monkeypatch.setitem(SCALES, "tiny", _scale(64))
    return table


@pytest.fixture
def inline() -> Inline:
    return Inline()
