"""The entropy bound: torch's own density, tight where the encoder is the posterior, an encoder for every shape."""

import math

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.models import MLP
from ganneal.optim import LinearDecay
from ganneal.regularizers import GeneratorContext, LatentEntropy, latent_log_density
from ganneal.regularizers.entropy import Encoder


def test_the_density_is_the_normals() -> None:
    random = torch.Generator().manual_seed(0)
    mean, log_deviation, latents = torch.randn(3, 5, 4, generator=random, dtype=torch.float64)
    expected = torch.distributions.Normal(mean, log_deviation.exp()).log_prob(latents).sum(1)
    torch.testing.assert_close(latent_log_density(mean, log_deviation, latents), expected)


def test_the_bound_is_tight_where_the_encoder_is_the_posterior_and_below_it_elsewhere() -> None:
    # x = a z + s n: E log q(z|x) is at most -H(z|x), the negative entropy of the normal posterior
    a, s, count = 1.5, 0.7, 400_000
    random = torch.Generator().manual_seed(0)
    z, noise = torch.randn(2, count, 1, generator=random, dtype=torch.float64)
    x = a * z + s * noise
    variance = s * s / (a * a + s * s)
    posterior = a / (a * a + s * s) * x
    log_deviation = torch.full_like(x, 0.5 * math.log(variance))
    tight = latent_log_density(posterior, log_deviation, z).mean().item()
    exact = -0.5 * math.log(2 * math.pi * math.e * variance)
    assert tight == pytest.approx(exact, abs=5 * 0.71 / count**0.5)  # five standard errors of a half chi-square's mean
    for mean, spread in [(posterior * 1.1, log_deviation), (posterior, log_deviation + 0.2), (0 * x, 0 * x)]:
        assert latent_log_density(mean, spread, z).mean().item() < tight


@for_each("shape", [(2,), (1, 8, 8), (3, 28, 28), (1, 4, 4), (3, 32, 32)], ids=str)
def test_there_is_an_encoder_for_every_shape(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    mean, log_deviation = Encoder(shape, latent_size=5, width=4)(torch.randn(3, *shape))
    assert mean.shape == log_deviation.shape == (3, 5)


def test_log_deviations_stay_within_their_range() -> None:
    torch.manual_seed(0)
    _, log_deviation = Encoder((2,), 3, 8)(1e4 * torch.randn(100, 2))
    assert log_deviation.min() == -5 and log_deviation.max() == 2


def term(part: LatentEntropy, num_real: int = 0) -> Tensor | None:
    torch.manual_seed(0)
    pair = MLP(width=8, depth=2, latent_size=3).build((2,))
    network = part.build(pair)
    latents = torch.randn(6, 3)
    context = GeneratorContext(
        pair.generator,
        latents,
        pair.generator(latents),
        Counters(num_real=num_real),
        torch.Generator(),
        network,
    )
    return part.generator_term(context, {})


class Itself(nn.Module):
    """An encoder that takes a sample for its latent, with deviation 1."""

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        return samples, torch.zeros_like(samples)


def test_the_term_is_minus_the_mean_density_and_pulls_samples_towards_their_latents() -> None:
    latents = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    fake = (latents + 0.5).requires_grad_()
    context = GeneratorContext(nn.Identity(), latents, fake, Counters(), torch.Generator(), Itself())
    found = LatentEntropy(2.0).generator_term(context, {})
    assert found is not None
    torch.testing.assert_close(found, -2 * torch.distributions.Normal(fake, 1.0).log_prob(latents).sum(1).mean())
    (gradient,) = torch.autograd.grad(found, fake)
    torch.testing.assert_close(gradient, 2 * (fake - latents) / 6)


def test_the_coefficient_follows_its_rule() -> None:
    whole, half = term(LatentEntropy()), term(LatentEntropy(2.0, rule=LinearDecay(end=100)), num_real=75)
    assert whole is not None and half is not None
    torch.testing.assert_close(half, 0.5 * whole)
    assert term(LatentEntropy(rule=LinearDecay(end=100)), num_real=100) is None


@pytest.mark.parametrize(("field", "value"), [("coefficient", -1.0), ("width", 0)])
def test_bad_numbers_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        LatentEntropy(**{field: value})  # type: ignore[arg-type]
