"""What every registered regularizer promises: pure finite terms, state of its own, honest flags."""

import io
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
import torch
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.models import DCGAN, MLP, ModelPair
from ganneal.regularizers import REGULARIZERS, Context, GeneratorContext, Regularizer

every_regularizer = pytest.mark.parametrize("name", REGULARIZERS)
POINTS, IMAGES = (2,), (1, 8, 8)
both_kinds = pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=["points", "images"])
BATCH = 6


def build(shape: tuple[int, ...]) -> ModelPair:
    torch.manual_seed(0)
    model = MLP(width=8, depth=2) if shape == POINTS else DCGAN(width=4, latent_size=2, d_norm="layer")
    return model.build(shape)


def discriminator_context(pair: ModelPair, *, order: Tensor | None = None, d_updates: int = 0) -> Context:
    random = torch.Generator().manual_seed(1)
    real, fake = torch.rand(2, BATCH, *pair.shape, generator=random) * 2 - 1
    if order is not None:
        fake = fake[order]
    return Context(
        discriminator=pair.discriminator,
        real=real,
        fake=fake,
        real_logits=pair.discriminator(real),
        fake_logits=pair.discriminator(fake),
        counters=Counters(num_real=BATCH * d_updates, d_updates=d_updates),
        random=torch.Generator().manual_seed(2),
    )


def generator_context(pair: ModelPair) -> GeneratorContext:
    latents = pair.latent.sample(BATCH, torch.Generator().manual_seed(1))
    return GeneratorContext(
        generate=pair.generator,
        latents=latents,
        fake=pair.generator(latents),
        counters=Counters(),
        random=torch.Generator().manual_seed(2),
    )


def discriminator_term(name: str, context: Context) -> Tensor | None:
    return REGULARIZERS[name].discriminator_term(context, REGULARIZERS[name].init_state())


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
def test_state_starts_fresh_and_survives_a_checkpoint(name: str) -> None:
    state, other = REGULARIZERS[name].init_state(), REGULARIZERS[name].init_state()
    assert isinstance(state, dict) and state is not other
    file = io.BytesIO()
    torch.save(state, file)
    torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@every_regularizer
@both_kinds
def test_terms_are_finite_float32_scalars_or_none(name: str, shape: tuple[int, ...]) -> None:
    pair = build(shape)
    g_term = REGULARIZERS[name].generator_term(generator_context(pair), REGULARIZERS[name].init_state())
    for value in (discriminator_term(name, discriminator_context(pair)), g_term):
        assert value is None or (value.shape == () and value.dtype == torch.float32 and value.isfinite())


@every_regularizer
@both_kinds
def test_a_due_term_has_finite_gradients_that_are_not_all_zero(name: str, shape: tuple[int, ...]) -> None:
    pair = build(shape)
    value = discriminator_term(name, discriminator_context(pair))
    if value is None:
        assert name in ("none", "clipping")
        return
    gradients = torch.autograd.grad(value, list(pair.discriminator.parameters()), allow_unused=True)
    reached = [gradient for gradient in gradients if gradient is not None]
    assert all(gradient.isfinite().all() for gradient in reached)
    if name != "wgan-lp":  # one-sided: silent while the slope is below one
        assert any(gradient.any() for gradient in reached)


@every_regularizer
def test_terms_repeat_with_their_generator_and_leave_the_world_alone(name: str) -> None:
    pair = build(IMAGES)
    state = {key: value.clone() for key, value in pair.discriminator.state_dict().items()}
    before = torch.get_rng_state()
    contexts = [discriminator_context(pair) for _ in range(2)]
    real, fake = contexts[0].real.clone(), contexts[0].fake.clone()
    one, again = (discriminator_term(name, context) for context in contexts)
    assert (one is None and again is None) or (one is not None and again is not None and torch.equal(one, again))
    assert torch.equal(contexts[0].real, real) and torch.equal(contexts[0].fake, fake)
    assert all(torch.equal(value, state[key]) for key, value in pair.discriminator.state_dict().items())
    assert all(parameter.grad is None for parameter in pair.discriminator.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@every_regularizer
@both_kinds
def test_pairing_matters_exactly_where_it_mixes_real_and_fake(name: str, shape: tuple[int, ...]) -> None:
    pair = build(shape)
    for parameter in pair.discriminator.parameters():
        parameter.data *= 4  # slopes above one, where one-sided penalties act
    paired = discriminator_term(name, discriminator_context(pair))
    shuffled = discriminator_term(name, discriminator_context(pair, order=torch.tensor([1, 2, 3, 4, 5, 0])))
    if paired is None or shuffled is None:
        assert not REGULARIZERS[name].on_lines
        return
    # the same terms added in another order differ by rounding only
    assert (not torch.isclose(paired, shuffled, rtol=1e-5)) == REGULARIZERS[name].on_lines


@every_regularizer
def test_only_a_regularizer_that_says_so_differentiates_the_discriminator(name: str) -> None:
    pair, seen = build(IMAGES), []
    context = discriminator_context(pair)

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
