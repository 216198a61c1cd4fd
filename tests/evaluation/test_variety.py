"""Coverage and duplicates: what a perfect generator has depends on no count, and a copying one is told."""

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.evaluation.health import HEALTH_RULES, Verdict
from ganneal.evaluation.variety import Variety
from ganneal.metrics import density_coverage
from ganneal.metrics.neighbours import expected_coverage
from ganneal.stop import Row

FAKES = 600


def normal(count: int, d: int, seed: int) -> Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(real: Tensor, fake: Tensor) -> Row:
    variety = Variety.of(real, len(fake), seed=0)
    assert variety is not None
    return variety(fake)


def verdict(row: Row) -> Verdict | None:
    """The rule's, after an untrained generator."""
    series = {name: [1.0 if name == "duplicates" else value, value] for name, value in row.items()}
    return HEALTH_RULES["duplicates"]({"d_updates": [1000.0], **series})


@pytest.mark.runs
@for_each("d", [2, 48])
@for_each("count", [20, 60, 300])
def test_a_perfect_generator_gets_no_warning_of_duplicates_however_few_images_there_are(count: int, d: int) -> None:
    for seed in range(8):
        row = measured(normal(count, d, seed), normal(FAKES, d, 1000 + seed))
        assert verdict(row) is None, row


@pytest.mark.runs
@pytest.mark.parametrize("d", [2, 48])
def test_the_mean_share_of_a_perfect_generator_is_what_is_expected(d: int) -> None:
    rows = [measured(normal(60, d, seed), normal(FAKES, d, 1000 + seed)) for seed in range(40)]
    share = torch.tensor([float(row["duplicates"]) for row in rows])
    assert rows[0]["duplicates_expected"] == pytest.approx(2 / 60)  # the closest pair
    assert abs(share.mean() - 2 / 60) < 3 * share.std() / 40**0.5


@for_each("count", [20, 60, 300])
def test_a_generator_of_one_image_and_one_that_copies_the_data_are_told(count: int) -> None:
    real, random = normal(count, 48, 0), torch.Generator().manual_seed(1)
    one = verdict(measured(real, real[:1].expand(FAKES, -1) + 1e-6 * normal(FAKES, 48, 2)))
    assert one is not None and f"Expected of a perfect generator: {100 * max(2 / count, 0.01):.0f} %" in one.text
    copies = measured(real, real[torch.randint(count, (4 * FAKES,), generator=random)])
    assert copies["duplicates"] == pytest.approx(1 - (1 - 1 / count) ** (count - 1), abs=0.05)  # of count draws
    assert count < 60 or verdict(copies) is not None


def test_copies_in_the_data_are_expected_of_the_generator_too() -> None:
    once, again = normal(200, 8, 0), normal(200, 8, 1)
    real, fake = once.repeat_interleave(2, 0), again.repeat_interleave(2, 0)
    row = measured(real, fake)
    assert row["duplicates_expected"] == row["duplicates"] == 1 and verdict(row) is None
    assert measured(real, normal(400, 8, 2))["duplicates"] == 0


@pytest.mark.runs
@for_each(("reals", "fakes"), [(60, 2_000), (2_000, 60), (500, 500), (20, 2_000)])
def test_the_coverage_of_a_perfect_generator_is_that_of_equal_counts(reals: int, fakes: int) -> None:
    rows = [measured(normal(reals, 4, seed), normal(fakes, 4, 1000 + seed)) for seed in range(10)]
    equal = min(reals, fakes)
    mean = sum(float(row["coverage"]) for row in rows) / 10
    assert mean == pytest.approx(expected_coverage(equal, equal), abs=0.02) and rows[0]["compared"] == equal


def test_another_number_of_samples_is_no_loss_of_modes() -> None:
    coverage = [float(measured(normal(2_000, 4, 0), normal(n, 4, 1))["coverage"]) for n in (2_000, 40)]
    assert HEALTH_RULES["mode-loss"]({"coverage": coverage, "d_updates": [1000.0]}) is None


def test_coverage_of_as_many_samples_is_the_metrics() -> None:
    real, fake = normal(50, 3, 0), normal(50, 3, 1) + 0.5
    assert measured(real, fake)["coverage"] == density_coverage(real, fake).coverage


@pytest.mark.parametrize(("reals", "fakes"), [(5, 100), (100, 5)])
def test_too_few_samples_have_no_neighbourhoods(reals: int, fakes: int) -> None:
    assert Variety.of(normal(reals, 2, 0), fakes, seed=0) is None
