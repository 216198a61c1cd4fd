"""How often each class is drawn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganneal.data.classes import class_counts, drawn_classes


def shares(counts: list[int], count: int, classes: str = "data", seed: int = 0) -> list[int]:
    labels = drawn_classes(counts, count, classes, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    assert labels.shape == (count,) and labels.dtype == torch.int64
    return labels.bincount(minlength=len(counts)).tolist()


def test_shares_that_fit_are_met_exactly() -> None:
    assert shares([360, 40], 100) == [90, 10]
    assert shares([360, 40], 400) == [360, 40]
    assert shares([360, 0, 40], 100, "uniform") == [50, 0, 50]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any),
    st.integers(1, 300),
    st.sampled_from(["data", "uniform"]),
    st.integers(0, 1000),
)
def test_each_class_is_within_one_sample_of_its_share(counts: list[int], count: int, classes: str, seed: int) -> None:
    weights = counts if classes == "data" else [min(c, 1) for c in counts]
    for found, weight in zip(shares(counts, count, classes, seed), weights, strict=True):
        exact = count * weight / sum(weights)
        assert abs(found - exact) < 1 + 1e-9 and (weight or not found)


def test_few_samples_are_of_each_class_as_often_as_its_share() -> None:
    total = torch.tensor([shares([70, 20, 10], 1, seed=seed) for seed in range(2000)]).sum(0) / 2000
    torch.testing.assert_close(total, torch.tensor([0.7, 0.2, 0.1]), atol=0.035, rtol=0)  # three standard errors


def test_the_order_is_random_and_the_seeds() -> None:
    first = drawn_classes([3, 1], 64, "data", torch.Generator().manual_seed(1))
    again = drawn_classes([3, 1], 64, "data", torch.Generator().manual_seed(1))
    other = drawn_classes([3, 1], 64, "data", torch.Generator().manual_seed(2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 4 <= int(first[:32].sum()) <= 12  # 8 on average: a part of the samples has the shares too


def test_counts_are_of_every_class() -> None:
    assert class_counts(torch.tensor([2, 0, 2]).numpy(), 4) == [1, 0, 2, 0]
    assert class_counts(None, 0) == [] == class_counts(torch.tensor([1]).numpy(), 0)


def test_another_word_is_refused() -> None:
    from ganneal.data.classes import check_classes

    with pytest.raises(ValueError, match=r"classes must be 'data' .* or 'uniform' .*got 'equal'"):
        check_classes("classes", "equal")
