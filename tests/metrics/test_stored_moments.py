"""Files of mean and covariance: written, read, in the layouts of others, and refused where they are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.for_each import for_each

from ganneal.metrics.frechet import frechet_distance
from ganneal.metrics.measures import METRICS
from ganneal.metrics.moments import Moments
from ganneal.metrics.protocol import Evidence
from ganneal.metrics.stored_moments import StatisticsCard, holds_moments, read_moments, write_moments

RANDOM = np.random.default_rng(0)
REAL, FAKE = (torch.from_numpy(RANDOM.normal(size=(60, 5)) @ RANDOM.normal(size=(5, 5))) for _ in range(2))
CARD = StatisticsCard(60, (3, 8, 8), "photos", "f00", "none", {"name": "pixels4"}, {"type": "Pixels", "size": 4})


def measured(path: Path, count: int | None = None) -> tuple[float, tuple[str, ...]]:
    real = Evidence(torch.zeros(0, 5, dtype=torch.float64), stored=read_moments(path, count))
    [value] = METRICS["frechet"](real, Evidence(FAKE))
    return value.value, value.warnings


def test_the_distance_to_a_file_is_the_distance_to_the_features(tmp_path: Path) -> None:
    write_moments(tmp_path / "a.npz", Moments.of(REAL), CARD)
    assert read_moments(tmp_path / "a.npz").card == CARD
    value, warned = measured(tmp_path / "a.npz")
    assert value == pytest.approx(frechet_distance(REAL, FAKE), rel=1e-12) and warned == ()


def test_other_programs_read_mu_and_sigma(tmp_path: Path) -> None:
    write_moments(tmp_path / "a.npz", Moments.of(REAL), CARD)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_allclose(file["mu"], REAL.numpy().mean(0), rtol=1e-12)
        np.testing.assert_allclose(file["sigma"], np.cov(REAL.numpy(), rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_file_of_pytorch_fid_is_read_and_its_count_is_unknown_until_it_is_given(tmp_path: Path, dtype: type) -> None:
    mu, sigma = REAL.numpy().mean(0), np.cov(REAL.numpy(), rowvar=False)
    np.savez(tmp_path / "a.npz", mu=mu.astype(dtype), sigma=sigma.astype(dtype))
    value, warned = measured(tmp_path / "a.npz")
    assert value == pytest.approx(frechet_distance(REAL, FAKE), rel=1e-5)
    assert warned == ("number of real samples unknown",)
    assert measured(tmp_path / "a.npz", 60)[1] == () and measured(tmp_path / "a.npz", 20)[1] == ("n<5d",)
    with pytest.raises(ValueError, match="n=5 for d=5"):
        measured(tmp_path / "a.npz", 5)


def test_a_count_is_not_contradicted(tmp_path: Path) -> None:
    write_moments(tmp_path / "a.npz", Moments.of(REAL), CARD)
    assert read_moments(tmp_path / "a.npz", 60).count == 60
    with pytest.raises(ValueError, match="real_count must be left out or 60, .* got 61"):
        read_moments(tmp_path / "a.npz", 61)
    with pytest.raises(ValueError, match="real_count must be at least 2, got 1"):
        read_moments(tmp_path / "a.npz", 1)


@for_each(
    ("mu", "sigma", "said"),
    [
        (np.zeros(3), np.eye(4), r"shapes \[d\] and \[d, d\], got \[3\] and \[4, 4\]"),
        (np.zeros((3, 1)), np.eye(3), r"shapes \[d\] and \[d, d\]"),
        (np.zeros(0), np.zeros((0, 0)), r"shapes \[d\] and \[d, d\]"),
        (np.array([0, np.nan]), np.eye(2), "must be finite"),
        (np.zeros(2), np.diag([1, np.inf]), "must be finite"),
        (np.zeros(2), np.diag([1, -1.0]), "without negative eigenvalues"),
        (np.zeros(2), np.array([[1, 0.9], [0, 1]]), "symmetric"),
        (np.array(["a"]), np.eye(1), "must be numbers"),
        (np.array([None]), np.eye(1), "cannot be read"),
    ],
)
def test_what_is_no_mean_and_covariance_is_refused(
    tmp_path: Path, mu: np.ndarray, sigma: np.ndarray, said: str
) -> None:
    np.savez(tmp_path / "a.npz", mu=mu, sigma=sigma, allow_pickle=True)
    with pytest.raises(ValueError, match=said):
        read_moments(tmp_path / "a.npz")


@for_each("about", ["{", "[]", '{"format": 2}', '{"format": 1, "count": 3}'])
def test_a_damaged_card_is_refused(tmp_path: Path, about: str) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(2), sigma=np.eye(2), about=np.array(about))
    with pytest.raises(ValueError, match=r"the statistics in .*a\.npz cannot be read"):
        read_moments(tmp_path / "a.npz")


def test_a_file_is_known_by_its_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(2), sigma=np.eye(2))
    np.savez(tmp_path / "b.npz", mu=np.zeros(2))
    (tmp_path / "c.npz").write_bytes(b"PK")
    assert [holds_moments(tmp_path / f"{name}.npz") for name in "abcd"] == [True, False, False, False]
