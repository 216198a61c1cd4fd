"""What every registered regularizer promises: pure finite terms, state of its own, honest flags."""

import io
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.models import DCGAN, MLP, ModelPair
from ganneal.regularizers import REGULARIZERS, Context, Discriminator, GeneratorContext, Regularizer

every_regularizer = for_each("name", REGULARIZERS)
POINTS, IMAGES = (2,), (1, 8, 8)
both_kinds = for_each("shape", [POINTS, IMAGES], ids=["points", "images"])
BATCH = 6
WARM = 1000
"""Discriminator updates after which every term is due."""
IMAGES_ONLY = ("cr", "bcr")
OF_THE_GENERATOR = ("zcr", "ver", "orthogonal")
NOT_OF_THE_DISCRIMINATOR = ("none", "clipping", "ver", "orthogonal")
OF_WEIGHTS = ("orthogonal",)
"""Terms of the weight matrices alone, which no bias or norm enters."""
PAIRS = [
    (name, shape)
    for name in REGULARIZERS
    for shape in (POINTS, IMAGES)
    if not (name in IMAGES_ONLY and shape == POINTS)
]


def build(shape: tuple[int, ...]) -> ModelPair:
    torch.manual_seed(0)
    model = MLP(width=8, depth=2) if shape == POINTS else DCGAN(width=4, latent_size=2, d_norm="layer")
    return model.build(shape)


def discriminator_context(name: str, pair: ModelPair) -> Context:
    random = torch.Generator().manual_seed(1)
    real, fake = torch.rand(2, BATCH, *pair.shape, generator=random) * 2 - 1
    return Context(
        discriminator=pair.discriminator,
        real=real,
        fake=fake,
        real_logits=pair.discriminator(real),
        fake_logits=pair.discriminator(fake),
        counters=Counters(num_real=BATCH * WARM, d_updates=WARM),
        random=torch.Generator().manual_seed(2),
        latents=pair.latent.sample(BATCH, random),
        generate=pair.generator,
        network=network(name, pair),
        player=pair.discriminator,
    )


def network(name: str, pair: ModelPair) -> nn.Module | None:
    torch.manual_seed(0)
    return REGULARIZERS[name].build(pair)


def generator_context(name: str, pair: ModelPair) -> GeneratorContext:
    latents = pair.latent.sample(BATCH, torch.Generator().manual_seed(1))
    return GeneratorContext(
        generate=pair.generator,
        latents=latents,
        fake=pair.generator(latents),
        counters=Counters(),
        random=torch.Generator().manual_seed(2),
        network=network(name, pair),
        player=pair.generator,
    )


def discriminator_term(name: str, context: Context) -> Tensor | None:
    return REGULARIZERS[name].discriminator_term(context, REGULARIZERS[name].init_state())


def generator_term(name: str, context: GeneratorContext) -> Tensor | None:
    return REGULARIZERS[name].generator_term(context, REGULARIZERS[name].init_state())


@every_regularizer
def test_is_a_frozen_value_to_compare_and_save(name: str) -> None:
    regularizer = REGULARIZERS[name]
    assert isinstance(regularizer, Regularizer) and isinstance(hash(regularizer), int)
    assert pickle.loads(pickle.dumps(regularizer)) == regularizer
    for field in fields(regularizer):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(regularizer, field.name, getattr(regularizer, field.name))


def test_no_two_registered_regularizers_are_equal() -> None:
    assert len(set(REGULARIZERS.values())) == len(REGULARIZERS)


@every_regularizer
def test_state_starts_fresh_and_goes_on_from_a_checkpoint(name: str) -> None:
    regularizer, pair = REGULARIZERS[name], build(IMAGES)
    state, other = regularizer.init_state(), regularizer.init_state()
    assert isinstance(state, dict) and state is not other
    regularizer.discriminator_term(discriminator_context(name, pair), state)
    file = io.BytesIO()
    torch.save(state, file)
    loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    for parameter in pair.discriminator.parameters():
        parameter.data *= 1.5
    contexts = [discriminator_context(name, pair) for _ in range(2)]
    one, again = (regularizer.discriminator_term(c, s) for c, s in zip(contexts, (state, loaded), strict=True))
    assert (one is None and again is None) or (one is not None and again is not None and torch.equal(one, again))


@pytest.mark.parametrize("name", IMAGES_ONLY)
def test_what_changes_images_refuses_points(name: str) -> None:
    with pytest.raises(ValueError, match=r"images, got points of shape \(2,\); use"):
        REGULARIZERS[name].build(build(POINTS))


@for_each(("name", "shape"), PAIRS)
def test_terms_are_finite_float32_scalars_or_none(name: str, shape: tuple[int, ...]) -> None:
    pair = build(shape)
    d_term = discriminator_term(name, discriminator_context(name, pair))
    g_term = generator_term(name, generator_context(name, pair))
    assert (d_term is None) == (name in NOT_OF_THE_DISCRIMINATOR)
    assert (g_term is None) == (name not in OF_THE_GENERATOR)
    for value in (d_term, g_term):
        assert value is None or (value.shape == () and value.dtype == torch.float32 and value.isfinite())


@for_each(("name", "shape"), PAIRS)
def test_a_due_term_has_finite_gradients_that_are_not_all_zero(name: str, shape: tuple[int, ...]) -> None:
    pair = build(shape)
    value = discriminator_term(name, discriminator_context(name, pair))
    if value is None:
        return
    gradients = torch.autograd.grad(value, list(pair.discriminator.parameters()), allow_unused=True)
    reached = [gradient for gradient in gradients if gradient is not None]
    assert all(gradient.isfinite().all() for gradient in reached)
    if name != "wgan-lp":  # one-sided: silent while the slope is below one
        assert any(gradient.any() for gradient in reached)


@for_each("name", OF_THE_GENERATOR)
@both_kinds
def test_a_generators_term_reaches_the_generator_and_the_regularizers_own_network(
    name: str, shape: tuple[int, ...]
) -> None:
    pair = build(shape)
    context = generator_context(name, pair)
    value = generator_term(name, context)
    assert value is not None
    players = [pair.generator, *([] if context.network is None else [context.network])]
    for player in players:
        parameters = [p for p in player.parameters() if name not in OF_WEIGHTS or p.dim() > 1]
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert any(gradient is not None and gradient.any() for gradient in gradients)


@every_regularizer
def test_terms_repeat_with_their_generator_and_leave_the_world_alone(name: str) -> None:
    pair = build(IMAGES)
    contexts = [discriminator_context(name, pair) for _ in range(2)]
    state = {key: value.clone() for key, value in pair.discriminator.state_dict().items()}
    before = torch.get_rng_state()
    real, fake = contexts[0].real.clone(), contexts[0].fake.clone()
    one, again = (discriminator_term(name, context) for context in contexts)
    assert (one is None and again is None) or (one is not None and again is not None and torch.equal(one, again))
    assert torch.equal(contexts[0].real, real) and torch.equal(contexts[0].fake, fake)
    assert all(torch.equal(value, state[key]) for key, value in pair.discriminator.state_dict().items())
    assert all(parameter.grad is None for parameter in pair.discriminator.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@for_each(("name", "shape"), PAIRS)
def test_only_a_regularizer_that_says_so_looks_between_reals_and_fakes(name: str, shape: tuple[int, ...]) -> None:
    pair, inside = build(shape), []
    context = discriminator_context(name, pair)
    context.real, context.fake = torch.full_like(context.real, -1.0), torch.full_like(context.fake, 1.0)
    context.generate = lambda z: context.fake

    def watched(x: Tensor) -> Tensor:
        inside.append(bool((x.detach().abs() < 1 - 1e-6).any()))
        return pair.discriminator(x)

    context.discriminator = watched
    discriminator_term(name, context)
    assert any(inside) == REGULARIZERS[name].on_lines


@every_regularizer
def test_fakes_are_judged_under_their_own_condition(name: str) -> None:
    pair, judged = build(IMAGES), {"real": [], "fake": []}
    context = discriminator_context(name, pair)
    context.real, context.fake = torch.full_like(context.real, -1.0), torch.full_like(context.fake, 1.0)
    context.generate = lambda z: context.fake

    def judge(side: str) -> Discriminator:
        def watched(x: Tensor) -> Tensor:
            judged[side].append(x.detach().mean().item())
            return pair.discriminator(x)

        return watched

    context.discriminator, context.fake_discriminator = judge("real"), judge("fake")
    discriminator_term(name, context)
    assert all(mean == pytest.approx(1.0) for mean in judged["fake"])
    assert all(mean < 0.999 for mean in judged["real"])


@every_regularizer
def test_only_a_regularizer_that_says_so_differentiates_the_discriminator(name: str) -> None:
    pair, seen = build(IMAGES), []
    context = discriminator_context(name, pair)

    def watched(x: Tensor) -> Tensor:
        seen.append(x.requires_grad)
        return pair.discriminator(x)

    context.discriminator = watched
    discriminator_term(name, context)
    assert any(seen) == REGULARIZERS[name].per_sample_gradients


@every_regularizer
def test_only_clipping_moves_weights(name: str) -> None:
    network = nn.Linear(4, 1)
    before = network.weight.detach().clone()
    REGULARIZERS[name].constrain(network)
    assert torch.equal(network.weight, before) == (name != "clipping")
