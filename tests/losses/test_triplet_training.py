"""Relation GAN in the engine: the same steps by hand, resumption to the bit, what goes with it and what is refused."""

import io
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.augment import AUGMENTATIONS
from ganneal.data import Digits
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import EVERY_LOSS, LOSSES, PAIR_LOSSES, Loss, NonSaturating, Triplet, compares_pairs
from ganneal.models import DCGAN, Relation
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import SGD, Adam
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import Alternating, FunctionalGradient, Nested
from ganneal.weights import Explicit, Geometric

pytestmark = pytest.mark.usefixtures("one_thread")
BATCH = 4


def related(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="related",
        data=Digits(size=8),
        model=Relation(width=2, latent_size=3, hidden=4, g_norm="layer"),
        loss=Triplet(margin=1.0),  # type: ignore[arg-type]
        d_optimizer=SGD(lr=0.1),
        g_optimizer=SGD(lr=0.1),
        batch_size=BATCH,
        budget=Budget(g_updates=3),
        records=Records(log_every=BATCH, evaluate_count=0, tensorboard=False),
    )
    return replace(experiment, **changes)


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    for _ in engine.training_rows(run):
        pass
    return run


def step_by_hand(player: nn.Module, loss: Tensor) -> None:
    parameters = list(player.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.data.sub_(0.1 * gradient)


def test_the_moves_are_those_of_a_loop_by_hand() -> None:
    run = Run(related(budget=Budget(g_updates=2)))
    g, d = deepcopy(run.generator), deepcopy(run.discriminator)
    random = run.random["latents"].clone_state()
    loss, before = Triplet(margin=1.0), {}

    def batch(index: int) -> Tensor:
        return run.data.batch(index * BATCH, BATCH).samples

    for index in range(2):
        real, fake = batch(2 * index), g(torch.randn(BATCH, 3, generator=random)).detach()
        earlier_real, earlier_fake = before.get("d", (real.roll(1, 0), fake.roll(1, 0)))
        outputs = d(real, earlier_real), d(fake, real), d(fake, earlier_fake)
        step_by_hand(d, loss.discriminator(*outputs).mean())
        before["d"] = real, fake
        real, fake = batch(2 * index + 1), g(torch.randn(BATCH, 3, generator=random))
        earlier_real, earlier_fake = before.get("g", (real.roll(1, 0), real.roll(1, 0)))
        outputs = d(real, earlier_real), d(fake, real), d(fake, earlier_fake)
        step_by_hand(g, loss.generator(*outputs).mean())
        before["g"] = real, fake.detach()
    for _ in engine.training_rows(run):
        pass
    for ours, theirs in ((run.generator, g), (run.discriminator, d)):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


SCHEMES = {
    "cts": Alternating(d_steps=2),
    "nts": Nested(levels=2),
    "nats": Nested(levels=2, weights=Geometric(1, 0.1)),
}


@pytest.mark.runs
@for_each("name", SCHEMES)
@for_each("stop", [1, 4])
def test_a_run_resumed_at_any_step_ends_with_the_same_bits(name: str, stop: int) -> None:
    experiment = related(scheme=SCHEMES[name], g_batch_size=2 * BATCH, augmentation=AUGMENTATIONS["diffaugment"])
    whole, first, second = trained(experiment), Run(experiment), Run(experiment)
    for _ in engine.training_rows(first, iter([False] * stop + [True]).__next__):
        pass
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for _ in engine.training_rows(second):
        pass
    assert second.digest() == whole.digest() != Run(experiment).digest()


def test_one_level_of_weight_one_is_the_common_scheme_and_a_weight_scales_the_pull() -> None:
    common = trained(related())
    nested = trained(related(scheme=Nested(levels=1, weights=Explicit((1.0,)))))
    assert common.digest() == nested.digest()
    outputs = [torch.tensor([0.3, -0.2], requires_grad=True) for _ in range(3)]
    pulls = [
        torch.autograd.grad(Triplet().generator(*outputs, weight=weight).sum(), outputs[1])[0] for weight in (1.0, 0.25)
    ]
    assert torch.equal(pulls[1], 0.25 * pulls[0])


@pytest.mark.runs
@for_each(
    "changes",
    [
        {"normalization": NORMALIZATIONS["spectral"]},
        {"normalization": NORMALIZATIONS["gradient"]},
        {"regularizer": REGULARIZERS["r1"]},
        {"regularizer": REGULARIZERS["cr"]},
        {"accumulate": 2},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_other_parts_go_with_it(changes: dict[str, Any]) -> None:
    run = trained(related(**changes))
    assert run.is_finite() and run.counters.g_num_real == 3 * BATCH


def test_the_loss_is_named_like_any_other() -> None:
    assert list(EVERY_LOSS) == [*LOSSES, "triplet"] and "triplet" not in LOSSES
    assert EVERY_LOSS["triplet"] is PAIR_LOSSES["triplet"] and isinstance(EVERY_LOSS["triplet"], Loss)
    assert [name for name, loss in EVERY_LOSS.items() if compares_pairs(loss)] == ["triplet"]  # type: ignore[arg-type]


@for_each(
    ("changes", "message"),
    [
        ({"model": DCGAN(width=2)}, "loss Triplet compares pairs .*--model relation"),
        ({"loss": NonSaturating()}, "model Relation has a discriminator of pairs.*--loss triplet"),
        ({"scheme": FunctionalGradient(steps=2)}, "scheme pushes single samples"),
        ({"devices": 2}, "compares with the previous batch, .*use --devices 1"),
    ],
)
def test_what_does_not_go_with_pairs_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(related(**changes))


@pytest.mark.runs
def test_the_critic_of_the_experiment_learns_to_tell_fakes_from_reals() -> None:
    experiment = EXPERIMENTS["digits-relation"]()
    small = replace(
        experiment,
        model=Relation(width=4, latent_size=8, hidden=16),
        budget=Budget(d_updates=60),
        d_optimizer=Adam(lr=1e-2, beta1=0.9),
        g_optimizer=SGD(lr=0.0),
        records=replace(experiment.records, log_every=32),
    )
    losses = [row["d_loss"] for row in engine.training_rows(Run(small))]
    assert losses[0] == pytest.approx(2, rel=0.1)  # two margins of 1, and a critic that tells nothing
    assert losses[-1] < 1.5
