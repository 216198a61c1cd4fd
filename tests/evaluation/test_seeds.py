"""Samples that choose the best weights are never those that measure them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import ganneal
from ganneal.cli import main
from ganneal.comparison import job
from ganneal.data import Digits
from ganneal.engine.run import Run
from ganneal.evaluation.stored import Settings
from ganneal.evaluation.suited import EVALUATION_SEEDS, FRESH_SEED, SELECTION_SEED
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import TrainedGenerator
from ganneal.models import DCGAN
from ganneal.report import drawn
from ganneal.reproduction import measured
from ganneal.training.evaluator import Evaluator
from ganneal.training.session import GRID_SEED

MEASURED = (*EVALUATION_SEEDS, FRESH_SEED, drawn.SEED)
"""All seeds of measured values that nobody chose."""


def experiment() -> Experiment:
    return Experiment(
        "digits",
        Digits(),
        DCGAN(width=4, latent_size=4),
        batch_size=8,
        budget=Budget(d_updates=2),
        records=Records(evaluate_count=100, tensorboard=False),
        threads=1,
    )


def rows(latents: Tensor) -> set[tuple[float, ...]]:
    return set(map(tuple, latents.tolist()))


def test_no_latent_that_chose_the_best_weights_measures_them(monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = Run(experiment()), []
    finish = TrainedGenerator.finish

    def watched(self: TrainedGenerator, latents: Tensor, *given: object, **more: object) -> Tensor:
        seen.append(latents)
        return finish(self, latents, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainedGenerator, "finish", watched)
    Evaluator(run.data.dataset, run.experiment.records)(run)
    choosing = rows(torch.cat(seen))
    assert len(choosing) == 100
    for seed in (*MEASURED, GRID_SEED):
        assert not choosing & rows(run.sampler().draw(10_000, seed)[0])
    assert choosing <= rows(run.sampler().draw(10_000, SELECTION_SEED)[0])  # what would be measured without the rule


def test_a_comparison_and_a_reproduction_measure_on_the_fresh_seed() -> None:
    assert job.FRESH_SEED == measured.FRESH_SEED == FRESH_SEED
    assert Settings().seeds == EVALUATION_SEEDS
    assert len({*MEASURED, SELECTION_SEED}) == len(MEASURED) + 1


def test_the_seed_that_chose_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="its samples chose the best weights"):
        Settings(seeds=(0, SELECTION_SEED))
    ganneal.train(experiment(), tmp_path / "run")
    assert main(["evaluate", str(tmp_path / "run"), "--seeds", str(SELECTION_SEED)]) == 2
    assert f"seeds must not hold {SELECTION_SEED}: its samples chose the best weights" in capsys.readouterr().err
