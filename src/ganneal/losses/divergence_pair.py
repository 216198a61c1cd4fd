"""f-GAN, hybrids of two divergences, and total variation beside them."""

from dataclasses import dataclass

from ganneal.divergences import DIVERGENCES, total_variation_term
from ganneal.losses.outputs import LOG_RATIO, Output
from ganneal.losses.protocol import Logits, Loss, PerSample, Weight, WeightOn, equal_sizes, weighted
from ganneal.registry import lookup


@dataclass(frozen=True)
class DivergencePair(Loss):
    """The discriminator by the lower bound of one divergence, the generator down another: -a_f(D(x)) + b_f(D(G(z)))
    against -b_g(w D(G(z))).

    At its optimum the raw output is the log ratio of data and model whatever f is, and there the generator follows the
    gradient of D_g. With f = g it is an f-GAN. (js, srkl) is the non-saturating GAN and (js, js) the minimax one, with
    both losses doubled and shifted by a constant.

    The discriminator of reverse_kl, neyman_chi2, jeffreys or srkl has a term in e^-D(x), of heavy-tailed gradients:
    train it with js and choose the generator's divergence freely. Generators of kl, skl, jeffreys and pearson_chi2 have
    a term in e^D(G(z)), which ``exp_cap`` bounds.

    References:
        Nowozin et al., f-GAN, 2016; Shannon et al., Non-saturating GAN training as divergence minimization, 2020.
    """

    d_divergence: str = "js"
    """Name of f in `divergences.DIVERGENCES`."""
    g_divergence: str = "srkl"
    """Name of g."""
    d_scale: float = 1.0
    """Factor of the discriminator's loss, beside which a penalty has its own; 0.5 makes js the logistic loss."""
    g_scale: float = 1.0
    exp_cap: float | None = None
    """Exponents beyond it go on along the tangent, in both losses; None never, 15 is sensible in training."""
    weight_on: WeightOn = "output"
    output = LOG_RATIO

    def __post_init__(self) -> None:
        for name in (self.d_divergence, self.g_divergence):
            lookup("divergence", DIVERGENCES, name)
        for name in ("d_scale", "g_scale"):
            # Not "<= 0", which is False for NaN too.
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}; 1 is the divergence's own scale.")
        if self.exp_cap is not None and not self.exp_cap > 0:
            raise ValueError(f"exp_cap must be above 0, got {self.exp_cap}; use 15, or None for no cap.")

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        row = DIVERGENCES[self.d_divergence]
        # Minus the variational bound E_p[a_f(d)] - E_q[b_f(d)], which is at most D_f and equal to it at d = log p/q.
        return self.d_scale * (row.fake_term(fake, self.exp_cap) - row.real_term(real, self.exp_cap))

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        row = DIVERGENCES[self.g_divergence]
        # Down the divergence as far as it depends on the model: E_q[-b(D)] is its lower bound's only part with the
        # generator in it.
        return weighted(lambda t: -self.g_scale * row.fake_term(t, self.exp_cap), weight, self.weight_on, fake)


# A function, for a loss's methods are called discriminator and generator, so that its fields cannot be.
def Hybrid(
    discriminator: str, generator: str, *, scale_d: float = 1.0, scale_g: float = 1.0, exp_cap: float | None = None
) -> DivergencePair:
    """The discriminator by the divergence ``discriminator``, the generator down ``generator``; see `DivergencePair`.

    >>> Hybrid(discriminator="js", generator="kl").g_divergence
    'kl'
    """
    return DivergencePair(discriminator, generator, scale_d, scale_g, exp_cap)


@dataclass(frozen=True)
class TotalVariation(Loss):
    """T(D(G(z))) - T(D(x)) against -T(w D(G(z))), T = tanh / 2: minus the discriminator's loss is at most the distance.

    The best raw output is infinite, with the sign of p - q: it is no log ratio, and the generator's pull vanishes on
    both sides. For comparison rather than for training.

    References:
        Nowozin et al., f-GAN, 2016, Table 6.
    """

    weight_on: WeightOn = "output"
    output = Output(boundary=0.0)

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # T is bounded by 1/2, as the variational form of total variation asks for.
        return total_variation_term(fake) - total_variation_term(real)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return weighted(lambda t: -total_variation_term(t), weight, self.weight_on, fake)
