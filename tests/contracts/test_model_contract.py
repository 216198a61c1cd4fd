"""What every registered network family promises of both its players, at small sizes of each kind it supports."""

import io
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from math import prod
from time import process_time
from typing import NamedTuple

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.logits import discriminator_output
from ganneal.metrics.extractors.efficientnet import weights_path
from ganneal.models import (
    DCGAN,
    DDGAN,
    FC2,
    MLP,
    MODELS,
    R3GAN,
    SNDCGAN,
    SNGAN,
    BigGAN,
    DCGANExt,
    DenoisingMLP,
    FastGAN,
    Latent,
    Model,
    ModelPair,
    Pair,
    Projected,
    Relation,
    ResNet4,
)
from ganneal.models.fastgan import NoiseInjection
from ganneal.models.parts.spectral import SpectralWeight
from ganneal.normalization import NORMALIZED, Spectral
from ganneal.regularizers.reconstruction import Reconstructs

BATCH = 4


class Case(NamedTuple):
    model: Model
    shape: tuple[int, ...]
    num_classes: int = 0
    bounded: bool = False
    """Whether samples end in tanh."""


CHUNKED = BigGAN(
    width=8, latent_size=11, shared_size=4, hierarchical=True, attention=32, layout="studio", init="orthogonal"
)
DIFFUSED = DDGAN(width=8, latent_size=8, style_size=16, d_width=2, d_time_size=8)
TINY = FastGAN(width=4, latent_size=8, layout="sauer")
CASES: dict[str, list[Case]] = {
    "mlp": [Case(MLP(width=16, depth=2), (2,)), Case(MLP(width=16, depth=2), (2,), num_classes=3)],
    "dcgan": [
        Case(DCGAN(width=4, latent_size=8), (1, 8, 8), bounded=True),
        Case(DCGAN(width=4, latent_size=8), (3, 32, 32), bounded=True),
        Case(DCGAN(width=4, latent_size=8), (1, 16, 16), num_classes=3, bounded=True),
        Case(DCGAN(width=4, latent_size=8, d_norm="layer"), (1, 28, 28), bounded=True),
        Case(DCGAN(width=4, latent_size=8, d_norm="instance"), (3, 16, 16), bounded=True),
        Case(DCGAN(width=4, latent_size=8, g_norm="none", d_norm="none"), (3, 16, 16), bounded=True),
    ],
    "dcgan-ext": [
        Case(DCGANExt(width=4, latent_size=8), (3, 32, 32), bounded=True),
        Case(DCGANExt(width=4, latent_size=8, d_norm="layer"), (1, 28, 28), bounded=True),
        Case(DCGANExt(width=4, latent_size=8, g_norm="none", d_norm="none"), (3, 16, 16), bounded=True),
    ],
    "resnet-4": [
        Case(ResNet4(width=4, latent_size=8), (3, 32, 32), bounded=True),
        Case(ResNet4(width=4, latent_size=8, g_norm="none", d_norm="none"), (1, 28, 28), bounded=True),
    ],
    "fc-2": [
        Case(FC2(hidden=16, width=4, latent_size=8), (1, 28, 28), bounded=True),
        Case(FC2(hidden=16, width=4, latent_size=8, d_norm="none"), (3, 16, 16), bounded=True),
    ],
    "sn-dcgan": [
        Case(SNDCGAN(width=4, latent_size=8), (3, 32, 32), bounded=True),
        Case(SNDCGAN(width=4, latent_size=8), (1, 16, 16), bounded=True),
    ],
    "sngan": [
        Case(SNGAN(g_width=8, d_width=8, latent_size=8), (3, 32, 32), bounded=True),
        Case(SNGAN(g_width=8, d_width=8, latent_size=8), (1, 32, 32), num_classes=3, bounded=True),
        Case(SNGAN(g_width=16, d_width=16, latent_size=8), (3, 48, 48), bounded=True),
        Case(SNGAN(g_width=16, d_width=16, latent_size=8, upsampling="bilinear"), (3, 64, 64), 3, bounded=True),
    ],
    "biggan": [
        Case(BigGAN(width=2, latent_size=8), (3, 32, 32), bounded=True),
        Case(BigGAN(width=2, latent_size=8, init="torch", g_spectral=False), (1, 32, 32), 3, bounded=True),
        Case(CHUNKED, (3, 64, 64), num_classes=3, bounded=True),
        Case(CHUNKED, (3, 64, 64), bounded=True),
    ],
    "r3gan": [
        Case(R3GAN(widths=(8,), latent_size=8), (1, 16, 16)),
        Case(R3GAN(widths=(16, 8), group_size=8, blocks=2, latent_size=8), (3, 16, 16), num_classes=3),
    ],
    "fastgan": [
        Case(FastGAN(width=4, latent_size=8), (3, 32, 32), bounded=True),
        Case(FastGAN(width=4, latent_size=8, layout="sauer", reconstruction=0.0), (1, 48, 64)),
    ],
    "projected": [Case(Projected(TINY, side=64), (3, 32, 32))],
    "pair": [
        Case(Pair(DCGAN(width=4, latent_size=8), Projected(side=64)), (1, 16, 16), bounded=True),
        Case(Pair(TINY, DCGAN(width=4)), (3, 32, 32)),
        Case(Pair(SNGAN(g_width=8, d_width=8), BigGAN(width=2)), (3, 32, 32), num_classes=3, bounded=True),
    ],
    "ddgan": [
        Case(DIFFUSED, (3, 16, 16), bounded=True),
        Case(replace(DIFFUSED, attention=None, pyramid=False, blocks=2), (1, 8, 8), bounded=True),
        Case(replace(DIFFUSED, width=4, attention=None, d_layout="large", d_width=1), (1, 64, 64), bounded=True),
    ],
    "denoising-mlp": [Case(DenoisingMLP(width=16, depth=2, latent_size=3), (2,))],
    "relation": [
        Case(Relation(width=4, latent_size=8, hidden=8), (1, 16, 16), bounded=True),
        Case(Relation(width=4, latent_size=8, hidden=8, g_norm="none", d_norm="batch"), (3, 8, 8), bounded=True),
    ],
}
"""Small members of each family; a family registered without any fails below."""


def is_there(case: Case) -> bool:
    """Whether the frozen network that the players need is installed."""
    frozen = isinstance(case.model, Projected) or isinstance(getattr(case.model, "discriminator", None), Projected)
    return not frozen or weights_path() is not None


ALL = [case for cases in CASES.values() for case in cases if is_there(case)]
CONDITIONAL = [case for case in ALL if case.num_classes]
DENOISING = [case for case in ALL if isinstance(case.model, DDGAN | DenoisingMLP)]


def name_of(case: Case) -> str:
    return f"{case.model}-{'x'.join(map(str, case.shape))}-{case.num_classes}"


every_case = for_each("case", ALL, ids=name_of)


class Beside(nn.Module):
    """A discriminator of pairs as one of samples: all beside the same partner."""

    def __init__(self, critic: nn.Module, shape: tuple[int, ...]):
        super().__init__()
        self.critic, self.partner = critic, torch.linspace(-1, 1, 7).repeat(prod(shape))[: prod(shape)].view(shape)

    def forward(self, samples: Tensor) -> Tensor:
        return self.critic(samples, self.partner.expand_as(samples))


def build(case: Case, seed: int = 0) -> ModelPair:
    torch.manual_seed(seed)
    pair = case.model.build(case.shape, case.num_classes)
    if pair.compares_pairs:
        pair.discriminator = Beside(pair.discriminator, case.shape)
    return pair


def players(pair: ModelPair) -> tuple[nn.Module, nn.Module]:
    return pair.generator, pair.discriminator


def without_zeros(pair: ModelPair) -> ModelPair:
    """The pair a little later, as it were: what is zero at first lets no gradient through to what is behind it."""
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for player in players(pair):
            for parameter in player.parameters():
                if not parameter.any():
                    parameter.copy_(0.1 * torch.randn(parameter.shape, generator=random))
    return pair


def inputs(pair: ModelPair) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Latents, samples and the condition of a batch: labels, or times and noisier samples."""
    random = torch.Generator().manual_seed(1)
    latents = pair.latent.sample(BATCH, random)
    samples = torch.rand(BATCH, *pair.shape, generator=random) * 2 - 1
    condition = (torch.arange(BATCH) % pair.num_classes,) if pair.num_classes else ()
    if pair.denoises:
        condition = (torch.arange(BATCH) % 3, torch.randn(BATCH, *pair.shape, generator=random))
    return latents, samples, condition


def own_term(discriminator: nn.Module, samples: Tensor) -> Tensor:
    """What a discriminator adds to its loss by itself."""
    if not isinstance(discriminator, Reconstructs) or not discriminator.reconstruction:
        return torch.zeros(())
    features = discriminator_output(discriminator, samples).features
    return discriminator.reconstruction_error(features, samples, torch.arange(BATCH) % 4).sum()


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


@for_each("name", MODELS)
def test_every_registered_family_is_tested_here(name: str) -> None:
    assert CASES.get(name)
    assert all(type(case.model) is type(MODELS[name]) for case in CASES[name])


@for_each("name", MODELS)
def test_a_registered_family_is_a_frozen_value(name: str) -> None:
    model = MODELS[name]
    assert isinstance(model, Model) and isinstance(hash(model), int)
    assert pickle.loads(pickle.dumps(model)) == model
    for field in fields(model):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(model, field.name, getattr(model, field.name))


@every_case
def test_pair_says_what_it_was_built_for(case: Case) -> None:
    pair = build(case)
    assert (pair.shape, pair.num_classes) == (case.shape, case.num_classes)
    assert isinstance(pair.latent, Latent)


@every_case
def test_latents_are_standard_normal_and_follow_their_generator_only(case: Case) -> None:
    pair, before = build(case), torch.get_rng_state()
    draws = [pair.latent.sample(20_000, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)
    # five standard errors of the mean and of the standard deviation
    assert draws[0].mean(0).abs().max() < 5 / 20_000**0.5
    assert (draws[0].std(0) - 1).abs().max() < 5 / 40_000**0.5


@every_case
def test_samples_have_the_shape_and_logits_are_one_each(case: Case) -> None:
    pair = build(case)
    latents, _, condition = inputs(pair)
    samples = pair.generator(latents, *condition)
    logits = pair.discriminator(samples, *condition)
    assert samples.shape == (BATCH, *case.shape) and samples.dtype == torch.float32
    assert logits.shape == (BATCH,) and logits.isfinite().all()
    if case.bounded:
        assert pair.generator(100 * latents, *condition).abs().max() <= 1


@every_case
def test_the_seed_decides_the_initial_weights(case: Case) -> None:
    one, again, other = build(case), build(case), build(case, seed=1)
    for player, repeated, different in zip(players(one), players(again), players(other), strict=True):
        assert same_bits(player.state_dict(), repeated.state_dict())
        assert not same_bits(player.state_dict(), different.state_dict())


@every_case
def test_players_share_no_tensor(case: Case) -> None:
    generator, discriminator = (
        {tensor.data_ptr() for tensor in player.state_dict().values()} for player in players(build(case))
    )
    assert not generator & discriminator


@every_case
def test_eval_mode_is_deterministic_and_changes_nothing(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.eval()
        before = copied(player)
        assert torch.equal(player(x, *condition), player(x, *condition))
        assert same_bits(before, player.state_dict())


@every_case
def test_train_mode_changes_exactly_batch_norm_statistics_and_power_iterations(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.train()
        before = copied(player)
        player(x, *condition)
        changed = {key for key, value in player.state_dict().items() if not torch.equal(value, before[key])}
        modules = [part for part in player.named_modules() if not part[0].startswith("decoders")]  # they make no logits
        norms = [name for name, module in modules if isinstance(module, nn.BatchNorm2d)]
        weights = [name for name, module in modules if isinstance(module, SpectralWeight)]
        assert changed == {
            f"{name}.{buffer}" for name in norms for buffer in ("running_mean", "running_var", "num_batches_tracked")
        } | {f"{name}.u" for name in weights}


@every_case
def test_no_forward_pass_draws_random_numbers_but_for_noise_in_training(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)
    before = torch.get_rng_state()
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.eval()(x, *condition)
        if not any(isinstance(module, NoiseInjection) for module in player.modules()):
            player.train()(x, *condition)
    assert torch.equal(torch.get_rng_state(), before)


@every_case
def test_inputs_are_left_as_they_were(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)
    kept = latents.clone(), samples.clone()
    pair.generator(latents, *condition)
    pair.discriminator(samples, *condition)
    assert torch.equal(latents, kept[0]) and torch.equal(samples, kept[1])


@every_case
def test_samples_are_independent_in_eval_mode(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.eval()
        changed = x.clone()
        changed[1] += 0.5
        before, after = player(x, *condition), player(changed, *condition)
        alone = player is pair.generator or pair.judged_together == 1
        assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]]) == alone
        assert not torch.equal(before[1], after[1])


@for_each("case", DENOISING, ids=name_of)
def test_time_and_noisier_sample_matter_to_their_own_sample(case: Case) -> None:
    pair = build(case)
    latents, samples, (t, noisier) = inputs(pair)
    later, changed = t.clone(), noisier.clone()
    later[1] += 1
    changed[1] += 0.5
    before = pair.generator(latents, t, noisier)
    for condition in ((later, noisier), (t, changed)):
        after = pair.generator(latents, *condition)
        assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]]) and not torch.equal(before[1], after[1])
        assert (pair.discriminator(samples, t, noisier) != pair.discriminator(samples, *condition)).any()
    assert pair.generator.shape == case.shape


@for_each("case", DENOISING, ids=name_of)
def test_times_that_are_none_are_refused(case: Case) -> None:
    pair = build(case)
    latents, samples, (t, noisier) = inputs(pair)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        for wrong in (t[:-1], t.float(), t[:, None]):
            with pytest.raises(ValueError, match=f"t must be whole numbers, one for each of {BATCH} samples"):
                player(x, wrong, noisier)


@every_case
def test_gradients_reach_every_parameter_of_the_player_that_moves_and_none_of_the_other(case: Case) -> None:
    pair = without_zeros(build(case))
    latents, samples, condition = inputs(pair)
    fake = pair.generator(latents, *condition)
    d_loss = (pair.discriminator(samples, *condition) - pair.discriminator(fake.detach(), *condition).square()).sum()
    (d_loss + own_term(pair.discriminator, samples)).backward()
    for name, parameter in pair.discriminator.named_parameters():
        assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name
    assert all(parameter.grad is None for parameter in pair.generator.parameters())
    pair.discriminator.requires_grad_(False).zero_grad()
    pair.discriminator(fake, *condition).square().sum().backward()
    for name, parameter in pair.generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name
    assert all(parameter.grad is None for parameter in pair.discriminator.parameters())


@for_each("case", CONDITIONAL, ids=name_of)
def test_another_class_of_one_sample_changes_that_sample_alone(case: Case) -> None:
    pair = build(case)
    latents, samples, _ = inputs(pair)
    labels, other = torch.zeros(BATCH, dtype=torch.int64), torch.tensor([0, 1, 0, 0])
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.eval()
        before, after = player(x, labels), player(x, other)
        assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])
        assert not torch.equal(before[1], after[1])


@pytest.mark.runs
@for_each("case", CONDITIONAL, ids=name_of)
def test_spectral_norms_of_conditional_players_are_at_most_one_after_warming_up(case: Case) -> None:
    pair = without_zeros(build(case))
    latents, samples, condition = inputs(pair)
    discriminator = Spectral().apply(pair.discriminator)
    for player, x in ((pair.generator, latents), (discriminator, samples)):
        weights = [(name, m) for name, m in player.named_modules() if hasattr(m, "parametrizations")]
        player(x, *condition)
        for _, layer in weights * 100:
            _ = layer.weight  # as a pass has it, which moves u
        for name, layer in weights:
            (spectral,) = (m for m in layer.modules() if isinstance(m, SpectralWeight))
            assert isinstance(layer.weight, Tensor)
            matrix = layer.weight.detach().movedim(spectral.axis, 0).flatten(1)
            assert 0.999 < torch.linalg.matrix_norm(matrix, 2).item() <= 1.01, name
    normalized = [m for m in discriminator.modules() if hasattr(m, "parametrizations")]
    assert len(normalized) == sum(isinstance(m, NORMALIZED) for m in discriminator.modules())


@for_each("case", CONDITIONAL, ids=name_of)
def test_labels_that_are_no_classes_are_refused(case: Case) -> None:
    pair = build(case)
    latents, samples, _ = inputs(pair)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        with pytest.raises(ValueError, match=f"labels must be given: these players have {case.num_classes} classes"):
            player(x)
        for wrong in (-1, case.num_classes):
            labels = torch.tensor([0, wrong, 0, 0])
            with pytest.raises(ValueError, match=rf"labels must be in 0\.\.{case.num_classes - 1}, got {wrong}"):
                player(x, labels)


@for_each("case", CONDITIONAL, ids=name_of)
def test_labels_matter(case: Case) -> None:
    pair = build(case)
    latents, samples, _ = inputs(pair)
    zeros, ones = torch.zeros(BATCH, dtype=torch.int64), torch.ones(BATCH, dtype=torch.int64)
    for player, x in zip(players(pair), (latents, samples), strict=True):
        player.eval()
        assert (player(x, zeros) != player(x, ones)).any()


@every_case
def test_state_dict_survives_a_file_bit_for_bit(case: Case) -> None:
    pair, other = build(case), build(case, seed=1)
    latents, samples, condition = inputs(pair)
    for player, target, x in zip(players(pair), players(other), (latents, samples), strict=True):
        player(x, *condition)  # batch-norm statistics that are not the initial ones
        file = io.BytesIO()
        torch.save(player.state_dict(), file)
        target.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        assert same_bits(player.state_dict(), target.state_dict())
        assert torch.equal(player.eval()(x, *condition), target.eval()(x, *condition))


@pytest.mark.slow
@every_case
def test_one_step_of_each_player_takes_less_than_a_second_of_one_core(case: Case) -> None:
    pair = build(case)
    latents, samples, condition = inputs(pair)

    def seconds(step: Callable[[], Tensor]) -> float:
        start = process_time()
        step().backward()
        return process_time() - start

    def discriminate(x: Tensor) -> Tensor:
        return pair.discriminator(x, *condition).sum()

    d_step = min(seconds(lambda: discriminate(samples)) for _ in range(2))
    g_step = min(seconds(lambda: discriminate(pair.generator(latents, *condition))) for _ in range(2))
    assert d_step + g_step < 1
