import warnings
from math import sqrt

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from ganneal.metrics import Moments, frechet_distance
from ganneal.metrics.frechet import extrapolated_frechet


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def bias(eigenvalues: Tensor) -> float:
    """Of one side at equal Gaussians, times its sample count."""
    rows, columns = eigenvalues[:, None], eigenvalues[None]
    pairs = rows * columns / (rows + columns) * (1 + torch.eye(len(eigenvalues)))
    return float(eigenvalues.sum() + pairs.sum() / 2)


def test_sizes_run_evenly_from_a_tenth_of_the_fakes_to_all():
    assert extrapolated_frechet(normal(100, 2), normal(1000, 2), points=4).sizes == (100, 400, 700, 1000)
    assert extrapolated_frechet(normal(100, 2), normal(1000, 2)).sizes[:3] == (100, 164, 229)


def test_sizes_start_above_d_where_a_tenth_is_singular():
    assert extrapolated_frechet(normal(60, 10), normal(51, 10), points=5).sizes == (11, 21, 31, 41, 51)


def test_each_distance_is_that_of_a_fresh_permutation_and_the_line_their_least_squares():
    real, fake = normal(300, 3), 1.5 * normal(200, 3, seed=1) + 1
    found = extrapolated_frechet(real, fake, points=6, seed=4)
    generator = np.random.default_rng(4)
    expected = [frechet_distance(real, fake[generator.permutation(200)[:size]]) for size in found.sizes]
    assert found.distances == pytest.approx(expected, rel=1e-12)
    design = np.stack([np.ones(6), 1 / np.array(found.sizes)], axis=1)
    line = np.linalg.lstsq(design, np.array(expected), rcond=None)[0]
    assert (found.value, found.slope) == pytest.approx(line.tolist(), rel=1e-9)


def test_the_last_size_is_the_plain_distance():
    real, fake = normal(300, 3), 1.5 * normal(200, 3, seed=1) + 1
    assert extrapolated_frechet(real, fake).distances[-1] == pytest.approx(frechet_distance(real, fake), rel=1e-12)


def test_moments_of_the_real_set_and_arrays_serve_as_well():
    real, fake = normal(100, 3), normal(100, 3, seed=1)
    expected = extrapolated_frechet(real, fake)
    assert extrapolated_frechet(Moments.of(real), fake.numpy()) == expected
    assert extrapolated_frechet(real, fake, seed=1) != expected


def test_two_points_give_the_line_through_both():
    found = extrapolated_frechet(normal(100, 2), normal(100, 2, seed=1), points=2)
    for size, distance in zip(found.sizes, found.distances, strict=True):
        assert found.value + found.slope / size == pytest.approx(distance, rel=1e-9)


def test_a_set_against_its_own_distribution_loses_the_bias_of_the_fakes_alone():
    # means over 60 data sets; the real side's bias stays in the intercept
    n, m, eigenvalues = 1000, 400, torch.tensor([1.0, 4.0, 0.25, 1.0]).double()
    found = [
        extrapolated_frechet(normal(n, 4, seed=s) * eigenvalues.sqrt(), normal(m, 4, seed=s + 500) * eigenvalues.sqrt())
        for s in range(60)
    ]
    for values, expected in (
        ([each.value for each in found], bias(eigenvalues) / n),
        ([each.slope for each in found], bias(eigenvalues)),
        ([each.distances[-1] for each in found], bias(eigenvalues) * (1 / n + 1 / m)),
    ):
        error = float(np.std(values, ddof=1)) / sqrt(60)
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)
    assert bias(torch.ones(6).double()) == pytest.approx(6 + 6 * 7 / 4)


def test_unlike_the_distance_the_intercept_does_not_depend_on_how_many_fakes():
    # a shift of 2 in one of 6 dimensions is a distance of 4; 30 repeats, real moments exact
    real = Moments(10**9, torch.zeros(6).double(), (10**9 - 1) * torch.eye(6).double())
    shift = torch.tensor([2.0, 0, 0, 0, 0, 0]).double()
    for m in (150, 600):
        fakes = [normal(m, 6, seed=1000 * m + s) + shift for s in range(30)]
        plain = [frechet_distance(real, fake) for fake in fakes]
        value = [extrapolated_frechet(real, fake).value for fake in fakes]
        assert np.mean(value) == pytest.approx(4, abs=3.5 * float(np.std(value, ddof=1)) / sqrt(30))
        assert np.mean(plain) == pytest.approx(4 + (6 + 6 * 7 / 4) / m, abs=3.5 * float(np.std(plain)) / sqrt(30))


def test_warns_once_below_five_rows_a_feature():
    with pytest.warns(UserWarning, match=r"n=19 rows, below 5 d = 20") as caught:
        extrapolated_frechet(normal(100, 4), normal(19, 4, seed=1))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extrapolated_frechet(normal(20, 4), normal(20, 4, seed=1))


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="fake must have more rows than features, got n=4 for d=4"):
        extrapolated_frechet(normal(9, 4), normal(4, 4))
    with pytest.raises(ValueError, match="real must have more rows than features, got n=4 for d=4"):
        extrapolated_frechet(normal(4, 4), normal(9, 4))
    with pytest.raises(ValueError, match=r"fake must have at least d \+ 2 = 6 rows for a line over sizes, got 5"):
        extrapolated_frechet(normal(9, 4), normal(5, 4))
    with pytest.raises(ValueError, match="real must have at least 2 rows, got 1"):
        extrapolated_frechet(normal(1, 4), normal(9, 4))


def test_one_point_is_no_line():
    with pytest.raises(ValueError, match="points must be at least 2 for a line, got 1"):
        extrapolated_frechet(normal(20, 2), normal(20, 2), points=1)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_features_are_refused_by_name():
    good, bad = normal(30, 2), normal(30, 2)
    bad[4] = torch.nan
    with pytest.raises(ValueError, match="fake must be finite, got NaN or infinity in 1 of 30 rows"):
        extrapolated_frechet(good, bad)
    with pytest.raises(ValueError, match="real must be finite"):
        extrapolated_frechet(bad, good)
    with pytest.raises(ValueError, match="the same d, got d=2 and d=1"):
        extrapolated_frechet(good, good[:, :1])
    with pytest.raises(ValueError, match=r"fake must have shape \[n, d\]"):
        extrapolated_frechet(good, good[:, 0])
