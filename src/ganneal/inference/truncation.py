"""Truncated latents: fewer samples in the tails, more of each sample's quality, less variety."""

from dataclasses import dataclass
from math import erf, isfinite, sqrt
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.models import Latent, Normal

Form = Literal["resample", "scale"]


@dataclass(frozen=True)
class Truncation:
    """Normal latents kept near 0.

    "resample" draws every entry beyond ``bound`` again until it is within; "scale" multiplies all entries by ``bound``,
    as the curves of the authors' code do. A value of one form is not that of the other.

    References:
        Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019, sec. 3.1.
    """

    bound: float
    form: Form = "resample"

    def __post_init__(self) -> None:
        if not (isfinite(self.bound) and self.bound > 0):
            raise ValueError(
                f"truncation must be a finite number above 0, got {self.bound}; leave it out for all of the latents."
            )
        if self.form not in get_args(Form):
            raise ValueError(f"form of truncation must be {' or '.join(get_args(Form))}, got {self.form!r}.")

    def check(self, latent: Latent) -> None:
        """Refuse latents that are not normal.

        Raises:
            ValueError: They are not.
        """
        if not isinstance(latent, Normal):
            raise ValueError(f"truncation needs standard normal latents, got {latent}; leave it out.")

    def __call__(self, latents: Float[Tensor, "count size"], random: torch.Generator) -> Float[Tensor, "count size"]:
        """``latents`` truncated. Entries within the bound stay, the others are redrawn from the random generator."""
        match self.form:
            case "scale":
                return self.bound * latents
            case "resample":
                return torch.where(latents.abs() > self.bound, self._within(latents, random), latents)

    def _within(self, like: Tensor, random: torch.Generator) -> Tensor:
        """Normal numbers under the condition that they are within the bound, by their distribution function."""
        uniform = torch.rand(like.shape, generator=random, dtype=torch.float64, device=random.device)
        drawn = sqrt(2) * torch.erfinv((2 * uniform - 1) * erf(self.bound / sqrt(2)))
        return drawn.clamp(-self.bound, self.bound).to(like)
