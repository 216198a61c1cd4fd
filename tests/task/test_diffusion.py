"""The diffusion's coefficients: given values, and the laws they must obey."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.task.diffusion import Diffusion

PUBLISHED = Diffusion()
STEPS = st.integers(1, 8)
DIFFUSIONS = st.builds(Diffusion, STEPS, beta_min=st.floats(0.01, 1), beta_max=st.floats(1, 30))


def close(found: Tensor, expected: list[float], dtype: torch.dtype) -> None:
    # Given are figures of the published code, which rounds the variances, 0.987 the largest, to float32: 1 - 0.987 is
    # then off by 3e-8 of 0.0126 at most, 2.4e-6.
    torch.testing.assert_close(found, torch.tensor(expected, dtype=dtype), rtol=2.5e-6, atol=1e-12)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_coefficients_of_four_steps(dtype: torch.dtype) -> None:
    times = 0.001 + 0.999 * torch.arange(5, dtype=torch.float64) / 4
    remaining = [0.9998901, 0.5216873, 0.07866732, 0.003428502, 4.318575e-05]
    close(PUBLISHED.remaining(times), remaining, torch.float64)
    tables = PUBLISHED.tables(dtype)
    close(tables.betas, [0, 0.4782553, 0.8492060, 0.9564177, 0.9874039], dtype)
    close(tables.signal, [1, 0.7223190, 0.2804924, 0.05855665, 0.006571943], dtype)
    close(tables.from_clean, [1, 0.6657785, 0.2691908, 0.05782156], dtype)
    close(tables.from_noisier, [0, 0.2015763, 0.1930009, 0.1118522], dtype)
    close(tables.deviation.square(), [0, 0.4408191, 0.8842024, 0.9840608], dtype)
    assert tables.signal[0] == 1 and tables.noise[0] == 0  # exactly, so that x_0 is the sample itself


@settings(max_examples=25)
@given(DIFFUSIONS)
def test_what_is_left_is_the_process_seen_from_its_first_time(diffusion: Diffusion) -> None:
    tables = diffusion.tables()
    times = 0.001 + 0.999 * torch.arange(diffusion.steps + 1, dtype=torch.float64) / diffusion.steps
    remaining = diffusion.remaining(times)
    torch.testing.assert_close(tables.signal.square(), remaining / remaining[0])
    torch.testing.assert_close(tables.signal.square() + tables.noise.square(), torch.ones_like(times))
    assert (tables.betas[1:] > 0).all() and (tables.signal.diff() < 0).all()


@settings(max_examples=25)
@given(DIFFUSIONS)
def test_the_posterior_is_the_conditional_of_the_forward_pair(diffusion: Diffusion) -> None:
    # Given x_0 the pair is Gaussian: var x_t = S^2, cov = a S^2, var x_{t+1} = a^2 S^2 + beta; condition it by hand.
    tables = diffusion.tables()
    beta, kept = tables.betas[1:], (1 - tables.betas[1:]).sqrt()
    variance = tables.noise[:-1].square()
    gain = kept * variance / (kept.square() * variance + beta)
    torch.testing.assert_close(tables.from_noisier, gain)
    torch.testing.assert_close(tables.from_clean, tables.signal[:-1] - gain * tables.signal[1:])
    torch.testing.assert_close(tables.deviation.square(), variance - gain * kept * variance)


@settings(max_examples=25)
@given(DIFFUSIONS, st.data())
def test_a_pair_follows_its_noise(diffusion: Diffusion, data: st.DataObject) -> None:
    t = torch.tensor([data.draw(st.integers(0, diffusion.steps - 1)) for _ in range(3)])
    clean, first, second = (normal(3, 2, seed=seed) for seed in range(3))
    now, noisier = diffusion.pair(clean, t, first, second)
    tables = diffusion.tables()
    for i, step in enumerate(t.tolist()):
        expected = tables.signal[step] * clean[i] + tables.noise[step] * first[i]
        torch.testing.assert_close(now[i], expected)
        beta = tables.betas[step + 1]
        torch.testing.assert_close(noisier[i], (1 - beta).sqrt() * expected + beta.sqrt() * second[i])


def test_time_zero_is_the_clean_sample_in_both_directions() -> None:
    clean = normal(4, 1, 2, 2).float()
    t = torch.zeros(4, dtype=torch.int64)
    now, noisier = PUBLISHED.pair(clean, t, torch.randn_like(clean), torch.randn_like(clean))
    assert torch.equal(now, clean) and now.dtype == torch.float32
    torch.testing.assert_close(
        PUBLISHED.posterior(clean, noisier, t, torch.randn_like(clean)), clean, rtol=1e-6, atol=0
    )


def test_a_posterior_sample_of_the_true_clean_one_has_the_law_of_the_pair() -> None:
    # x_t drawn anew given x_0 and x_{t+1} has the moments of x_t, and its covariance with x_{t+1}.
    count = 40_000
    clean, t = torch.full((count, 1), 0.7, dtype=torch.float64), torch.full((count,), 2)
    now, noisier = PUBLISHED.pair(clean, t, normal(count, 1), normal(count, 1, seed=1))
    again = PUBLISHED.posterior(clean, noisier, t, normal(count, 1, seed=2))
    for found in (now, again):
        both = torch.cat([found, noisier], 1)
        tables = PUBLISHED.tables()
        variance = tables.noise[2].square()
        covariance = variance * (1 - tables.betas[3]).sqrt()
        assert both.mean(0)[0].item() == pytest.approx(0.7 * tables.signal[2].item(), abs=5 / math.sqrt(count))
        torch.testing.assert_close(both.T.cov()[0], torch.stack([variance, covariance]), atol=0.04, rtol=0)


@for_each(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"beta_min": -0.1}, "0 <= beta_min <= beta_max"),
        ({"beta_min": 30.0}, "got 30.0 and 20.0"),
        ({"beta_min": 0.0, "beta_max": 0.0}, "got 0.0 and 0.0"),
        ({"beta_max": math.inf}, "got 0.1 and inf"),
        ({"beta_max": math.nan}, "got 0.1 and nan"),
    ],
)
def test_what_is_not_allowed_is_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffusion(**wrong)  # type: ignore[arg-type]
