"""Players for few images in the engine: a step by hand, every loss and scheme, resumption to the bit."""

import io
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganneal.augment import AUGMENTATIONS
from ganneal.data import Arrays
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES
from ganneal.metrics.extractors.efficientnet import weights_path
from ganneal.models import DCGAN, FastGAN, Model, Pair, Projected
from ganneal.models.fastgan_discriminator import FastGANDiscriminator
from ganneal.models.projected import ProjectedDiscriminator
from ganneal.optim import SGD
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import Alternating, FunctionalGradient, Nested
from ganneal.weights import Geometric

pytestmark = pytest.mark.usefixtures("one_thread")
BATCH = 4
FAST = FastGAN(width=2, latent_size=4)
FROZEN = pytest.mark.skipif(weights_path() is None, reason="needs the extra 'features'")
PLAYERS = [
    FAST,
    pytest.param(Projected(FAST, side=64), marks=[FROZEN, pytest.mark.slow]),
    pytest.param(Pair(DCGAN(width=2), Projected(side=64)), marks=[FROZEN, pytest.mark.slow]),
]
every_player = pytest.mark.parametrize("model", PLAYERS, ids=lambda model: type(model).__name__)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("images") / "images.npz"
    random = np.random.default_rng(0)
    np.savez(path, images=random.integers(0, 256, (16, 3, 32, 32), dtype=np.uint8))
    return str(path)


def few(images: str | Path, **changes: Any) -> Experiment:
    experiment = Experiment(
        name="few",
        data=Arrays(str(images), images="images"),
        model=FAST,
        loss=LOSSES["hinge"],
        d_optimizer=SGD(lr=0.01),
        g_optimizer=SGD(lr=0.01),
        batch_size=BATCH,
        budget=Budget(g_updates=1),
        records=Records(log_every=BATCH, evaluate_count=0, tensorboard=False),
    )
    return replace(experiment, **changes)


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    for _ in engine.training_rows(run):
        pass
    return run


def test_a_step_of_the_discriminator_by_hand_has_the_loss_of_all_logits_and_the_reconstruction(images: str) -> None:
    run = Run(few(images))
    d, g = deepcopy(run.discriminator), deepcopy(run.generator)
    assert isinstance(d, FastGANDiscriminator)
    real = run.data.batch(0, BATCH).samples
    latents = run.pair.latent.sample(BATCH, deepcopy_of(run.random["latents"]))
    quarters = torch.randint(4, (BATCH,), generator=deepcopy_of(run.random["penalty"]))
    with torch.no_grad():
        fake = g(latents)  # the noise has the scale 0 at first
    of_real, of_fake = d.outputs(real), d.outputs(fake)
    loss = (1 - of_real.logits).relu().mean() + (1 + of_fake.logits).relu().mean()
    error = d.reconstruction_error(of_real.features, real, quarters).mean()
    gradients = torch.autograd.grad(loss + error, list(d.parameters()))
    engine.apply(run.cursor.step, run)
    assert run.meters.values["d_loss"][0].item() == pytest.approx(loss.item(), rel=1e-5)
    assert run.meters.values["d_penalty"][0].item() == pytest.approx(error.item(), rel=1e-5)
    for ours, theirs, gradient in zip(run.discriminator.parameters(), d.parameters(), gradients, strict=True):
        torch.testing.assert_close(ours, theirs - 0.01 * gradient, rtol=1e-4, atol=1e-6)


def deepcopy_of(generator: torch.Generator) -> torch.Generator:
    return torch.Generator().set_state(generator.get_state())


@pytest.mark.runs
@every_player
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_both_players(name: str, model: Model, images: str) -> None:
    experiment = few(images, loss=LOSSES[name], model=model)
    run, before = trained(experiment), Run(experiment)
    assert run.is_finite()
    for player, untrained in ((run.generator, before.generator), (run.discriminator, before.discriminator)):
        assert any(not torch.equal(a, b) for a, b in zip(player.parameters(), untrained.parameters(), strict=True))


SCHEMES = {
    "cts": Alternating(),
    "nts": Nested(levels=2),
    "nats": Nested(levels=2, weights=Geometric(1, 0.1)),
    "cfg": FunctionalGradient(steps=1, step_size=0.1, pool_size=8, epochs=1),
}


@pytest.mark.runs
@every_player
@pytest.mark.parametrize("name", SCHEMES)
def test_a_run_resumed_at_a_step_ends_with_the_same_bits(name: str, model: Model, images: str) -> None:
    changes = {"model": model, "augmentation": AUGMENTATIONS["diffaugment"], "regularizer": REGULARIZERS["lecam"]}
    experiment = few(images, scheme=SCHEMES[name], budget=Budget(d_updates=2), **changes)
    whole, first, second = trained(experiment), Run(experiment), Run(experiment)
    for _ in engine.training_rows(first, iter([False, False, True]).__next__):
        pass
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for _ in engine.training_rows(second):
        pass
    assert second.digest() == whole.digest() != Run(experiment).digest()


@every_player
def test_bf16_and_accumulation_train(model: Model, images: str) -> None:
    run = trained(few(images, precision="bf16", accumulate=2, model=model))
    assert run.is_finite() and {each.dtype for each in run.d_parameters} == {torch.float32}


@pytest.mark.runs
@FROZEN
def test_a_step_against_the_projected_discriminator_by_hand_and_resumed_has_the_same_bits(images: str) -> None:
    experiment = few(images, model=Projected(FAST, side=64))
    run = Run(experiment)
    d, real = deepcopy(run.discriminator), run.data.batch(0, BATCH).samples
    assert isinstance(d, ProjectedDiscriminator)
    with torch.no_grad():
        fake = deepcopy(run.generator)(run.pair.latent.sample(BATCH, deepcopy_of(run.random["latents"])))
    loss = (1 - d.outputs(real).logits).relu().mean(2).sum(1).mean() + (1 + d.outputs(fake).logits).relu().mean(2).sum(
        1
    ).mean()
    gradients = torch.autograd.grad(loss, list(d.parameters()))
    assert len(run.d_parameters) == len(gradients) == sum(len(list(head.parameters())) for head in d.heads)
    engine.apply(run.cursor.step, run)
    run.cursor.advance()
    assert run.meters.values["d_loss"][0].item() == pytest.approx(loss.item(), rel=1e-5)
    for ours, theirs, gradient in zip(run.discriminator.parameters(), d.parameters(), gradients, strict=True):
        torch.testing.assert_close(ours, theirs - 0.01 * gradient, rtol=1e-4, atol=1e-6)
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    again = Run(experiment)
    again.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for each in (run, again):
        with each.moving():  # the noise is drawn from the run's own stream
            engine.apply(each.cursor.step, each)
    assert again.digest() == run.digest()
