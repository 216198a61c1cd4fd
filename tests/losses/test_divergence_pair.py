"""Every pair of divergences as a loss: values, the shared optimum, scales, caps, and total variation."""

import math
import re
from itertools import product

import pytest
import torch
from tests.for_each import for_each

from ganneal.divergences import DIVERGENCES, FDivergence
from ganneal.losses import (
    LOSSES,
    DivergencePair,
    Hybrid,
    Loss,
    Minimax,
    NonSaturating,
    TotalVariation,
)
from ganneal.theory.normals import (
    Normal1D,
    divergence,
    divergence_gradient,
    generator_gradient,
    nodes,
    normal_log_ratio,
)

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.25, 3.0], dtype=torch.float64)
PAIRS = list(product(DIVERGENCES, DIVERGENCES))
every_pair = for_each(("f", "g"), PAIRS, ids=[f"{f}-{g}" for f, g in PAIRS])
P, Q = Normal1D(-0.3, 0.9), Normal1D(0.4, 1.1)


@for_each(
    ("name", "value"),
    [
        ("kl", 5.69756416667),
        ("reverse_kl", 0.736715923803),
        ("js", 1.22088243254),
        ("squared_hellinger", 1.92173704739),
        ("pearson_chi2", 64.885998035),
        ("neyman_chi2", 0.0257828892394),
        ("jeffreys", 3.21714004524),
        ("srkl", 0.252549415061),
        ("skl", 10.1742459008),
    ],
)
def test_discriminator_loss_of_every_divergence_on_the_check_batch(name: str, value: float) -> None:
    for g in DIVERGENCES:
        assert Hybrid(name, g).discriminator(REAL, FAKE).mean().item() == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(("name", "value"), [("srkl", 0.164332338504), ("kl", -6.19756416667)])
def test_generator_loss_on_the_check_batch(name: str, value: float) -> None:
    for f in DIVERGENCES:
        assert Hybrid(f, name).generator(FAKE).mean().item() == pytest.approx(value, rel=1e-11)


@every_pair
def test_every_pair_is_least_at_the_log_ratio_and_follows_its_second_divergence(f: str, g: str) -> None:
    loss = Hybrid(discriminator=f, generator=g)
    x = nodes(P, Q)
    best = normal_log_ratio(P, Q)(x).requires_grad_()
    weights = P.log_prob(x).exp(), Q.log_prob(x).exp()
    zero = torch.zeros_like(x)
    # real and fake outputs apart, for each sample's loss is a sum of both
    pointwise = weights[0] * loss.discriminator(best, zero) + weights[1] * loss.discriminator(zero, best)
    (slope,) = torch.autograd.grad(pointwise.sum(), best)
    scale = weights[0] * torch.autograd.grad(loss.discriminator(best, zero).sum(), best)[0].abs()
    # stationary at every point, whatever f is; the terms of skl cancel to e^d 1e-16, which is p 1e-16 under q
    assert (slope.abs() <= 1e-12 * scale + 1e-15 * weights[0] + 1e-300).all()
    followed = generator_gradient(loss.generator, P, Q)
    descended = divergence_gradient(DIVERGENCES[g], P, Q, step=2e-4)
    assert tuple(followed) == pytest.approx(tuple(descended), abs=1e-8, rel=1e-8)


@for_each("name", DIVERGENCES)
def test_discriminator_loss_at_the_optimum_is_minus_the_divergence(name: str) -> None:
    loss, x = Hybrid(name, name), nodes(P, Q)
    best, zero = normal_log_ratio(P, Q)(x), torch.zeros_like(x)
    integrand = P.log_prob(x).exp() * loss.discriminator(best, zero)
    integrand = integrand + Q.log_prob(x).exp() * loss.discriminator(zero, best)
    value = torch.trapezoid(integrand, x).item()
    assert value == pytest.approx(-divergence(DIVERGENCES[name], P, Q), rel=1e-11)
    assert loss.discriminator(zero, zero).abs().max().item() == 0


def test_logistic_losses_at_the_optimum_are_those_of_the_divergences() -> None:
    x = nodes(P, Q)
    d, p, q = normal_log_ratio(P, Q)(x), P.log_prob(x).exp(), Q.log_prob(x).exp()
    zero = torch.zeros_like(d)
    loss = NonSaturating()
    undecided = math.log(2)  # of the side that is held at zero
    critic = torch.trapezoid(p * (loss.discriminator(d, zero) - undecided), x)
    critic = critic + torch.trapezoid(q * (loss.discriminator(zero, d) - undecided), x)
    assert critic.item() == pytest.approx(1.25704699769, rel=1e-11)
    assert critic.item() == pytest.approx(2 * math.log(2) - divergence(DIVERGENCES["js"], P, Q) / 2, rel=1e-12)
    generator = torch.trapezoid(q * loss.generator(d), x).item()
    assert generator == pytest.approx(0.985944265134, rel=1e-11)


def test_the_default_pair_is_the_nonsaturating_gan_doubled_and_shifted() -> None:
    pair, plain = DivergencePair(), NonSaturating()
    assert pair == Hybrid("js", "srkl") == LOSSES["hybrid"]
    torch.testing.assert_close(
        pair.discriminator(REAL, FAKE), 2 * (plain.discriminator(REAL, FAKE) - 2 * math.log(2)), rtol=1e-14, atol=1e-14
    )
    for weight in (1.0, 0.3):
        expected = 2 * (plain.generator(FAKE, weight=weight) - math.log(2))
        torch.testing.assert_close(pair.generator(FAKE, weight=weight), expected, rtol=1e-14, atol=1e-14)
    saturating = 2 * Minimax().generator(FAKE) + 2 * math.log(2)
    torch.testing.assert_close(Hybrid("js", "js").generator(FAKE), saturating, rtol=1e-14, atol=1e-14)


def test_scales_multiply_each_players_loss() -> None:
    plain, scaled = Hybrid("js", "kl"), Hybrid("js", "kl", scale_d=0.5, scale_g=3.0)
    torch.testing.assert_close(scaled.discriminator(REAL, FAKE), 0.5 * plain.discriminator(REAL, FAKE))
    torch.testing.assert_close(scaled.generator(FAKE, weight=0.3), 3 * plain.generator(FAKE, weight=0.3))


def outcome(loss: Loss, real: torch.Tensor, fake: torch.Tensor) -> list[torch.Tensor]:
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    d_loss, g_loss = loss.discriminator(real, fake), loss.generator(fake)
    gradients = (*torch.autograd.grad(d_loss.sum(), (real, fake)), *torch.autograd.grad(g_loss.sum(), fake))
    return [d_loss.detach(), g_loss.detach(), *gradients]


@every_pair
@for_each("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_capped_every_pair_is_finite_with_a_pull_at_logits_of_ten_thousand(f: str, g: str, dtype: torch.dtype) -> None:
    far = torch.tensor([0.0, 1.0, -1.0, 21.0, -21.0, 100.0, -100.0, 1e4, -1e4]).to(dtype)
    real, fake = torch.cartesian_prod(far, far).unbind(1)
    d_loss, g_loss, d_real, d_fake, g_fake = outcome(Hybrid(f, g, exp_cap=15.0), real, fake)
    assert all(value.isfinite().all() for value in (d_loss, g_loss, d_real, d_fake, g_fake))
    assert d_loss.dtype == g_loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (d_real <= 0).all() and (d_fake >= 0).all() and (g_fake <= 0).all()


@for_each(("f", "g"), [("js", "js"), ("js", "srkl"), ("js", "reverse_kl")])
def test_pairs_without_exponentials_are_finite_without_a_cap(f: str, g: str) -> None:
    far = torch.tensor([0.0, 800.0, -800.0, 1e4, -1e4])
    real, fake = torch.cartesian_prod(far, far).unbind(1)
    assert all(value.isfinite().all() for value in outcome(Hybrid(f, g), real, fake))


@for_each("name", DIVERGENCES)
def test_the_generators_gradient_keeps_its_precision_in_float32_on_the_worst_fakes(name: str) -> None:
    far = torch.tensor([-40.0, -20.0, -17.5, -3.0, -1.0, -1e-3, 0.0, 2.0, 15.0], requires_grad=True)
    (slope,) = torch.autograd.grad(-Hybrid("js", name).generator(far).sum(), far)
    expected = DIVERGENCES[name].fake_slope(far.detach())
    cancelled = 3e-7 * far.detach().exp() if name == "skl" else 0  # its pull is e^d - sigmoid(d) in two terms
    assert ((slope - expected).abs() <= 1e-5 * expected + cancelled).all()


@for_each(
    ("arguments", "message"),
    [
        ({"d_divergence": "jss"}, "unknown divergence 'jss'. Did you mean 'js'?"),
        ({"g_divergence": "total_variation"}, "unknown divergence 'total_variation'."),
        ({"d_scale": 0.0}, "d_scale must be above 0, got 0.0; 1 is"),
        ({"g_scale": -1.0}, "g_scale must be above 0, got -1.0; 1 is"),
        ({"exp_cap": 0.0}, "exp_cap must be above 0, got 0.0; use 15"),
    ],
)
def test_what_is_no_pair_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DivergencePair(**arguments)


def test_a_divergence_of_your_own_trains_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    mine: FDivergence = DIVERGENCES["kl"].reversed()
    monkeypatch.setitem(DIVERGENCES, "mine", mine)
    torch.testing.assert_close(Hybrid("js", "mine").generator(FAKE), Hybrid("js", "reverse_kl").generator(FAKE))


def test_total_variation_on_the_check_batch() -> None:
    loss = TotalVariation()
    assert loss.discriminator(REAL, FAKE).mean().item() == pytest.approx(-0.0549542364891, rel=1e-11)
    hopeless = torch.tensor([-30.0], requires_grad=True)
    assert torch.autograd.grad(loss.generator(hopeless).sum(), hopeless)[0].item() == 0  # its pull vanishes
