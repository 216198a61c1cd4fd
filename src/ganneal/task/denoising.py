"""Denoising diffusion GANs: the generator guesses a clean sample behind a noisy one, in a few large steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganneal.data import Batch
from ganneal.task.diffusion import Diffusion
from ganneal.task.protocol import Condition, RealView, Task


@dataclass(frozen=True)
class Denoising(Task):
    """Players of one step of a diffusion, ``G(z, t, x_{t+1})`` and ``D(x_t, t, x_{t+1})``.

    The generator's output is a guess of x_0, which becomes a fake x_t through the posterior given x_{t+1}. Both sides
    are judged under the same (t, x_{t+1}), so that penalties at real samples act on x_t alone. A sample takes ``steps``
    passes, from noise to t = 0.

    The real images of a generator's move give it its x_{t+1}. They are the next ones of the data, as everywhere in this
    package; the published code uses those of the discriminator's move again.

    References:
        Xiao et al., Tackling the Generative Learning Trilemma with Denoising Diffusion GANs, 2022, Algorithms 1 and 2
        of the supplement; T -> ``steps``.
    """

    steps: int = 4
    beta_min: float = 0.1
    beta_max: float = 20.0
    needs_real = True
    denoises = True

    def __post_init__(self) -> None:
        # Made for its checks: a schedule that cannot be is refused where it is named.
        _ = self.diffusion

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion that adds the noise."""
        return Diffusion(self.steps, self.beta_min, self.beta_max)

    def real_view(self, batch: Batch, random: torch.Generator) -> RealView:
        """x_t under the condition (t, x_{t+1}), t uniform in 0..T-1 for each sample."""
        clean = batch.samples
        # One time for each sample, not for the batch: every update teaches all steps of the chain.
        t = torch.randint(self.steps, (len(clean),), generator=random, device=random.device).to(clean.device)
        # Two draws: one for all noise up to x_t, one for the step after it.
        now, noisier = self.diffusion.pair(clean, t, _normal(clean, random), _normal(clean, random))
        return RealView(now, (t, noisier))

    def fake_condition(self, count: int, num_classes: int, real: RealView | None, random: torch.Generator) -> Condition:
        assert real is not None and len(real.samples) == count
        return real.condition

    def changed(self, condition: Condition, change: Callable[[Tensor], Tensor]) -> Condition:
        """x_{t+1} is moved with x_t: a pair of which one half is moved is no step of any diffusion."""
        t, noisier = condition
        return t, change(noisier)

    def fake(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        return self.fake_with(generator, latents, condition, self.noise(condition, random))

    def noise(self, condition: Condition, random: torch.Generator) -> tuple[Tensor, ...]:
        t, noisier = condition
        return _normal(noisier, random), *self.diffusion.shares(t, noisier)

    def fake_with(
        self, generator: nn.Module, latents: Tensor, condition: Condition, noise: tuple[Tensor, ...]
    ) -> Tensor:
        t, noisier = condition
        drawn, from_clean, from_noisier, deviation = noise
        # The fake is x_t again, drawn from the posterior at the guessed x_0: D compares one step with one step.
        return from_clean * generator(latents, t, noisier) + from_noisier * noisier + deviation * drawn

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        """A seed for each sample, of all the noise in it, so that samples do not depend on how many are made at once.

        Under the same seed other latents give another sample of the same noise.
        """
        super().sample_condition(labels, count, num_classes, random)
        # 62 bits: two of a million samples share a seed once in ten million times.
        return (torch.randint(2**62, (count,), generator=random, device=random.device),)

    def sample(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """T passes from noise to a clean sample; ``latents`` enter the first, standard normal ones the others.

        ``generator.shape`` is the shape of a sample.
        """
        shape = generator.shape
        assert isinstance(shape, Sequence)
        return self.denoised(generator, *self.drawn(latents, condition, shape))

    def drawn(
        self, latents: Tensor, condition: Condition, shape: Sequence[int]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """All that samples of ``shape`` are made of: T latents, ``latents`` the first, and T noises, the first the
        start of the chain; each sample's from the seed in its condition.
        """
        (seeds,) = condition
        # A stream for each sample: noise from one stream would depend on the batch size.
        streams = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
        each, noise = [latents], [_drawn(streams, shape, latents)]
        for _ in range(self.steps - 1):
            noise.append(_drawn(streams, shape, latents))
            each.append(_drawn(streams, latents.shape[1:], latents))
        return each, noise

    def denoised(self, generator: nn.Module, latents: Sequence[Tensor], noise: Sequence[Tensor]) -> Tensor:
        """The sampling chain as a function of what it is made of, as `drawn` has it."""
        x = noise[0]
        # x is x_{t+1} as each pass begins, for t = T - 1 down to 1.
        for index, step in enumerate(range(self.steps - 1, 0, -1)):
            t = torch.full(x.shape[:1], step, device=x.device)
            x = self.diffusion.posterior(generator(latents[index], t, x), x, t, noise[index + 1])
        # The last pass gives the clean guess itself: the posterior at t = 0 has no deviation and no share of x_1.
        return generator(latents[-1], torch.zeros(x.shape[:1], dtype=torch.int64, device=x.device), x)


def _normal(like: Tensor, random: torch.Generator) -> Tensor:
    """Standard normal noise of the shape of ``like``."""
    return torch.randn(like.shape, generator=random, device=random.device).to(like)


def _drawn(streams: list[torch.Generator], shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal noise, each sample's from its own stream."""
    # On the CPU, whose generators give the same bits beside every accelerator.
    return torch.stack([torch.randn(*shape, generator=stream) for stream in streams]).to(like)
