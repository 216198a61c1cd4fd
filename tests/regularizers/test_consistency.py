"""CR, bCR and zCR: the check set, the sides they act on, lazy terms and coefficients on schedules."""

from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.clocks import Counters
from ganneal.optim import LinearDecay, Rise
from ganneal.regularizers import Consistency, Context, GeneratorContext, LatentConsistency, consistency

W = torch.tensor([0.6, -0.8], dtype=torch.float64)
M = torch.tensor([[0.5, 0.1], [0.1, -0.3]], dtype=torch.float64)
REAL = torch.tensor([[1.0, 0.5], [-0.5, 2.0]], dtype=torch.float64)
MOVED = REAL + torch.tensor([[0.1, -0.2], [0.05, 0.3]], dtype=torch.float64)


def quadratic(x: Tensor) -> Tensor:
    return x @ W + 0.5 * ((x @ M) * x).sum(1) + 0.2


def ramp(x: Tensor) -> Tensor:
    """Left to right: changes under a mirror and under a shift, but not for images of equal columns."""
    return (x * torch.linspace(-1, 1, x.shape[-1])).flatten(1).sum(1)


def plain(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def context(judge: Any, real: Tensor, fake: Tensor, seed: int = 0, **counters: int) -> Context:
    random = torch.Generator().manual_seed(seed)
    return Context(judge, real, fake, judge(real), judge(fake), Counters(**counters), random)


def test_the_check_set() -> None:
    assert consistency(quadratic, quadratic(REAL), MOVED).mean().item() == pytest.approx(0.126788257813, rel=1e-11)


def test_the_gradient_passes_through_both_outputs() -> None:
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)

    def judge(x: Tensor) -> Tensor:
        return scale * quadratic(x)

    value = consistency(judge, judge(REAL), MOVED).mean()  # in proportion to the square of the scale
    (slope,) = torch.autograd.grad(value, scale)
    torch.testing.assert_close(slope, 2 * value.detach())


def images() -> tuple[Tensor, Tensor]:
    even = torch.ones(8, 1, 8, 8)
    tilted = torch.linspace(-1, 1, 8).expand(8, 1, 8, 8)
    return even, tilted


@for_each(
    ("real_coefficient", "fake_coefficient", "on_reals", "on_fakes"),
    [(10.0, 0.0, True, False), (0.0, 10.0, False, True), (10.0, 10.0, True, True)],
)
def test_each_side_has_its_coefficient(
    real_coefficient: float, fake_coefficient: float, on_reals: bool, on_fakes: bool
) -> None:
    part = Consistency(real_coefficient, fake_coefficient)
    even, tilted = images()

    def term(real: Tensor, fake: Tensor) -> float:
        value = part.discriminator_term(context(ramp, real, fake), {})
        assert value is not None
        return value.item()

    assert term(even, even) == pytest.approx(0, abs=1e-9)
    assert (term(tilted, even) > 1) == on_reals
    assert (term(even, tilted) > 1) == on_fakes


def test_a_term_is_in_proportion_to_the_coefficient_of_its_side() -> None:
    _, tilted = images()

    def term(of_reals: float, of_fakes: float = 0.0) -> Tensor:
        value = Consistency(of_reals, of_fakes).discriminator_term(context(ramp, tilted, tilted), {})
        assert value is not None
        return value

    torch.testing.assert_close(term(6.0), 3 * term(2.0))
    torch.testing.assert_close(term(0.0, 6.0), 3 * term(0.0, 2.0))


def test_a_mirrored_and_shifted_image_is_all_that_is_asked() -> None:
    # flips alone: the mirror of the ramp has the opposite output, a shift by one pixel another; eight images have both
    even, tilted = images()
    value = Consistency(1.0).discriminator_term(context(ramp, tilted, even), {})
    seen = []

    def judge(x: Tensor) -> Tensor:
        seen.append(x)
        return ramp(x)

    again = Consistency(1.0).discriminator_term(context(judge, tilted, even), {})
    assert value is not None and again is not None and torch.equal(value, again)
    moved = seen[-1]
    torch.testing.assert_close(value, (ramp(tilted) - ramp(moved)).square().mean())


def test_lazy_terms_and_rules() -> None:
    _, tilted = images()
    full = Consistency(1.0).discriminator_term(context(ramp, tilted, tilted), {})
    lazy = Consistency(1.0, interval=4, rule=Rise(end=100))
    assert full is not None
    terms = {
        n: lazy.discriminator_term(context(ramp, tilted, tilted, d_updates=n, num_real=10 * n), {}) for n in range(11)
    }
    assert [n for n, value in terms.items() if value is not None] == [4, 8]  # at 0 the coefficient is 0
    assert terms[8] is not None  # 80 of 100 images: half a cosine up
    factor = 0.5 * (1 - torch.cos(torch.tensor(0.8 * torch.pi)).item())
    assert terms[8].item() == pytest.approx(4 * factor * full.item(), rel=1e-6)


def test_outputs_of_half_precision_are_computed_anew() -> None:
    even, _ = images()
    given = context(plain, 0.37 * even, even)
    given.real_logits = given.real_logits.bfloat16()
    assert (given.real_logits.float() - plain(given.real)).abs().max() > 0.01
    value = Consistency().discriminator_term(given, {})
    assert value is not None and value.item() < 1e-6


def test_no_side_no_term() -> None:
    even, _ = images()
    assert Consistency(0.0, 0.0).discriminator_term(context(plain, even, even), {}) is None


def linear_generator(z: Tensor) -> Tensor:
    return 3.0 * z


def test_latent_consistency_on_linear_players_is_the_noise_through_them() -> None:
    part = LatentConsistency(d_coefficient=2.0, g_coefficient=0.5, noise=0.05)
    latents = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    given = context(plain, latents, linear_generator(latents))
    given.latents, given.generate = latents, linear_generator
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    value = part.discriminator_term(given, {})
    assert value is not None
    torch.testing.assert_close(value, 2.0 * (0.05 * 3 * noise).sum(1).square().mean())
    of_generator = part.generator_term(
        GeneratorContext(
            linear_generator, latents, linear_generator(latents), Counters(), torch.Generator().manual_seed(0)
        ),
        {},
    )
    assert of_generator is not None
    torch.testing.assert_close(of_generator, -0.5 * (0.05 * 3 * noise).square().mean())


def test_the_discriminators_term_keeps_no_graph_to_the_generator() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    latents = torch.randn(3, 2)
    given = context(lambda x: plain(x) * 1.5, latents, 2 * latents)
    given.latents, given.generate = latents, lambda z: weight * z
    value = LatentConsistency().discriminator_term(given, {})
    assert value is not None and not value.requires_grad


def test_rules_act_on_their_own_player() -> None:
    part = LatentConsistency(d_rule=LinearDecay(end=10))
    latents = torch.randn(3, 2)
    given = context(plain, latents, latents, num_real=10)
    given.latents, given.generate = latents, linear_generator
    assert part.discriminator_term(given, {}) is None
    generator = GeneratorContext(
        linear_generator, latents, linear_generator(latents), Counters(num_real=10), torch.Generator()
    )
    assert part.generator_term(generator, {}) is not None
    assert LatentConsistency(g_rule=LinearDecay(end=10)).generator_term(generator, {}) is None


def test_fakes_without_latents_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the latents of the fakes.*use a scheme with fresh fakes"):
        LatentConsistency().discriminator_term(context(plain, REAL, REAL), {})


@for_each(
    ("part", "field", "value"),
    [
        (Consistency, "real_coefficient", -1.0),
        (Consistency, "fake_coefficient", float("nan")),
        (Consistency, "interval", 0),
        (LatentConsistency, "noise", 0.0),
        (LatentConsistency, "d_coefficient", float("inf")),
    ],
)
def test_bad_numbers_are_refused(part: Any, field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        part(**{field: value})
