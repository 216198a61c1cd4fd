"""The controls change one thing each: a rate, or the clock that ends training."""

from dataclasses import replace

import pytest
from tests.for_each import for_each

from ganneal.optim import moment_decays
from ganneal.plan import plan
from ganneal.reproduction import TABLES
from ganneal.reproduction.plan import chosen_rows
from ganneal.reproduction.recipes import Loss4, classical
from ganneal.schemes import Alternating, Nested
from ganneal.weights import Ones

ROWS = {row.arm: row for row in (*TABLES["table9"].all_rows, *TABLES["table12"].all_rows)}
LOSSES: tuple[Loss4, ...] = ("original", "lsgan", "wgan", "hinge")


@for_each("loss", LOSSES)
@for_each("levels", [5, 10, 15, 20])
def test_the_matched_step_walks_as_far_as_nats_in_nominal_steps(loss: Loss4, levels: int) -> None:
    nats, matched = (ROWS[f"{loss}-{name}-{levels}"].experiment for name in ("nats", "matched-step"))
    assert matched.scheme == Nested(levels, weights=Ones())
    moments = moment_decays(nats.g_optimizer)
    walk = plan(nats.scheme, moments=moments).nominal_steps_per_d_update * nats.g_optimizer.lr
    # At constant weights a nominal step is a step: (N_d + 1)/2 for each update of the discriminator.
    assert walk == pytest.approx(matched.g_optimizer.lr * (levels + 1) / 2, rel=1e-12)
    assert replace(matched, scheme=nats.scheme, g_optimizer=nats.g_optimizer, name=nats.name) == nats


@for_each("loss", LOSSES)
@for_each("levels", [5, 10])
def test_the_long_step_walks_as_far_as_nts_in_nominal_steps(loss: Loss4, levels: int) -> None:
    longer, cts = ROWS[f"{loss}-long-step-{levels}"].experiment, classical("cifar10", loss, "cts")
    assert longer.scheme == Alternating()
    # NTS makes (N_d + 1)/2 generator updates for each of the discriminator, all at weight 1.
    assert longer.g_optimizer.lr == pytest.approx(2e-4 * (levels + 1) / 2, rel=1e-12)
    assert replace(longer, g_optimizer=cts.g_optimizer, name=cts.name) == cts


def test_equal_time_is_common_training_whose_row_brings_the_one_it_is_like() -> None:
    row = ROWS["hinge-cts-time-10"]
    assert (row.experiment.scheme, row.like, row.reported) == (Alternating(), "hinge-nats-10", {})
    chosen = chosen_rows(TABLES["table9"], ["hinge-cts-time-10"])
    assert [one.arm for one in chosen] == ["hinge-nats-10", "hinge-cts-time-10"]


def test_controls_are_never_counted_as_published() -> None:
    for table in TABLES.values():
        published = {row.name for row in table.rows}
        assert not published & {row.name for row in table.controls}
        assert all(row.reported for row in table.rows) and not any(row.reported for row in table.controls)
        assert {name for pair in table.pairs for name in pair} <= published
    ours = [row for row in TABLES["table9"].controls if "control of ours" in row.label]
    assert len(ours) == 4 * 2 * 3


def test_every_loss_asks_seven_questions_at_each_controlled_level() -> None:
    questions = TABLES["table9"].questions
    assert len(questions) == 8 and {len(group) for group in questions} == {7}
    assert ("cifar10/lsgan-nats-5", "cifar10/lsgan-matched-step-5") in questions[2]
