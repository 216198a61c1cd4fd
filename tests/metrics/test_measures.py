"""Metrics by name on evidence whose values are known in closed form."""

from math import log

import pytest
import torch

from ganneal.metrics.measures import METRICS, DensityCoverage, Kernel, NeighbourDivergence, PrecisionRecall, Score
from ganneal.metrics.neighbours import expected_coverage
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


LOW, HIGH = normal(1.0, 2) - 3, normal(1.0, 3) + 3
SORTED, TURNED = Evidence(torch.cat([LOW, HIGH])), Evidence(torch.cat([HIGH, LOW]))
"""The same two groups in two orders: whoever takes the first samples sees two distributions far apart."""


def test_of_too_many_samples_a_random_part_is_taken_not_the_first() -> None:
    (kernel,) = Kernel(most=400)(SORTED, TURNED)
    assert abs(kernel.value) < 20 < Kernel(most=400)(Evidence(LOW), Evidence(HIGH))[0].value
    for metric in (PrecisionRecall(most=400), DensityCoverage(most=400)):
        assert all(found.value > 0.8 for found in metric(SORTED, TURNED))
    (divergence,) = NeighbourDivergence(most=400)(SORTED, TURNED)
    assert divergence.value < 0.3


def test_no_more_samples_than_asked_for_are_compared() -> None:
    _, coverage = DensityCoverage(k=8, most=9)(SORTED, TURNED)
    assert coverage.extra["expected"] == expected_coverage(9, 9, 8)


def test_the_floor_of_the_distance_is_between_random_halves() -> None:
    (found,) = METRICS["frechet"](SORTED, TURNED)
    assert found.extra["between_halves_of_real"] < 0.2  # 36 between the first half and the second


def test_a_score_of_samples_sorted_by_class_is_that_of_shuffled_ones() -> None:
    logits = 100 * torch.eye(4, dtype=torch.float64).repeat_interleave(50, 0)
    fake = Evidence(torch.zeros(200, 1), logits)
    (found,) = Score(splits=4)(fake, fake)
    assert found.value > 3.5


def test_the_ball_of_precision_and_recall_is_the_one_chosen() -> None:
    real, fake = Evidence(torch.tensor([[0.0], [1.0], [2.0], [3.0]])), Evidence(torch.tensor([[-1.0], [4.0]]))
    values = {ball: PrecisionRecall(k=1, ball=ball)(real, fake)[0].value for ball in ("open", "closed")}
    assert values == {"open": 0.0, "closed": 1.0}  # each fake lies on the edge of a ball
