import warnings

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from ganneal.metrics import frechet_distance
from ganneal.metrics.per_class import per_class_frechet


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def three_classes() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unequal real classes 0, 4, 9 in mixed order; each fake class shifted by its number."""
    real, fake = normal(90, 2), normal(60, 2, seed=1)
    real_labels = torch.tensor([0, 4, 9, 9, 4, 0, 0, 0, 9]).repeat(10)
    fake_labels = torch.tensor([9, 4, 0]).repeat_interleave(20)
    return real, real_labels, fake + fake_labels[:, None], fake_labels


def test_each_class_has_the_distance_of_its_own_samples():
    real, real_labels, fake, fake_labels = three_classes()
    result = per_class_frechet(real, real_labels, fake, fake_labels)
    assert list(result.distances) == [0, 4, 9]
    for c, distance in result.distances.items():
        expected = frechet_distance(real[real_labels == c], fake[fake_labels == c])
        assert distance == pytest.approx(expected, rel=1e-12)
    assert result.worst == (result.distances[9], 9)
    assert result.worst[0] > result.distances[4] > result.distances[0]


def test_the_mean_weighs_classes_alike_whatever_their_real_counts():
    result = per_class_frechet(*three_classes())
    assert result.mean == pytest.approx(sum(result.distances.values()) / 3, rel=1e-14)


def test_scaled_and_shifted_classes_match_the_closed_form():
    corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]).repeat(3, 1)
    real, labels = torch.cat([corners, corners + 5]), torch.arange(2).repeat_interleave(12)
    fake = torch.cat([corners, corners + 6])
    result = per_class_frechet(real, labels, fake, labels)
    assert result.distances == pytest.approx({0: 0, 1: 2}, abs=1e-12)
    assert result.mean == pytest.approx(1, abs=1e-12)


def test_sees_classes_that_were_swapped_where_the_whole_set_does_not():
    real, labels = torch.cat([normal(40, 2), normal(40, 2, seed=1) + 4]), torch.arange(2).repeat_interleave(40)
    assert frechet_distance(real, real) < 1e-9
    assert per_class_frechet(real, labels, real, 1 - labels).worst[0] > 20


def test_order_within_and_between_classes_is_irrelevant():
    real, real_labels, fake, fake_labels = three_classes()
    expected = per_class_frechet(real, real_labels, fake, fake_labels)
    other = per_class_frechet(real.flip(0), real_labels.flip(0), fake.roll(7, 0), fake_labels.roll(7))
    assert dict(other.distances) == pytest.approx(dict(expected.distances), rel=1e-12)


def test_arrays_and_small_integers_serve_as_well():
    real, real_labels, fake, fake_labels = three_classes()
    result = per_class_frechet(real.numpy(), real_labels.numpy().astype(np.uint8), fake, fake_labels.to(torch.int32))
    assert result == per_class_frechet(real, real_labels, fake, fake_labels)


def test_one_warning_speaks_for_the_smallest_class():
    labels = torch.arange(3).repeat_interleave(8)
    with pytest.warns(UserWarning, match="n=8 rows, below 5 d = 10") as caught:
        per_class_frechet(normal(24, 2), labels, normal(24, 2, seed=1), labels)
    assert len(caught) == 1
    labels = torch.arange(3).repeat_interleave(10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        per_class_frechet(normal(30, 2), labels, normal(30, 2, seed=1), labels)


def test_classes_with_as_many_features_as_rows_are_named_and_the_metric_refused():
    real_labels, fake_labels = torch.arange(3).repeat_interleave(10), torch.arange(3).repeat_interleave(4)
    real_labels[20:25] = 0
    with pytest.raises(ValueError, match=r"got 1 of 3 classes with fewer: 2 \(3 real, 4 fake\).*kernel distance"):
        per_class_frechet(normal(30, 3), real_labels[torch.arange(30)].where(torch.arange(30) < 28, 1), *fakes(3, 4))
    with pytest.raises(ValueError, match=r"d=4, in both sets; got 3 of 3 classes with fewer: 0 \(15 real, 4 fake\)"):
        per_class_frechet(normal(30, 4), real_labels, normal(12, 4), fake_labels)


def fakes(d: int, each: int) -> tuple[Tensor, Tensor]:
    return normal(3 * each, d, seed=1), torch.arange(3).repeat_interleave(each)


def test_a_class_without_fakes_or_without_real_samples_is_refused():
    labels = torch.arange(2).repeat_interleave(20)
    with pytest.raises(ValueError, match=r"1 \(20 real, 0 fake\)"):
        per_class_frechet(normal(40, 2), labels, normal(20, 2), torch.zeros(20, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"7 \(0 real, 20 fake\)"):
        per_class_frechet(normal(40, 2), labels, normal(60, 2), torch.tensor([0, 1, 7]).repeat(20))


def test_many_refused_classes_are_listed_in_part():
    labels = torch.arange(20).repeat_interleave(2)
    with pytest.raises(ValueError, match=r"got 20 of 20 classes.*7 \(2 real, 2 fake\), \.\.\.\. Use"):
        per_class_frechet(normal(40, 2), labels, normal(40, 2), labels)


def test_unequal_numbers_of_fakes_are_refused():
    labels = torch.arange(2).repeat_interleave(20)
    uneven = torch.tensor([0] * 15 + [1] * 25)
    with pytest.raises(ValueError, match="got 15 of class 0 and 25 of class 1. Generate equal numbers"):
        per_class_frechet(normal(40, 2), labels, normal(40, 2), uneven)
    per_class_frechet(normal(40, 2), uneven, normal(40, 2), labels)  # real ones are as the data set has them


@pytest.mark.usefixtures("no_shape_checks")
def test_labels_that_do_not_fit_are_refused_by_name():
    x, labels = normal(40, 2), torch.arange(2).repeat_interleave(20)
    with pytest.raises(ValueError, match=r"real_labels must have shape \[40\], one per row of real, got \[39\]"):
        per_class_frechet(x, labels[1:], x, labels)
    with pytest.raises(ValueError, match=r"fake_labels must have shape \[40\].*got \[40, 1\]"):
        per_class_frechet(x, labels, x, labels[:, None])
    for wrong in (labels.float(), labels.bool(), labels.double().numpy()):
        with pytest.raises(ValueError, match="fake_labels must be integers, got torch"):
            per_class_frechet(x, labels, x, wrong)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_features_are_refused_by_name():
    good, bad, labels = normal(40, 2), normal(40, 2), torch.arange(2).repeat_interleave(20)
    bad[3] = torch.nan
    with pytest.raises(ValueError, match="fake must be finite, got NaN or infinity in 1 of 40 rows"):
        per_class_frechet(good, labels, bad, labels)
    with pytest.raises(ValueError, match="the same d, got real d=2, fake d=1"):
        per_class_frechet(good, labels, good[:, :1], labels)
    with pytest.raises(ValueError, match=r"real must have shape \[n, d\]"):
        per_class_frechet(good[0], labels, good, labels)
