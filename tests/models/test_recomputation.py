"""Activations computed twice: the same bits as kept ones, and every block computed twice."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.data import Digits
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment
from ganneal.models import SNGAN, BigGAN, Model, ModelPair
from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.residual import DiscriminatorBlock, GeneratorBlock
from ganneal.normalization import Spectral
from ganneal.regularizers import REGULARIZERS, Sum
from ganneal.task import Labelled

MODELS: list[Any] = [
    BigGAN(width=4, latent_size=8, shared_size=4, hierarchical=True, attention=16),
    SNGAN(g_width=8, d_width=8, latent_size=8),
]


def players(model: Model) -> ModelPair:
    torch.manual_seed(0)
    pair = model.build((3, 32, 32), num_classes=3)
    for attention in (m for m in pair.generator.modules() if isinstance(m, SelfAttention)):
        nn.init.constant_(attention.scale, 0.5)
    pair.discriminator = Spectral().apply(pair.discriminator)
    return pair


def moved(model: Model, *, penalised: bool) -> tuple[list[Tensor], ModelPair]:
    """Outputs and gradients of a loss with two passes of the discriminator, with the players after it."""
    pair = players(model)
    latents, real = torch.randn(4, 8), torch.randn(4, 3, 32, 32).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0])
    fake = pair.generator(latents, labels)
    logits = [pair.discriminator(x, labels) for x in (real, fake)]
    loss = logits[0].square().sum() - logits[1].sum()
    if penalised:
        (slope,) = torch.autograd.grad(logits[0].sum(), real, create_graph=True)
        loss = loss + slope.square().sum()
    parameters = [*pair.generator.parameters(), *pair.discriminator.parameters()]
    return [fake, *logits, *torch.autograd.grad(loss, parameters)], pair


@pytest.mark.runs
@for_each("model", MODELS, ids=lambda model: type(model).__name__)
@for_each("penalised", [False, True])
def test_outputs_gradients_and_buffers_have_the_same_bits(model: Any, penalised: bool) -> None:
    (kept, one), (again, other) = (moved(replace(model, recompute=r), penalised=penalised) for r in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    for player, same in ((one.generator, other.generator), (one.discriminator, other.discriminator)):
        assert all(torch.equal(value, same.state_dict()[key]) for key, value in player.state_dict().items())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_block_is_computed_twice_where_there_are_gradients(model: Any) -> None:
    pair, calls = players(replace(model, recompute=True)), []
    blocks = [
        block
        for player in (pair.generator, pair.discriminator)
        for block in player.modules()
        if isinstance(block, GeneratorBlock | DiscriminatorBlock | SelfAttention)
    ]
    for block in blocks:
        block.register_forward_pre_hook(lambda module, _: calls.append(module))
    labels = torch.tensor([0, 1])
    with torch.no_grad():
        pair.discriminator(pair.generator(torch.randn(2, 8), labels), labels)
    assert [calls.count(block) for block in blocks] == [1] * len(blocks)
    calls.clear()
    pair.discriminator(pair.generator(torch.randn(2, 8), labels), labels).sum().backward()
    assert [calls.count(block) for block in blocks] == [2] * len(blocks)


@pytest.mark.runs
@pytest.mark.parametrize(
    ("regularizer", "precision"),
    [
        (Sum(), "float32"),
        (REGULARIZERS["r1"], "bf16"),
        pytest.param(REGULARIZERS["r1"], "float32", marks=pytest.mark.slow),
        pytest.param(Sum(), "bf16", marks=pytest.mark.slow),
    ],
)
def test_a_run_has_the_same_bits(regularizer: Any, precision: Any) -> None:
    digests = []
    for recompute in (False, True):
        experiment = Experiment(
            "digits",
            Digits(size=32),
            replace(MODELS[0], width=2, attention=None, recompute=recompute),
            task=Labelled(),
            normalization=Spectral(),
            regularizer=regularizer,
            precision=precision,
            batch_size=4,
            budget=Budget(g_updates=2),
        )
        run = Run(experiment)
        list(engine.training_rows(run))
        digests.append(run.digest())
    assert digests[0] == digests[1]
