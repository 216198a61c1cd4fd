"""A diffusion in a few large steps: noise added to clean samples, and one step taken back where the clean one is known.

References:
    Xiao et al., Tackling the Generative Learning Trilemma with Denoising Diffusion GANs, 2022; the schedule is that of
    its published code, a variance-preserving process seen at ``steps + 1`` times (Song et al., 2021).
"""

from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ganneal.logits import Samples

FIRST_TIME = 1e-3
"""First time of the process, where the samples count as clean; the last time is 1."""

Times = Int[Tensor, " batch"]


class Tables(NamedTuple):
    """Factors of a diffusion of T steps; symbols of the paper: beta -> ``betas``.

    Indices of the first three are 0..T, of the last three 0..T-1.
    """

    betas: Tensor
    """Variance of the noise that enters at step k; 0 at k = 0."""
    signal: Tensor
    """Factor on the clean sample after k steps: the product of sqrt(1 - beta)."""
    noise: Tensor
    """Standard deviation of all noise after k steps."""
    from_clean: Tensor
    """Share of x_0 in the mean of x_t, given it and x_{t+1}."""
    from_noisier: Tensor
    """Share of x_{t+1} in it."""
    deviation: Tensor
    """Standard deviation of x_t, given both; 0 at t = 0."""


@dataclass(frozen=True)
class Diffusion:
    """Variance-preserving noise in ``steps`` steps, its rate growing from ``beta_min`` to ``beta_max``.

    Symbols: T -> ``steps``; t = 0 is a clean sample, t = T nearly pure noise.
    """

    steps: int = 4
    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}; use the task 'unconditional' for none.")
        if not (isfinite(self.beta_max) and 0 <= self.beta_min <= self.beta_max and self.beta_max > 0):
            raise ValueError(
                "beta_min and beta_max must satisfy 0 <= beta_min <= beta_max, the latter above 0 and finite, got "
                f"{self.beta_min} and {self.beta_max}. The published ones are 0.1 and 20."
            )

    def remaining(self, time: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Share of the clean sample's variance that is left at a ``time`` of the process in [0, 1]."""
        # exp of minus the integral of beta(s) = beta_min + s (beta_max - beta_min) from 0 to the time.
        return torch.exp(-0.5 * (self.beta_max - self.beta_min) * time.square() - self.beta_min * time)

    def tables(self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Tables:
        """The coefficients, computed in float64 and rounded once."""
        return _tables(self, dtype, torch.device(device))

    def pair(self, clean: Samples, t: Times, first: Samples, second: Samples) -> tuple[Samples, Samples]:
        """x_t and x_{t+1} of one path for t in 0..T-1, from standard normal noise of the same shape; x_0 is ``clean``.

        One t for each sample.
        """
        tables = self.tables(clean.dtype, clean.device)
        # x_t in one draw from x_0, then one more step from it: both lie on one path.
        now = _at(tables.signal, t, clean) * clean + _at(tables.noise, t, clean) * first
        beta = _at(tables.betas, t + 1, clean)
        return now, (1 - beta).sqrt() * now + beta.sqrt() * second

    def posterior(self, clean: Samples, noisier: Samples, t: Times, noise: Samples) -> Samples:
        """x_t drawn given x_0 and x_{t+1}, from standard normal ``noise``; ``clean`` itself for t = 0."""
        from_clean, from_noisier, deviation = self.shares(t, noisier)
        return from_clean * clean + from_noisier * noisier + deviation * noise

    def shares(self, t: Times, noisier: Samples) -> tuple[Tensor, Tensor, Tensor]:
        """Factors of the clean sample, of ``noisier`` and of the noise in `posterior`, to be multiplied with them."""
        tables = self.tables(noisier.dtype, noisier.device)
        from_clean, from_noisier, deviation = (
            _at(table, t, noisier) for table in (tables.from_clean, tables.from_noisier, tables.deviation)
        )
        return from_clean, from_noisier, deviation


def _at(table: Tensor, t: Times, samples: Tensor) -> Tensor:
    """The entries for each sample, to be multiplied with them."""
    # [batch, 1, ...]
    return table[t].view(-1, *(1,) * (samples.dim() - 1))


@cache
def _tables(diffusion: Diffusion, dtype: torch.dtype, device: torch.device) -> Tables:
    steps = diffusion.steps
    # [T + 1], from nearly clean to the end of the process.
    times = FIRST_TIME + (1 - FIRST_TIME) * torch.arange(steps + 1, dtype=torch.float64) / steps
    remaining = diffusion.remaining(times)
    # Variances multiply along the way, so a step's beta is what is lost between two times.
    later = 1 - remaining[1:] / remaining[:-1]
    # The published code starts with a variance of 1e-8, which float32 makes none at all beside 1.
    betas = torch.cat([torch.zeros(1, dtype=torch.float64), later])
    left = (1 - betas).cumprod(0)  # of the clean sample's variance, as if none were lost before the first time
    before, after = left[:-1], left[1:]
    tables = Tables(
        betas=betas,
        signal=left.sqrt(),
        noise=(1 - left).sqrt(),
        # q(x_t | x_{t+1}, x_0) is normal: its mean mixes both in inverse proportion to their noise (Ho et al., 2020,
        # Eq. 7).
        from_clean=later * before.sqrt() / (1 - after),
        from_noisier=(1 - before) * (1 - later).sqrt() / (1 - after),
        deviation=(later * (1 - before) / (1 - after)).sqrt(),
    )
    # Rounded only here: where little noise has entered, 1 - left has hardly a digit in float32.
    return Tables(*(table.to(device=device, dtype=dtype) for table in tables))
