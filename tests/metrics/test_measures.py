"""Metrics by name on evidence whose values are known in closed form."""

from math import log

import pytest
import torch

from ganneal.metrics.measures import METRICS
from ganneal.metrics.protocol import Evidence


def normal(std: float, seed: int) -> torch.Tensor:
    return std * torch.randn(4_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_sliced_distance_of_a_shift_on_a_line_is_its_length() -> None:
    real = normal(1.0, 0)
    (found,) = METRICS["sliced-wasserstein"](Evidence(real), Evidence(real + 0.7))
    assert found.part == "sliced-W1" and found.value == pytest.approx(0.7, rel=1e-12)


def test_the_divergence_by_neighbours_is_that_of_the_samples_from_the_data() -> None:
    narrow, wide = Evidence(normal(1.0, 0)), Evidence(normal(2.0, 1))
    (of_narrow,) = METRICS["neighbour-divergence"](wide, narrow)
    (of_wide,) = METRICS["neighbour-divergence"](narrow, wide)
    # KL of two centred normals: ln(s/t) + t^2 / (2 s^2) - 1/2; the other way round it is 0.81,
    # which the thin tails of the data bias down
    assert of_narrow.value == pytest.approx(log(2) + 1 / 8 - 1 / 2, abs=0.06)
    assert of_wide.value > of_narrow.value


def test_stacked_modes_are_read_from_three_digits_in_a_row() -> None:
    digits = torch.tensor([[1, 2, 3], [1, 2, 3], [9, 0, 0], [0, 0, 7]])
    logits = torch.nn.functional.one_hot(digits, 10).flatten(1).double()
    fake = Evidence(torch.zeros(4, 1), logits)
    modes, kl = METRICS["stacked-modes"](fake, fake)
    assert (modes.part, modes.value, kl.part) == ("modes", 3, "modes-KL")
    assert kl.value == pytest.approx(0.5 * log(500) + 0.5 * log(250), rel=1e-12)
    assert METRICS["stacked-modes"](fake, Evidence(torch.zeros(4, 1), logits[:, :10])) == []
    assert METRICS["stacked-modes"](fake, Evidence(torch.zeros(4, 1))) == []
