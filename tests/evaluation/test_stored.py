"""Which weights of a run are measured, and once for those that are the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ganneal.data import Ring
from ganneal.evaluation.records import keep_records
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.measures import METRICS, SlicedWasserstein
from ganneal.models import MLP
from ganneal.training.session import train


@pytest.mark.usefixtures("empty_pictures")
def test_the_same_weights_under_a_third_name_have_their_own_values_and_no_others(tmp_path: Path) -> None:
    records = Records(evaluate_count=0, keep_every=64, log_every=64, sample_every=10**9, tensorboard=False)
    model = MLP(width=4, depth=1, latent_size=2)
    ring = Experiment("ring", Ring(num_samples=200), model, batch_size=16, budget=Budget(num_real=128), records=records)
    train(ring, tmp_path / "run")
    said: list[str] = []
    settings = Settings((METRICS["sliced-wasserstein"],), count=50, seeds=(0, 1))
    found = evaluate_run(tmp_path / "run", checkpoints=("last", "64", "128"), settings=settings, say=said.append)
    last, earlier, third = found
    assert [record.place.checkpoint for record in found] == ["last", "64", "128"]
    assert (third.value, third.seeds) == (last.value, (0, 1)) and earlier.value != last.value
    assert said[-1] == "128: the same weights as last"
    # Two settings of one metric are two values, each over the seeds.
    both = replace(settings, metrics=(SlicedWasserstein(8), SlicedWasserstein(128)))
    few, many = evaluate_run(tmp_path / "run", checkpoints=("last",), settings=both)
    assert (many.values, many.seeds, few.seeds) == (last.values, (0, 1), (0, 1)) and few.value != many.value
    # What is measured again is replaced; with another setting it stands beside the first.
    file = tmp_path / "evaluation.jsonl"
    other = replace(last, protocol=replace(last.protocol, resize="another"))
    for record in (last, other, last, many):
        keep_records([record], file)
    assert [json.loads(line)["resize"] for line in file.read_text().splitlines()] == ["another", last.protocol.resize]
