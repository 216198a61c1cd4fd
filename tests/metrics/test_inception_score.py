from math import exp, log

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.metrics.inception_score import InceptionScore, inception_score

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def sure_of(labels: Tensor, classes: int) -> Tensor:
    return 1e4 * torch.eye(classes)[labels]


def by_definition(logits: np.ndarray) -> float:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()))


def test_constant_logits_score_one():
    assert inception_score(torch.full((20, 7), 3.0)) == InceptionScore(1.0, 0.0, 1.0)


@for_each("classes", [2, 10, 1008])
def test_certain_and_even_over_classes_scores_their_number(classes):
    result = inception_score(sure_of(torch.arange(classes), classes), splits=1)
    assert result.mean == result.one_split == pytest.approx(classes, rel=1e-12)


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 40), st.integers(1, 6), st.floats(1e-3, 1e3))
def test_lies_between_one_and_the_number_of_classes(seed, n, classes, scale):
    result = inception_score(scale * normal(n, classes, seed=seed), splits=2)
    for value in (result.mean, result.one_split):
        assert 1 <= value <= classes * (1 + 1e-12)


def test_two_samples_by_hand():
    a = 0.9
    logits = torch.tensor([[a, 1 - a], [1 - a, a]], dtype=torch.float64).log()
    expected = 2 * exp(a * log(a) + (1 - a) * log(1 - a))
    assert expected == pytest.approx(1.4449348, abs=1e-7)
    assert inception_score(logits, splits=1).mean == pytest.approx(expected, rel=1e-12)


def test_agrees_with_the_definition_over_splits_in_order():
    logits = normal(1003, 12, seed=1)
    edges = [i * 1003 // 10 for i in range(11)]
    parts = [by_definition(logits[start:stop].numpy()) for start, stop in zip(edges, edges[1:], strict=False)]
    result = inception_score(logits, seed=None)
    assert result.mean == pytest.approx(np.mean(parts), rel=1e-12)
    assert result.std == pytest.approx(np.std(parts), rel=1e-9)
    assert result.one_split == pytest.approx(by_definition(logits.numpy()), rel=1e-12)


@for_each("row", [0, 500, 1002])
def test_every_row_counts_when_splits_do_not_divide_them(row):
    logits = normal(1003, 4)
    changed = logits.clone()
    changed[row] *= 30
    assert inception_score(changed, seed=None).mean != inception_score(logits, seed=None).mean


def test_shuffling_is_that_of_the_seed_and_leaves_the_one_split_alone():
    logits = normal(50, 5)
    order = np.random.default_rng(3).permutation(50)
    shuffled = inception_score(logits, splits=4, seed=3)
    assert shuffled == inception_score(logits[order], splits=4, seed=None)
    assert shuffled.mean != inception_score(logits, splits=4, seed=4).mean
    assert shuffled.one_split == pytest.approx(inception_score(logits, splits=4, seed=4).one_split, rel=1e-12)


def test_samples_sorted_by_class_need_the_shuffle():
    logits = sure_of(torch.arange(10).repeat_interleave(100), 10)
    assert inception_score(logits, seed=None).mean == pytest.approx(1)
    assert inception_score(logits).mean > 9
    assert inception_score(logits, seed=None).one_split == pytest.approx(10)


@settings(max_examples=20)
@given(SEEDS, st.floats(-1e3, 1e3))
def test_a_constant_per_row_changes_nothing(seed, constant):
    logits, rows = normal(20, 5, seed=seed), constant * normal(20, 1, seed=seed + 1)
    assert inception_score(logits + rows).mean == pytest.approx(inception_score(logits).mean, rel=1e-9)


def test_a_bias_per_class_changes_the_score():
    logits = normal(100, 5)
    assert inception_score(logits + 2 * torch.arange(5)).mean < inception_score(logits).mean - 0.1


def test_impossible_classes_do_not_make_nan():
    logits = torch.tensor([[0.0, -1e4, 1e4], [1e4, 0.0, -1e4]])
    assert inception_score(logits, splits=1).mean == pytest.approx(2)


def test_one_class_and_one_row_a_split_score_one():
    assert inception_score(normal(10, 1)).mean == 1
    assert inception_score(normal(10, 4), splits=10).mean == pytest.approx(1, abs=1e-14)


def test_permuting_classes_changes_nothing():
    logits = normal(30, 6)
    assert inception_score(logits.flip(1)).mean == pytest.approx(inception_score(logits).mean, rel=1e-12)


@pytest.mark.parametrize("splits", [0, 21])
def test_more_splits_than_rows_are_refused(splits):
    with pytest.raises(ValueError, match=f"splits must be between 1 and the number of rows, 20, got {splits}"):
        inception_score(normal(20, 3), splits=splits)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_logits_are_refused():
    logits = normal(20, 3)
    logits[2] = -torch.inf
    with pytest.raises(ValueError, match="logits must be finite, got NaN or infinity in 1 of 20 rows"):
        inception_score(logits)
    with pytest.raises(ValueError, match=r"logits must have shape \[n, d\]"):
        inception_score(logits[0])
    with pytest.raises(ValueError, match="logits must have at least 2 rows, got 1"):
        inception_score(normal(1, 3), splits=1)
