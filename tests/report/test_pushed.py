"""Where discriminators push samples: the chain of the sampler, or the last discriminator's at a size for the eye."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
import torch
from tests.report.conftest import tiny_digits

import ganneal
from ganneal.experiment import Budget
from ganneal.inference.loading import load_pushed
from ganneal.report.pushed import FIRST_PUSH, NUM_PUSHES, SEED, follow_pushes, pushed
from ganneal.report.run_page import run_page
from ganneal.schemes import FunctionalGradient
from ganneal.training.session import train


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of a page's time, and nothing here looks at them."""
    monkeypatch.setattr("ganneal.report.run_page.curves", lambda run: [])


@pytest.fixture(scope="module")
def cfg_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "cfg"
    scheme = FunctionalGradient(steps=3, step_size=0.5, pool_size=16, epochs=1)
    train(replace(tiny_digits(), scheme=scheme, budget=Budget(num_real=96)), path)
    return path


def test_the_trail_ends_where_the_pushed_sampler_does(cfg_run: Path) -> None:
    start, trail = follow_pushes(load_pushed(cfg_run))
    sampled = ganneal.load(cfg_run, sampler="pushed").sample(len(start), seed=SEED)
    assert [len(trail), torch.equal(trail[-1].samples, sampled)] == [3, True]
    moved = start
    for push in trail:
        moved = moved + 0.5 * push.gradients
        torch.testing.assert_close(moved, push.samples)


@pytest.mark.runs
def test_stored_discriminators_are_shown_with_their_sizes(cfg_run: Path) -> None:
    found = pushed(cfg_run)
    assert found is not None
    assert (found.stored, found.count) == (True, 3)
    assert "3 stored discriminators" in run_page(cfg_run)


@pytest.mark.runs
def test_a_run_that_stored_none_is_probed_with_its_last(digits_run: Path) -> None:
    found = pushed(digits_run)
    assert found is not None
    assert (found.stored, found.count) == (False, NUM_PUSHES)
    page = run_page(digits_run)
    assert 'id="pushes"' in page and "stored discriminators" not in page


def test_the_first_push_of_a_probe_has_the_stated_length(digits_run: Path) -> None:
    start, trail = follow_pushes(load_pushed(digits_run, count=1))
    size = FIRST_PUSH * sqrt(start[0].numel()) / trail[0].norms.median().item()
    _, again = follow_pushes(load_pushed(digits_run, count=2, step_size=size))
    rms = (again[0].samples - start).flatten(1).square().mean(dim=1).sqrt()
    assert rms.median().item() == pytest.approx(FIRST_PUSH, rel=1e-4)


def test_points_have_none(ring_run: Path) -> None:
    assert pushed(ring_run) is None
    assert 'id="pushes"' not in run_page(ring_run)
