"""A loss on several logits a sample is the mean over places of the loss at each, summed over heads."""

import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.logits import DiscriminatorOutput, PatchDiscriminator, discriminator_output, per_sample
from ganneal.losses import LOSSES, Loss, PerLogit

HEADS, PLACES, BATCH = 3, 5, 4


class Patches(PatchDiscriminator):
    def outputs(self, samples: Tensor, *condition: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(samples, (samples + 1,))


def logits(seed: int) -> Tensor:
    return torch.randn(BATCH, HEADS, PLACES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@for_each("name", LOSSES)
def test_one_logit_a_sample_goes_through_bit_for_bit(name: str) -> None:
    loss: Loss = LOSSES[name]
    real, fake = logits(0)[:, 0, 0].float(), logits(1)[:, 0, 0].float()
    assert torch.equal(PerLogit(loss).discriminator(real, fake), loss.discriminator(real, fake))
    outputs = (fake, real) if loss.needs_real else (fake,)
    assert torch.equal(PerLogit(loss).generator(*outputs, weight=0.3), loss.generator(*outputs, weight=0.3))


@for_each("name", LOSSES)
def test_several_logits_are_so_many_samples_of_each_head(name: str) -> None:
    loss: Loss = LOSSES[name]
    real, fake = logits(0), logits(1)
    found = PerLogit(loss).discriminator(real, fake)
    by_head = [loss.discriminator(real[:, h].flatten(), fake[:, h].flatten()).mean() for h in range(HEADS)]
    assert found.shape == (BATCH,)
    torch.testing.assert_close(found.mean(), torch.stack(by_head).sum())
    outputs = (fake, real) if loss.needs_real else (fake,)
    found = PerLogit(loss).generator(*outputs, weight=0.3)
    by_head = [loss.generator(*(o[:, h].flatten() for o in outputs), weight=0.3).mean() for h in range(HEADS)]
    torch.testing.assert_close(found.mean(), torch.stack(by_head).sum())


def test_a_samples_loss_is_its_own() -> None:
    real, fake = logits(0), logits(1)
    found = PerLogit(LOSSES["hinge"]).discriminator(real, fake)
    changed = fake.clone()
    changed[2] += 3
    again = PerLogit(LOSSES["hinge"]).discriminator(real, changed)
    assert (found != again).tolist() == [False, False, True, False]
    alone = (1 - real[0]).relu() + (1 + fake[0]).relu()
    torch.testing.assert_close(found[0], alone.mean(1).sum())


def test_what_reads_one_output_a_sample_sees_the_mean_over_places_summed_over_heads() -> None:
    samples = logits(0)
    assert torch.equal(Patches()(samples), samples.mean(2).sum(1)) and torch.equal(
        per_sample(samples[:, 0, 0]), samples[:, 0, 0]
    )
    every = discriminator_output(Patches(), samples)
    assert torch.equal(every.logits, samples) and torch.equal(every.features[0], samples + 1)
    plain = discriminator_output(torch.nn.Flatten(0), samples[:, 0, 0])
    assert torch.equal(plain.logits, samples[:, 0, 0]) and plain.features == ()
