from itertools import product
from math import log

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.metrics.stacked import stacked_labels, stacked_modes


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_the_three_digits_are_the_decimals_of_the_mode():
    digits = np.array(list(product(range(10), repeat=3)))
    assert stacked_labels(digits).tolist() == list(range(1000))
    assert stacked_labels(torch.tensor([[1, 2, 3]], dtype=torch.int32)).tolist() == [123]


@for_each("modes", [1, 2, 10, 250, 999, 1000])
def test_equal_counts_over_k_modes_diverge_by_the_log_of_what_is_missing(modes):
    result = stacked_modes(torch.arange(modes).repeat(26))
    assert result.modes == modes and result.samples == 26 * modes
    assert result.kl == pytest.approx(log(1000 / modes), abs=1e-13)


def test_one_mode_diverges_by_the_log_of_a_thousand():
    assert stacked_modes(torch.full((5,), 999)).kl == pytest.approx(6.9078, abs=5e-5)


def test_a_perfect_generator_is_given_by_the_closed_forms():
    at_26_000, at_2_000 = (stacked_modes(torch.zeros(n, dtype=torch.int64)) for n in (26_000, 2_000))
    assert at_26_000.expected_kl == pytest.approx(0.0192, abs=5e-5)
    assert at_26_000.expected_modes == pytest.approx(1000, abs=1e-8)
    assert at_2_000.expected_modes == pytest.approx(864.8, abs=0.05)


@pytest.mark.parametrize("samples", [2_000, 26_000])
def test_uniform_labels_show_what_is_expected_of_them(samples):
    results = [stacked_modes(np.random.default_rng(seed).integers(1000, size=samples)) for seed in range(40)]
    modes = np.array([result.modes for result in results])
    # the occupied cells vary by less than sqrt(1000 / 4) a draw
    assert modes.mean() == pytest.approx(results[0].expected_modes, abs=4 * (1000 / 4 / 40) ** 0.5)
    if samples == 26_000:  # 2 N KL is chi-square to first order; the next order at 26 a mode adds a percent
        error = 4 * (2 * 999 / 40) ** 0.5 / (2 * samples)
        expected = results[0].expected_kl
        assert np.mean([result.kl for result in results]) == pytest.approx(expected, abs=error + 0.01 * expected)


def test_training_frequencies_as_target_by_hand():
    counts = np.zeros(1000, dtype=np.int64)
    counts[:3] = 2, 1, 1
    result = stacked_modes(torch.tensor([0, 0, 1, 0]), target=counts)
    assert result.kl == pytest.approx(0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.25), abs=1e-15)
    assert result.expected_kl == 2 / 8
    assert result.expected_modes == pytest.approx(3 - 0.5**4 - 2 * 0.75**4)


def test_samples_distributed_as_the_target_do_not_diverge():
    labels = torch.arange(1000).repeat_interleave(torch.arange(1000) % 7)
    counts = torch.bincount(labels, minlength=1000)
    assert stacked_modes(labels, target=counts).kl == pytest.approx(0, abs=1e-13)
    assert stacked_modes(labels, target=counts / counts.sum()).kl == pytest.approx(0, abs=1e-6)  # float32 shares


def test_a_mode_that_the_target_lacks_is_infinitely_far():
    counts = torch.ones(1000)
    counts[5] = 0
    assert stacked_modes(torch.tensor([4, 5]), target=counts).kl == float("inf")
    assert stacked_modes(torch.tensor([4, 4]), target=counts).kl == pytest.approx(log(999))


@given(st.lists(st.integers(0, 999), min_size=1, max_size=60))
def test_the_divergence_lies_between_zero_and_that_of_one_mode_and_ignores_order(labels):
    result = stacked_modes(np.array(labels))
    assert 0 <= log(1000 / result.modes) - 1e-12 <= result.kl <= log(1000) + 1e-12
    assert stacked_modes(np.array(labels[::-1])) == result
    relabelled = stacked_modes((np.array(labels) + 7) % 1000)
    assert (relabelled.modes, relabelled.kl) == (result.modes, pytest.approx(result.kl))


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_labels_and_targets_are_refused():
    with pytest.raises(ValueError, match="labels must be between 0 and 999, got 1000 and 1 more"):
        stacked_modes(torch.tensor([3, 1000, -1]))
    with pytest.raises(ValueError, match="digits must be between 0 and 9, got 10 and 0 more"):
        stacked_labels(torch.tensor([[1, 10, 2]]))
    with pytest.raises(ValueError, match=r"digits must have shape \[n, 3\].*got \[4, 2\]"):
        stacked_labels(torch.zeros(4, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"labels must hold one mode a sample, got shape \[0\]"):
        stacked_modes(torch.zeros(0, dtype=torch.int64))
    ones, wrong = torch.ones(3, dtype=torch.int64), "train"
    with pytest.raises(ValueError, match="target must be 'uniform' or 1000 frequencies, got 'train'"):
        stacked_modes(ones, target=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"target must hold 1000 frequencies, got shape \[10\]"):
        stacked_modes(ones, target=torch.ones(10))
    for bad in (torch.zeros(1000), -torch.ones(1000), torch.full((1000,), torch.nan)):
        with pytest.raises(ValueError, match="target must hold finite frequencies of at least 0, not all 0"):
            stacked_modes(ones, target=bad)
