"""Invariants of training, bit by bit. Schemes are Algorithms 1 and 3 of NATS, arXiv 2501.11318."""

import io
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.engine.runs import (
    BATCH,
    differences,
    digits,
    ring,
    rows,
    same_bits,
    state_of,
    through_disk,
    timeless,
    trained,
)
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.augment import Transforms
from ganneal.augment.probability import Adaptive
from ganneal.checks import check
from ganneal.clocks import RuleClock
from ganneal.data import Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.engine.updates import gradient_norm
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES, Hinge, Wasserstein
from ganneal.models import DCGAN, MLP
from ganneal.optim import CG, SGD, Adam, Averaging, ConjugateGradient, Cosine, LinearDecay, Power, RMSProp
from ganneal.regularizers import (
    REGULARIZERS,
    Context,
    Dragan,
    GeneratorContext,
    GradientPenalty,
    LatentEntropy,
    LeCam,
    Reals,
    Regularizer,
    Sum,
    WeightClipping,
    latent_log_density,
)
from ganneal.schemes import Alternating, Nested, Scheme
from ganneal.steps import (
    FitGenerator,
    Pool,
    PushPool,
    Replay,
    Step,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.stop import Row
from ganneal.task import Labelled
from ganneal.training.evaluator import Evaluator
from ganneal.weights import Explicit, Geometric, Ones

pytestmark = pytest.mark.usefixtures("one_thread")


def nats(levels: int, d_steps: int = 1) -> Nested:
    return Nested(levels=levels, d_steps=d_steps, weights=Geometric(1, 0.01))


def last_row(run: Run) -> Row:
    return rows(run)[-1]


def before_each_step(observe: Callable[[], None]) -> Callable[[], bool]:
    """An interruption that never comes but looks at the run whenever it is asked."""

    def asked() -> bool:
        observe()
        return False

    return asked


@dataclass
class After:
    """An interruption that comes when so many steps are done."""

    steps: int

    def __call__(self) -> bool:
        self.steps -= 1
        return self.steps < 0


def step_of(run: Run) -> Step:
    return run.cursor.step


def weights_of(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def buffers_of(module: nn.Module) -> list[Tensor]:
    return [b.detach().clone() for b in module.buffers()]


def distance(left: list[Tensor], right: list[Tensor]) -> float:
    return math.sqrt(sum((a - b).double().square().sum().item() for a, b in zip(left, right, strict=True)))


# The common scheme is nested training with one level; nested training is nested annealed training with weights one.


@pytest.mark.runs
@for_each("k", [1, 4])
@for_each("name", LOSSES)
def test_one_level_of_weight_one_is_the_common_scheme_bit_for_bit(name: str, k: int) -> None:
    experiment = ring(loss=LOSSES[name], budget=Budget(g_updates=2))
    common = trained(replace(experiment, scheme=Alternating(d_steps=k)))
    nested = trained(replace(experiment, scheme=Nested(levels=1, d_steps=k, weights=Explicit((1.0,)))))
    assert common.digest() == nested.digest()
    assert differences(state_of(common), state_of(nested)) == []
    assert common.digest() != Run(experiment).digest()


@pytest.mark.parametrize("k", [1, 4])
def test_one_level_is_the_common_scheme_for_networks_with_buffers_too(k: int) -> None:
    experiment = digits(budget=Budget(g_updates=3), precision="bf16")
    common = trained(replace(experiment, scheme=Alternating(d_steps=k)))
    nested = trained(replace(experiment, scheme=Nested(levels=1, d_steps=k, weights=Explicit((1.0,)))))
    assert common.digest() == nested.digest()


@pytest.mark.runs
@for_each("name", LOSSES)
def test_explicit_weights_of_one_are_nested_training_bit_for_bit(name: str) -> None:
    experiment = ring(loss=LOSSES[name], budget=Budget(d_updates=4))
    explicit = trained(replace(experiment, scheme=Nested(levels=3, weights=Explicit((1.0, 1.0, 1.0)))))
    ones = trained(replace(experiment, scheme=Nested(levels=3, weights=Ones())))
    assert explicit.digest() == ones.digest()
    assert differences(state_of(explicit), state_of(ones)) == []


@pytest.mark.runs
@for_each("name", LOSSES)
def test_a_weight_other_than_one_reaches_every_loss(name: str) -> None:
    experiment = ring(loss=LOSSES[name], g_optimizer=SGD(lr=0.1), budget=Budget(g_updates=1))
    one = trained(replace(experiment, scheme=Nested(levels=1, weights=Explicit((1.0,)))))
    half = trained(replace(experiment, scheme=Nested(levels=1, weights=Explicit((0.5,)))))
    assert same_bits(weights_of(one.discriminator), weights_of(half.discriminator))
    assert not same_bits(weights_of(one.generator), weights_of(half.generator))


def test_each_generator_update_of_a_level_has_the_levels_weight() -> None:
    # Under SGD with a linear generator loss the step is w[j] times the gradient of -D(G(z)).
    run = Run(ring(loss=Wasserstein(), scheme=nats(3), g_optimizer=SGD(lr=0.1), budget=Budget(d_updates=4)))
    seen: list[float] = []
    before: list[Tensor] = []
    gradient: list[Tensor] = []

    def observe() -> None:
        if gradient:
            moved = distance(weights_of(run.generator), before)
            seen.append(moved / (0.1 * math.sqrt(sum(g.double().square().sum().item() for g in gradient))))
        before[:], gradient[:] = weights_of(run.generator), []
        if isinstance(step_of(run), UpdateGenerator):
            twin = deepcopy(run.random["latents"])
            loss = -run.discriminator(run.generator(run.pair.latent.sample(BATCH, twin))).mean()
            gradient[:] = torch.autograd.grad(loss, list(run.generator.parameters()))

    rows(run, before_each_step(observe))
    assert seen == pytest.approx([1.0, 0.1, 0.1, 0.01, 0.01, 0.01], rel=1e-4)


# Counts


@pytest.mark.runs
@for_each(
    ("scheme", "d_updates", "g_updates"),
    [
        (Alternating(), 1, 1),
        (Alternating(d_steps=4), 4, 1),
        (Nested(levels=4), 4, 10),
        (nats(4, d_steps=3), 12, 10),
        (nats(5), 5, 15),
        (nats(10), 10, 55),
    ],
    ids=str,
)
@for_each("rounds", [1, 3])
def test_the_engine_makes_each_rounds_updates(scheme: Scheme, d_updates: int, g_updates: int, rounds: int) -> None:
    run = Run(ring(scheme=scheme, budget=Budget(g_updates=rounds * g_updates)))
    row = last_row(run)
    assert run.counters.d_updates == row["d_updates"] == rounds * d_updates
    assert run.counters.g_updates == row["g_updates"] == rounds * g_updates
    assert run.counters.num_real == row["num_real"] == rounds * d_updates * BATCH
    assert row["round"] == rounds


def test_the_engine_follows_the_papers_worked_example() -> None:
    run = Run(ring(scheme=Nested(levels=4), budget=Budget(d_updates=5)))
    moves: list[str] = []

    def observe() -> None:
        after = (run.counters.d_updates, run.counters.g_updates)
        moves.append("DG"[[after[0] - before[0], after[1] - before[1]].index(1)] if after != (0, 0) else "")
        before[:] = after

    before = [0, 0]
    rows(run, before_each_step(observe))
    assert "".join(moves) == "DGDGGDGGGDGGGG"


def test_every_discriminator_update_has_new_real_samples_and_every_update_fresh_latents() -> None:
    run = Run(ring(scheme=Nested(levels=3, d_steps=2), budget=Budget(g_updates=6)))
    real, latents, judged = [], [], []
    run.generator.register_forward_pre_hook(lambda module, inputs: latents.append(inputs[0].clone()))
    run.discriminator.register_forward_pre_hook(lambda module, inputs: judged.append(inputs[0].detach().clone()))
    rows(run)
    d_updates, g_updates = 6, 6
    assert len(latents) == d_updates + g_updates and len(judged) == 2 * d_updates + g_updates
    assert len({z.numpy().tobytes() for z in latents}) == len(latents)
    levels = iter(judged)
    for level in (1, 2, 3):
        for _ in range(2):
            real.append(next(levels))  # the discriminator sees the real batch, then the fakes
            next(levels)
        for _ in range(level):
            next(levels)
    stream = run.data.batch(0, d_updates * BATCH).samples
    assert torch.equal(torch.cat(real), stream)


# One player at a time


def touches_the_other_player(run: Run, step: Step) -> dict[str, bool]:
    """What ``step`` changed."""
    players = {"generator": run.generator, "discriminator": run.discriminator}
    before = {name: (weights_of(module), buffers_of(module)) for name, module in players.items()}
    engine.apply(step, run)
    changed = {}
    for name, module in players.items():
        changed[f"{name} weights"] = not same_bits(before[name][0], weights_of(module))
        changed[f"{name} buffers"] = not same_bits(before[name][1], buffers_of(module))
    return changed


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_generator_moves_leave_every_weight_and_buffer_of_the_discriminator(precision: str) -> None:
    run = trained(digits(precision=precision, accumulate=2))
    assert touches_the_other_player(run, UpdateGenerator(weight=0.3)) == {
        "generator weights": True,
        "generator buffers": True,
        "discriminator weights": False,
        "discriminator buffers": False,
    }


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_discriminator_moves_leave_the_generators_weights_but_its_buffers_follow(precision: str) -> None:
    run = trained(digits(precision=precision))
    assert touches_the_other_player(run, UpdateDiscriminator()) == {
        "generator weights": False,
        "generator buffers": True,
        "discriminator weights": True,
        "discriminator buffers": True,
    }


def test_buffers_of_the_discriminator_can_follow_the_generators_moves_by_choice() -> None:
    run = trained(digits(keep_d_buffers=False))
    changed = touches_the_other_player(run, UpdateGenerator())
    assert changed["discriminator buffers"] and not changed["discriminator weights"]


def test_batch_norm_counts_one_pass_of_real_and_one_of_fake_per_discriminator_update() -> None:
    run = trained(digits(scheme=nats(3), budget=Budget(g_updates=12)))
    counted = {n: int(b) for n, b in run.discriminator.named_buffers() if n.endswith("num_batches_tracked")}
    assert counted and set(counted.values()) == {2 * run.counters.d_updates}
    passes = {int(b) for n, b in run.generator.named_buffers() if n.endswith("num_batches_tracked")}
    assert passes == {run.counters.d_updates + run.counters.g_updates}


def test_the_discriminator_uses_batch_statistics_in_the_generators_moves() -> None:
    experiment = digits(g_optimizer=SGD(lr=0.1))
    run, twin = trained(experiment), trained(experiment)
    for module in twin.discriminator.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.fill_(7.0)
            module.running_var.fill_(100.0)
    for each in (run, twin):
        engine.apply(UpdateGenerator(), each)
    assert same_bits(weights_of(run.generator), weights_of(twin.generator))


@pytest.mark.parametrize("step", [UpdateDiscriminator(), UpdateGenerator()], ids=["discriminator", "generator"])
def test_no_gradient_is_left_behind_and_everything_can_be_trained_again(step: Step) -> None:
    run = Run(digits(model=DCGAN(width=4, latent_size=4, d_norm="layer"), regularizer=REGULARIZERS["r1"]))
    for _ in range(2):
        engine.apply(step, run)
        parameters = [*run.generator.parameters(), *run.discriminator.parameters()]
        assert all(p.grad is None and p.requires_grad for p in parameters)
    assert run.generator.training and run.discriminator.training


def test_the_discriminator_is_frozen_in_the_generators_moves_and_only_there() -> None:
    run = Run(ring())
    frozen: list[set[bool]] = []
    run.discriminator.register_forward_pre_hook(
        lambda module, inputs: frozen.append({not p.requires_grad for p in module.parameters()})
    )
    engine.apply(UpdateDiscriminator(), run)
    engine.apply(UpdateGenerator(), run)
    engine.apply(UpdateDiscriminator(), run)
    assert frozen == [{False}, {False}, {True}, {False}, {False}]


def test_a_gradient_left_by_somebody_else_does_not_enter_an_update() -> None:
    clean, stale = Run(ring()), Run(ring())
    for p in (*stale.generator.parameters(), *stale.discriminator.parameters()):
        p.grad = torch.full_like(p, 1e3)
    for run in (clean, stale):
        rows(run)
    assert clean.digest() == stale.digest()


def test_a_failing_generator_move_leaves_the_discriminator_trainable_and_its_buffers_kept() -> None:
    run = trained(digits())
    before = buffers_of(run.discriminator)

    def fail(*arguments: Any) -> None:
        raise RuntimeError("out of memory")

    run.discriminator.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.apply(UpdateGenerator(), run)
    assert all(p.requires_grad for p in run.discriminator.parameters())
    assert same_bits(before, buffers_of(run.discriminator))


# Adam cancels a constant weight


def test_under_adam_the_softened_reverse_kl_hybrid_is_the_nonsaturating_gan_to_the_bit() -> None:
    tiny = Adam(lr=1e-2, eps=1e-30)  # both losses are doubled, which is exact and cancels but for eps
    plain, hybrid = (
        trained(digits(loss=LOSSES[name], d_optimizer=tiny, g_optimizer=tiny, scheme=nats(3)))
        for name in ("nonsaturating", "hybrid")
    )
    for player in ("generator", "discriminator"):
        assert same_bits(weights_of(getattr(plain, player)), weights_of(getattr(hybrid, player)))


@pytest.mark.parametrize("loss", [Wasserstein(), Hinge()], ids=["wgan", "hinge"])
def test_a_constant_weight_cancels_under_adam_with_a_linear_generator_loss(loss: Any) -> None:
    # A power of two scales every gradient exactly, so that the trajectories agree to the last bit.
    experiment = ring(loss=loss, g_optimizer=Adam(lr=1e-2, eps=1e-30), budget=Budget(d_updates=9))
    ones = trained(replace(experiment, scheme=Nested(levels=3)))
    light = trained(replace(experiment, scheme=Nested(levels=3, weights=Explicit((2.0**-6,) * 3))))
    assert ones.digest() == light.digest()
    third = trained(replace(experiment, scheme=Nested(levels=3, weights=Explicit((1 / 3,) * 3))))
    torch.testing.assert_close(weights_of(third.generator), weights_of(ones.generator), rtol=1e-3, atol=1e-4)


def test_a_constant_weight_does_not_cancel_under_sgd() -> None:
    experiment = ring(loss=Wasserstein(), g_optimizer=SGD(lr=1e-2), budget=Budget(d_updates=3))
    ones = trained(replace(experiment, scheme=Nested(levels=3)))
    light = trained(replace(experiment, scheme=Nested(levels=3, weights=Explicit((0.5,) * 3))))
    assert not same_bits(weights_of(ones.generator), weights_of(light.generator))


# The same bits as a loop written by hand


def by_hand(experiment: Experiment, iterations: int, d_steps: int, **adam: Any) -> Run:
    """The common scheme with the non-saturating loss, in plain PyTorch, on the streams and weights of a fresh run."""
    run = Run(experiment)
    generator, discriminator = run.generator, run.discriminator
    settings = {"lr": 1e-2, "betas": (0.5, 0.999), "eps": 1e-8, **adam}
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **settings)
    g_optimizer = torch.optim.Adam(generator.parameters(), **settings)
    for _ in range(iterations):
        for _ in range(d_steps):
            real = run.next_batch(BATCH).samples
            with torch.no_grad():
                fake = generator(run.draw_latents(BATCH))
            d_optimizer.zero_grad()
            loss = LOSSES["nonsaturating"].discriminator(discriminator(real), discriminator(fake)).mean()
            loss.backward()
            d_optimizer.step()
        kept = buffers_of(discriminator)
        g_optimizer.zero_grad()
        LOSSES["nonsaturating"].generator(discriminator(generator(run.draw_latents(BATCH)))).mean().backward()
        g_optimizer.step()
        for buffer, value in zip(discriminator.buffers(), kept, strict=True):
            buffer.copy_(value)
    return run


@pytest.mark.runs
@for_each("d_steps", [1, 2])
@for_each("make", [ring, digits])
def test_the_engine_gives_the_bits_of_a_plain_loop(make: Callable[..., Experiment], d_steps: int) -> None:
    experiment = make(scheme=Alternating(d_steps=d_steps), budget=Budget(g_updates=8))
    expected = by_hand(experiment, 8, d_steps, fused=True)
    run = trained(experiment)
    for name in ("generator", "discriminator"):
        assert differences(getattr(run, name).state_dict(), getattr(expected, name).state_dict()) == []


def test_the_engine_agrees_with_a_plain_loop_written_in_closed_forms() -> None:
    """torch's default Adam and the loss as -log sigmoid: the same numbers to rounding."""
    experiment = ring(budget=Budget(g_updates=8))
    run, other = trained(experiment), Run(experiment)
    d_optimizer = torch.optim.Adam(other.discriminator.parameters(), lr=1e-2, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(other.generator.parameters(), lr=1e-2, betas=(0.5, 0.999))
    for _ in range(8):
        real, fake = other.next_batch(BATCH).samples, other.generator(other.draw_latents(BATCH)).detach()
        d_optimizer.zero_grad()
        real_loss = F.binary_cross_entropy_with_logits(other.discriminator(real), torch.ones(BATCH))
        (real_loss + F.binary_cross_entropy_with_logits(other.discriminator(fake), torch.zeros(BATCH))).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        logits = other.discriminator(other.generator(other.draw_latents(BATCH)))
        F.binary_cross_entropy_with_logits(logits, torch.ones(BATCH)).backward()
        g_optimizer.step()
    torch.testing.assert_close(weights_of(run.generator), weights_of(other.generator), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights_of(run.discriminator), weights_of(other.discriminator), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert trained(digits()).digest() == trained(digits()).digest() != trained(digits(seed=1)).digest()


def test_training_neither_reads_nor_moves_the_global_random_generator() -> None:
    torch.manual_seed(0)
    before, digest = torch.get_rng_state(), trained(ring(regularizer=REGULARIZERS["dragan"])).digest()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert trained(ring(regularizer=REGULARIZERS["dragan"])).digest() == digest


# Accumulation, batch sizes, learning rates


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_micro_batches_are_one_batch_without_batch_norm(parts: int) -> None:
    # torch draws normal numbers in blocks of 16: micro-batches of a multiple of 8 pairs see the same latents.
    experiment = ring(batch_size=64, d_optimizer=SGD(lr=0.1), g_optimizer=SGD(lr=0.1), scheme=nats(3))
    whole, accumulated = trained(experiment), trained(replace(experiment, accumulate=parts))
    clocks = ("seconds", "cpu_seconds")
    counted = [{k: v for k, v in run.counters.as_dict().items() if k not in clocks} for run in (whole, accumulated)]
    assert counted[0] == counted[1]
    for name in ("generator", "discriminator", "average"):
        got, expected = weights_of(getattr(accumulated, name)), weights_of(getattr(whole, name))
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
        assert distance(expected, weights_of(getattr(Run(experiment), name))) > 1e-3


def test_the_generators_batch_has_its_own_size() -> None:
    run = Run(ring(g_batch_size=48, budget=Budget(g_updates=2)))
    seen: list[int] = []
    run.generator.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    rows(run)
    assert seen == [BATCH, 48] * 2
    assert run.counters.num_real == 2 * BATCH


@dataclass(frozen=True)
class Watched:
    """A learning-rate rule that remembers when it was asked."""

    factor: float = 0.5
    clock: RuleClock = "own_updates"
    asked: list[int] = field(default_factory=list)

    def at(self, ticks: int) -> float:
        self.asked.append(ticks)
        return self.factor


@for_each(
    ("clock", "d_ticks", "g_ticks"),
    [
        ("own_updates", [0, 1, 2], [0, 1, 2]),
        ("num_real", [0, 16, 32], [16, 32, 32]),
        ("d_updates", [0, 1, 2], [1, 2, 2]),
        ("g_updates", [0, 1, 3], [0, 1, 2]),
    ],
)
def test_learning_rate_rules_are_asked_at_every_update_of_their_player_with_its_clock_before_it(
    clock: RuleClock, d_ticks: list[int], g_ticks: list[int]
) -> None:
    d_rule, g_rule = Watched(clock=clock), Watched(clock=clock)
    run = Run(ring(d_optimizer=SGD(0.1, rule=d_rule), g_optimizer=SGD(0.2, rule=g_rule), scheme=Nested(levels=2)))
    row = next(iter(engine.training_rows(replace_budget(run, Budget(d_updates=3)))))
    assert (d_rule.asked, g_rule.asked) == (d_ticks, g_ticks)
    assert (row["d_lr"], row["g_lr"]) == (0.05, 0.1)


def replace_budget(run: Run, budget: Budget) -> Run:
    run.experiment = replace(run.experiment, budget=budget)
    return run


def test_a_learning_rate_that_has_reached_zero_stops_its_player_only() -> None:
    rule = LinearDecay(start=0, end=2 * BATCH, final=0.0, clock="num_real")
    run = Run(ring(d_optimizer=SGD(lr=0.1, rule=rule), budget=Budget(d_updates=2)))
    rows(run)
    assert run.d_optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    discriminator, generator = weights_of(run.discriminator), weights_of(run.generator)
    rows(replace_budget(run, Budget(d_updates=5)))
    assert same_bits(discriminator, weights_of(run.discriminator))
    assert not same_bits(generator, weights_of(run.generator))


@for_each("optimizer", [SGD, Adam, RMSProp])
def test_a_rules_factor_is_the_learning_rate_times_the_factor(optimizer: Any) -> None:
    whole = trained(ring(g_optimizer=optimizer(lr=0.005)))
    half = trained(ring(g_optimizer=optimizer(lr=0.01, rule=Watched(0.5))))
    assert same_bits(weights_of(whole.generator), weights_of(half.generator))


# Regularizers


def one_discriminator_update_by_hand(run: Run, penalty: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> list[Tensor]:
    """The weights after one plain gradient step on the logistic loss plus ``penalty``."""
    streams = {name: deepcopy(random) for name, random in run.random.items()}
    real = run.data.batch(run.data_position, BATCH).samples
    twin = deepcopy(run.discriminator)
    fake = deepcopy(run.generator)(run.pair.latent.sample(BATCH, streams["latents"])).detach()
    loss = F.softplus(-twin(real)).mean() + F.softplus(twin(fake)).mean() + penalty(twin, real, fake)
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    return [p.detach() - 0.1 * g for p, g in zip(twin.parameters(), gradients, strict=True)]


def input_gradient(discriminator: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient.flatten(1)


LAYER_NORM = DCGAN(width=4, latent_size=4, d_norm="layer")


@pytest.mark.parametrize("make", [ring, lambda **changes: digits(model=LAYER_NORM, **changes)], ids=["ring", "digits"])
def test_r1_takes_part_in_the_discriminators_update(make: Callable[..., Experiment]) -> None:
    # gamma = 10, the registered default: gamma / 2 times the squared norm of the gradient at real samples
    run = Run(make(regularizer=REGULARIZERS["r1"], d_optimizer=SGD(lr=0.1)))
    expected = one_discriminator_update_by_hand(
        run, lambda d, real, fake: 5.0 * input_gradient(d, real).square().sum(1).mean()
    )
    plain = one_discriminator_update_by_hand(run, lambda d, real, fake: torch.zeros(()))
    engine.apply(UpdateDiscriminator(), run)
    torch.testing.assert_close(weights_of(run.discriminator), expected, rtol=1e-5, atol=1e-6)
    assert distance(expected, plain) > 1e-3


@pytest.mark.parametrize("make", [ring, lambda **changes: digits(model=LAYER_NORM, **changes)], ids=["ring", "digits"])
def test_the_penalty_of_wgan_gp_takes_part_in_the_discriminators_update(make: Callable[..., Experiment]) -> None:
    run = Run(make(regularizer=REGULARIZERS["wgan-gp"], d_optimizer=SGD(lr=0.1)))
    shares = torch.rand(BATCH, generator=deepcopy(run.random["penalty"]))

    def penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        share = shares.view(-1, *(1,) * (real.dim() - 1))
        points = share * real + (1 - share) * fake
        return 10.0 * (input_gradient(discriminator, points).norm(dim=1) - 1).square().mean()

    expected = one_discriminator_update_by_hand(run, penalty)
    engine.apply(UpdateDiscriminator(), run)
    torch.testing.assert_close(weights_of(run.discriminator), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.runs
@for_each("accumulate", [1, 2])
@for_each("config", [SGD(lr=0.1), Adam(lr=0.01), RMSProp(lr=0.01)], ids=lambda c: type(c).__name__)
@for_each("name", ["none", "r1"])
def test_updates_do_not_depend_on_how_gradients_lie_in_memory(name: str, config: Any, accumulate: int) -> None:
    """Second derivatives of convolutions come in another memory format than the weights; fused optimizers ignore it."""
    experiment = digits(model=LAYER_NORM, regularizer=REGULARIZERS[name], d_optimizer=config, accumulate=accumulate)
    run = Run(experiment)
    plain = [nn.Parameter(p.detach().clone(memory_format=torch.contiguous_format)) for p in run.d_parameters]
    optimizer = config.build(plain)
    apply_gradients = run.d_optimizer.step
    gradients: list[Tensor] = []

    def step(*arguments: Any, **options: Any) -> Any:
        gradients[:] = [p.grad.clone() for p in run.d_parameters if p.grad is not None]
        return apply_gradients(*arguments, **options)

    run.d_optimizer.step = step  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(3):
        engine.apply(UpdateDiscriminator(), run)
        for p, gradient in zip(plain, gradients, strict=True):
            p.grad = gradient.clone(memory_format=torch.contiguous_format)
        optimizer.step()
        torch.testing.assert_close(weights_of(run.discriminator), [p.detach() for p in plain], rtol=1e-5, atol=1e-6)


def test_a_lazy_penalty_is_due_every_so_many_discriminator_updates() -> None:
    lazy = GradientPenalty(center=0.0, points=Reals(), interval=3)
    run = Run(ring(regularizer=lazy, scheme=nats(3), budget=Budget(d_updates=8)))
    due: list[int] = []

    def observe() -> None:
        count = len(run.meters.values.get("d_penalty", []))
        if count > len(due):
            due.append(run.counters.d_updates - 1)

    rows(run, before_each_step(observe))
    assert due == [0, 3, 6]


@pytest.mark.parametrize("parts", [1, 2])
def test_clipping_holds_after_every_discriminator_update(parts: int) -> None:
    limit = 0.02
    run = Run(ring(regularizer=WeightClipping(limit), loss=Wasserstein(), scheme=nats(3), accumulate=parts))
    largest: list[float] = []

    def observe() -> None:
        if run.counters.d_updates:
            largest.append(max(p.abs().max().item() for p in run.discriminator.parameters()))

    rows(run, before_each_step(observe))
    assert largest and max(largest) == pytest.approx(limit) and max(largest) <= limit * (1 + 1e-6)
    assert max(p.abs().max().item() for p in run.generator.parameters()) > limit


PER_SAMPLE = [name for name, regularizer in REGULARIZERS.items() if regularizer.per_sample_gradients]


@pytest.mark.runs
@for_each("name", PER_SAMPLE)
def test_penalties_on_single_samples_refuse_batch_norm_in_the_discriminator(name: str) -> None:
    with pytest.raises(ValueError, match=r"regularizer .*batch norm.*Use .*d_norm='layer'"):
        Run(digits(regularizer=REGULARIZERS[name]))
    with pytest.raises(ValueError, match="batch norm"):
        Run(digits(regularizer=Sum((WeightClipping(), REGULARIZERS[name]))))


NORMS = ["layer", "instance", "none"]


@pytest.mark.parametrize(
    ("name", "norm"),
    [  # each penalty with a norm, each norm with penalties
        pytest.param(name, norm, marks=[] if index % len(NORMS) == place else pytest.mark.slow)
        for index, name in enumerate(PER_SAMPLE)
        for place, norm in enumerate(NORMS)
    ],
)
def test_penalties_on_single_samples_train_with_every_other_norm(name: str, norm: Any) -> None:
    experiment = digits(model=DCGAN(4, 4, d_norm=norm), regularizer=REGULARIZERS[name], budget=Budget(g_updates=1))
    row = last_row(Run(experiment))
    assert math.isfinite(row["d_penalty"]) and row["d_penalty"] >= 0


def test_the_gradient_of_a_penalty_is_taken_outside_mixed_precision() -> None:
    run = Run(digits(model=LAYER_NORM, precision="bf16", regularizer=GradientPenalty(points=Reals())))
    dtypes: list[torch.dtype] = []
    run.discriminator.register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    engine.apply(UpdateDiscriminator(), run)
    assert dtypes == [torch.bfloat16, torch.bfloat16, torch.float32]


# The average


def averaged_by_hand(run: Run, averaging: Averaging, ends: Callable[[Step | None, Step | None], bool]) -> list[float]:
    """Train ``run``; compare its average with one made by hand where ``ends`` says so; give the decays."""
    average = weights_of(run.generator)
    decays: list[float] = []
    since, previous = 0, None

    def update() -> None:
        nonlocal since
        now = run.counters.num_real
        half_life = averaging.half_life
        if averaging.rampup is not None:
            half_life = min(half_life, averaging.rampup * now)
        decays.append(0.5 ** ((now - since) / half_life))
        since = now
        for old, new in zip(average, run.generator.parameters(), strict=True):
            old.mul_(decays[-1]).add_(new.detach(), alpha=1 - decays[-1])

    def observe() -> None:
        nonlocal previous
        if ends(previous, step_of(run)):
            update()
        torch.testing.assert_close(weights_of(run.average), average, rtol=1e-5, atol=1e-6)
        previous = step_of(run)

    rows(run, before_each_step(observe))
    return decays


def end_of_generator_updates(previous: Step | None, following: Step | None) -> bool:
    return isinstance(previous, UpdateGenerator) and not isinstance(following, UpdateGenerator)


def test_the_average_moves_once_where_a_run_of_generator_updates_ends() -> None:
    averaging = Averaging(half_life=24.0, rampup=None)
    run = Run(ring(scheme=nats(3, d_steps=2), averaging=averaging, budget=Budget(d_updates=14)))
    decays = averaged_by_hand(run, averaging, end_of_generator_updates)
    assert decays == [pytest.approx(0.5 ** (2 * BATCH / 24))] * 6


def test_the_averages_half_life_ramps_up_with_the_images_seen() -> None:
    averaging = Averaging(half_life=64.0, rampup=0.5)
    run = Run(ring(scheme=Alternating(), averaging=averaging, budget=Budget(d_updates=12)))
    decays = averaged_by_hand(run, averaging, end_of_generator_updates)
    assert decays[0] == pytest.approx(0.25)  # half-life 8 after 16 images
    assert decays[-1] == pytest.approx(0.5 ** (16 / 64))


def test_before_its_start_the_average_is_the_generator_bit_for_bit() -> None:
    averaging = Averaging(half_life=24.0, rampup=None, start=3 * BATCH)
    run = Run(ring(scheme=Alternating(), averaging=averaging, budget=Budget(g_updates=3)))
    same: list[bool] = []

    def look() -> None:
        if isinstance(step_of(run), UpdateDiscriminator):
            pairs = zip(run.average.parameters(), run.generator.parameters(), strict=True)
            same.append(all(torch.equal(average, current) for average, current in pairs))

    rows(run, before_each_step(look))
    look()
    assert same == [True, True, True, False]


@dataclass(frozen=True)
class GeneratorFirst:
    """A round that begins and ends with generator updates, so that a run of them spans two rounds."""

    def __call__(self, round: int) -> Iterator[Step]:
        yield UpdateGenerator()
        yield UpdateDiscriminator()
        yield UpdateGenerator()
        yield UpdateGenerator()


def test_a_run_of_generator_updates_over_two_rounds_moves_the_average_once() -> None:
    averaging = Averaging(half_life=24.0, rampup=None)
    run = Run(ring(scheme=GeneratorFirst(), averaging=averaging, budget=Budget(d_updates=4)))
    decays = averaged_by_hand(run, averaging, end_of_generator_updates)
    assert decays == [1.0, *[pytest.approx(0.5 ** (BATCH / 24))] * 3]


def test_batch_norm_statistics_are_averaged_and_counters_copied() -> None:
    run = Run(digits(averaging=Averaging(half_life=BATCH, rampup=None), budget=Budget(g_updates=1)))
    start = {n: b.clone() for n, b in run.generator.named_buffers()}
    rows(run)
    average, current = dict(run.average.named_buffers()), dict(run.generator.named_buffers())
    assert {name.rpartition(".")[2] for name in start} == {"running_mean", "running_var", "num_batches_tracked"}
    for name, buffer in average.items():
        if name.endswith("num_batches_tracked"):
            assert torch.equal(buffer, current[name])
        else:  # one half-life has passed
            torch.testing.assert_close(buffer, (start[name] + current[name]) / 2)


# Records


def test_the_logged_step_length_is_the_path_of_the_generator_per_discriminator_update() -> None:
    run = Run(ring(scheme=nats(3, d_steps=2), budget=Budget(d_updates=7)))
    lengths: list[float] = []
    before = weights_of(run.generator)

    def observe() -> None:
        after = weights_of(run.generator)
        lengths.append(distance(before, after))
        before[:] = after

    row = rows(run, before_each_step(observe))[-1]
    assert row["round"] == 1 and sum(length > 0 for length in lengths) == 6
    assert row["g_step_per_d_update"] == pytest.approx(sum(lengths) / 6, rel=1e-5)


def test_rows_are_means_over_everything_since_the_row_before() -> None:
    experiment = ring(budget=Budget(num_real=8 * BATCH), scheme=Nested(levels=2))
    kept = Run(experiment)
    seen: list[tuple[Tensor, Tensor]] = []
    outputs: list[Tensor] = []
    kept.discriminator.register_forward_hook(lambda module, inputs, output: outputs.append(output.detach().clone()))

    def observe() -> None:
        if len(outputs) >= 2:
            seen.append((outputs[0], outputs[1]))
        outputs.clear()

    replace_records(kept, Records(log_every=4 * BATCH))
    got = rows(kept, before_each_step(observe))
    observe()
    assert [row["num_real"] for row in got] == [4 * BATCH, 8 * BATCH]
    assert [row.get("stopped") is None for row in got] == [True, False]
    for row, window in zip(got, (seen[:4], seen[4:]), strict=True):
        real, fake = (torch.cat([pair[i] for pair in window]) for i in (0, 1))
        assert row["d_real"] == pytest.approx(real.mean().item(), rel=1e-5)
        assert row["d_fake"] == pytest.approx(fake.mean().item(), rel=1e-5)
        loss = F.softplus(-real) + F.softplus(fake)
        assert row["d_loss"] == pytest.approx(loss.mean().item(), rel=1e-5)


def replace_records(run: Run, records: Records) -> Run:
    run.experiment = replace(run.experiment, records=records)
    return run


def test_how_often_rows_are_written_changes_no_bit_of_training() -> None:
    often, seldom = ring(records=Records(log_every=1), scheme=nats(3)), ring(scheme=nats(3))
    assert trained(often).digest() == trained(seldom).digest()


def test_every_row_has_all_four_clocks() -> None:
    run = Run(ring(records=Records(log_every=2 * BATCH)))
    got = list(engine.training_rows(run))
    assert len(got) == 3
    for row in got:
        assert {"num_real", "d_updates", "g_updates", "seconds"} <= row.keys()
    assert [row["seconds"] for row in got] == sorted(row["seconds"] for row in got)
    assert got[0]["seconds"] > 0


# Budgets


@for_each(
    ("budget", "reached", "stopped"),
    [
        (Budget(num_real=100), (112, 7, 12), "num_real reached 100 (12 over)"),
        (Budget(num_real=112), (112, 7, 12), "num_real reached 112"),
        (Budget(d_updates=7), (112, 7, 12), "d_updates reached 7"),
        (Budget(g_updates=8), (80, 5, 8), "g_updates reached 8"),
        (Budget(num_real=100, d_updates=2, g_updates=50), (32, 2, 1), "d_updates reached 2"),
        (Budget(num_real=100, g_updates=2), (32, 2, 2), "g_updates reached 2"),
        (Budget(seconds=1e-9), (16, 1, 0), "seconds reached"),
        (Budget(cpu_seconds=1e-9), (16, 1, 0), "cpu_seconds reached"),
    ],
    ids=str,
)
def test_a_run_stops_after_the_first_step_that_reaches_any_budget(
    budget: Budget, reached: tuple[int, int, int], stopped: str
) -> None:
    run = Run(ring(scheme=Nested(levels=3), budget=budget))
    row = last_row(run)
    counters = run.counters
    assert (counters.num_real, counters.d_updates, counters.g_updates) == reached
    assert row["stopped"].startswith(stopped) and ("over" in row["stopped"]) == ("over" in stopped or "sec" in stopped)


def test_a_large_overshoot_is_reported_to_the_image() -> None:
    run = Run(ring(data=Ring(num_samples=2000), batch_size=2000, budget=Budget(num_real=766)))
    assert last_row(run)["stopped"] == "num_real reached 766 (1,234 over)"


def test_a_reached_budget_makes_no_step_and_no_row() -> None:
    run = trained(ring())
    before = run.digest()
    assert rows(run) == [] and run.digest() == before


def test_a_larger_budget_goes_on_as_if_it_had_never_stopped() -> None:
    whole = trained(ring(budget=Budget(g_updates=9), scheme=nats(3)))
    run = trained(ring(budget=Budget(g_updates=4), scheme=nats(3)))
    rows(replace_budget(run, Budget(g_updates=9)))
    assert run.digest() == whole.digest()


@dataclass(frozen=True)
class Towards(Regularizer):
    """A regularizer of one's own for both players, with a running mean as its state."""

    strength: float = 1.0

    def init_state(self) -> dict[str, Any]:
        return {"mean": torch.zeros(())}

    def discriminator_term(self, context: Context, state: dict[str, Any]) -> Tensor:
        state["mean"] = 0.9 * state["mean"] + 0.1 * context.real_logits.detach().float().mean()
        return self.strength * (context.fake_logits.float().mean() - state["mean"] - 1).square()

    def generator_term(self, context: GeneratorContext, state: dict[str, Any]) -> Tensor:
        return self.strength * (context.fake.float().mean() - 1).square()


@pytest.mark.parametrize("weight", [1.0, 0.01])
def test_a_regularizer_of_the_generator_is_not_multiplied_by_the_schedules_weight(weight: float) -> None:
    run = Run(ring(loss=Wasserstein(), regularizer=Towards(3.0), g_optimizer=SGD(lr=0.1)))
    twin, latents = deepcopy(run.generator), run.pair.latent.sample(BATCH, deepcopy(run.random["latents"]))
    fake = twin(latents)
    loss = -weight * run.discriminator(fake).mean() + 3.0 * (fake.mean() - 1).square()
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    expected = [p.detach() - 0.1 * g for p, g in zip(twin.parameters(), gradients, strict=True)]
    engine.apply(UpdateGenerator(weight=weight), run)
    torch.testing.assert_close(weights_of(run.generator), expected, rtol=1e-5, atol=1e-6)


def test_the_length_of_a_gradient_is_that_of_all_its_parts_together() -> None:
    assert gradient_norm([torch.tensor([3.0]), None, torch.tensor([[0.0, 4.0]])]).item() == 5


def test_an_adapted_augmentation_hears_the_outputs_on_reals() -> None:
    run = Run(digits(augmentation=Transforms(Adaptive(every=10**9))))
    engine.apply(UpdateDiscriminator(), run)
    signs = {name: run.meters.values[name][0].sign().sum().item() for name in ("d_real", "d_fake")}
    assert run.augmentation_state["signs"] == signs["d_real"] != signs["d_fake"]


# Resuming

RESUMED = {
    "batch norm and flips": digits(
        scheme=nats(3), flip=True, g_batch_size=8, budget=Budget(g_updates=14), records=Records(log_every=3 * BATCH)
    ),
    "penalty and labels": ring(
        scheme=nats(3),
        task=Labelled(paired=False),
        regularizer=Sum((GradientPenalty(points=Dragan(), interval=2), WeightClipping(0.5), Towards())),
        accumulate=2,
        d_optimizer=RMSProp(rule=Cosine(end=200)),
        g_optimizer=SGD(momentum=0.9),
        budget=Budget(g_updates=14),
        records=Records(log_every=3 * BATCH),
    ),
    "conjugate gradients": ring(
        scheme=nats(3),
        d_optimizer=CG(1e-3, beta_rule="HZ", rule=Power(0.75)),
        g_optimizer=CG(1e-3, beta_rule="FR_PRP", beta_scope="global"),
        budget=Budget(g_updates=14),
        records=Records(log_every=3 * BATCH),
    ),
}
STEPS_OF_TWO_ROUNDS = 2 * (3 + 6)
MIXED = ("batch norm and flips",)
"""Cases that `make test` has in mixed precision, the others in full precision."""


@pytest.mark.runs
@pytest.mark.parametrize(
    ("case", "precision"),
    [
        pytest.param(case, precision, marks=[] if (precision == "bf16") == (case in MIXED) else pytest.mark.slow)
        for case in RESUMED
        for precision in ("float32", "bf16")
    ],
)
def test_a_run_resumed_at_any_step_of_a_round_ends_with_the_same_bits_and_rows(case: str, precision: str) -> None:
    """Resumed at each step it makes the next with the same bits, and so, step by step, all that follow."""
    experiment = replace(RESUMED[case], precision=precision)
    run = Run(experiment)
    states, written = [through_disk(run)], []
    while experiment.budget.reached(run.counters) is None:
        written.append(rows(run, After(1)))
        states.append(through_disk(run))
    assert len(written) > STEPS_OF_TWO_ROUNDS and run.cursor.round == 2 and sum(map(len, written)) >= 2
    undisturbed = Run(experiment)
    assert rows(undisturbed) == [row for some in written for row in some]
    assert differences(state_of(undisturbed), timeless(states[-1])) == []
    for step, state in enumerate(states[:STEPS_OF_TWO_ROUNDS]):
        resumed = Run(experiment)
        resumed.load_state_dict(state)
        assert (resumed.counters.d_updates + resumed.counters.g_updates) == step
        assert rows(resumed, After(1)) == written[step]
        assert differences(state_of(resumed), timeless(states[step + 1])) == []
    to_the_end = Run(experiment)
    to_the_end.load_state_dict(states[4])
    assert rows(to_the_end) == [row for some in written[4:] for row in some]
    assert to_the_end.digest() == undisturbed.digest()


@pytest.mark.runs
@for_each("steps", [0, 4, 10])
def test_a_state_loaded_into_a_used_run_takes_it_back(steps: int) -> None:
    experiment = RESUMED["batch norm and flips"]
    run = Run(experiment)
    rows(run, After(steps))
    saved = io.BytesIO()
    torch.save(run.state_dict(), saved)
    expected_rows = rows(run)
    expected = state_of(run)
    for extra in (3, 7):
        run.load_state_dict(torch.load(io.BytesIO(saved.getvalue()), weights_only=True))
        rows(run, After(extra))
    run.load_state_dict(torch.load(io.BytesIO(saved.getvalue()), weights_only=True))
    assert rows(run) == expected_rows
    assert differences(state_of(run), expected) == []


def test_interrupting_and_going_on_in_memory_changes_nothing() -> None:
    experiment = RESUMED["batch norm and flips"]
    undisturbed, run = Run(experiment), Run(experiment)
    expected = rows(undisturbed)
    got: list[Row] = []
    for _ in range(40):
        got += rows(run, After(1))
    assert got == expected and run.digest() == undisturbed.digest()


# What looks at a run leaves it alone


@pytest.mark.runs
@pytest.mark.parametrize("make", [ring, digits])
def test_sampling_and_evaluating_between_steps_change_no_bit_of_training(make: Callable[..., Experiment]) -> None:
    experiment = make(scheme=nats(3), budget=Budget(g_updates=8), records=Records(log_every=2 * BATCH))
    undisturbed, watched = Run(experiment), Run(experiment)
    expected = rows(undisturbed)
    evaluator = Evaluator(watched.data.dataset, Records(evaluate_count=100))

    def look() -> None:
        assert torch.isfinite(watched.sampler().sample(5, seed=watched.counters.g_updates)).all()
        assert evaluator(watched)
        watched.digest()
        watched.state_dict()

    assert rows(watched, before_each_step(look)) == expected
    assert differences(state_of(watched), state_of(undisturbed)) == []


# Labels


def labels_seen(run: Run, step: Step) -> dict[str, list[Tensor]]:
    seen: dict[str, list[Tensor]] = {"generator": [], "discriminator": []}
    run.generator.register_forward_pre_hook(lambda _, inputs: seen["generator"].append(inputs[1].clone()))
    run.discriminator.register_forward_pre_hook(lambda _, inputs: seen["discriminator"].append(inputs[1].clone()))
    engine.apply(step, run)
    return seen


def test_fakes_of_a_discriminators_move_carry_the_labels_of_the_real_batch() -> None:
    run = Run(ring(task=Labelled()))
    expected = run.data.batch(0, BATCH).labels
    assert expected is not None
    seen = labels_seen(run, UpdateDiscriminator())
    (generated,), (real, fake) = seen["generator"], seen["discriminator"]
    assert torch.equal(real, expected) and torch.equal(fake, expected) and torch.equal(generated, expected)


def test_unpaired_labels_are_drawn_anew_and_reach_both_players() -> None:
    run = Run(ring(task=Labelled(paired=False)))
    seen = labels_seen(run, UpdateDiscriminator())
    (generated,), (real, fake) = seen["generator"], seen["discriminator"]
    assert torch.equal(generated, fake) and not torch.equal(real, fake)


@pytest.mark.parametrize("paired", [True, False])
def test_labels_of_a_generators_move_are_drawn_uniformly_and_reach_both_players(paired: bool) -> None:
    run = Run(ring(task=Labelled(paired=paired), data=Ring(num_samples=2000), batch_size=1600))
    seen = labels_seen(run, UpdateGenerator())
    (generated,), (judged,) = seen["generator"], seen["discriminator"]
    assert torch.equal(generated, judged)
    counts = torch.bincount(generated, minlength=8)
    assert len(counts) == 8 and (counts - 200).abs().max() < 5 * 14  # standard deviation sqrt(1600 / 8 * 7 / 8)


@pytest.mark.runs
def test_conditional_players_learn_where_each_class_is() -> None:
    experiment = ring(
        task=Labelled(),
        data=Ring(num_samples=2000),
        model=MLP(width=32, depth=2),
        batch_size=64,
        averaging=Averaging(half_life=1_000),
        budget=Budget(d_updates=200),
    )
    run = trained(experiment)
    labels = torch.arange(8).repeat_interleave(50)
    samples = run.sampler().sample(400, seed=0, labels=labels)
    assert isinstance(experiment.data, Ring)
    centres = experiment.data.mixture.means.float()
    nearest = torch.cdist(samples, centres).argmin(1)
    assert (nearest == labels).float().mean() > 0.6  # 0.125 by chance


def test_a_penalty_between_reals_and_fakes_needs_paired_labels() -> None:
    with pytest.raises(ValueError, match="--task.paired"):
        check(ring(task=Labelled(paired=False), regularizer=REGULARIZERS["wgan-gp"]))


@for_each("name", ["wgan-gp", "wgan-lp", "zero-gp", "eps-gp", "max-gp"])
def test_points_between_a_real_and_a_fake_are_judged_under_the_class_of_both(name: str) -> None:
    run = Run(ring(task=Labelled(), regularizer=REGULARIZERS[name]))
    seen: list[tuple[Tensor, Tensor]] = []
    run.discriminator.register_forward_pre_hook(
        lambda module, inputs: seen.append((inputs[0].detach().clone(), inputs[1].clone()))
    )
    engine.apply(UpdateDiscriminator(), run)
    (real, labels), (fake, fake_labels), (points, point_labels) = seen
    assert torch.equal(fake_labels, labels) and torch.equal(point_labels, labels) and len(labels.unique()) > 1
    along = ((points - fake) * (real - fake)).sum(1) / (real - fake).square().sum(1)
    assert (along > 0).all() and (along < 1).all()
    torch.testing.assert_close(points, fake + along[:, None] * (real - fake))  # of real i and fake i


# Parts of your own


@dataclass(frozen=True)
class Relativistic:
    """A loss that judges fakes against reals in the generator's moves too."""

    needs_real = True
    seen: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real)

    def generator(self, fake: Tensor, real: Tensor | None = None, *, weight: Any = 1.0) -> Tensor:
        self.seen.append((fake, real))
        assert real is not None
        return F.softplus(weight * (real - fake))


def test_a_loss_that_needs_reals_gets_as_many_in_the_generators_moves() -> None:
    loss = Relativistic()
    run = Run(ring(loss=loss, scheme=Nested(levels=2), budget=Budget(g_updates=3)))
    untouched = deepcopy(run.discriminator)
    batches = [run.data.batch(i * BATCH, BATCH).samples for i in range(5)]
    observed: list[nn.Module] = []
    rows(run, before_each_step(lambda: observed.append(deepcopy(run.discriminator))))
    assert run.counters.num_real == 2 * BATCH  # the clock counts the discriminator's images only
    assert run.counters.g_num_real == 3 * BATCH
    assert run.data_position == 5 * BATCH
    assert len(loss.seen) == 3 and not same_bits(weights_of(untouched), weights_of(run.discriminator))
    # steps: D G D G G; the generator's moves have batches 1, 3 and 4
    for (fake, real), step, batch in zip(loss.seen, (1, 3, 4), (1, 3, 4), strict=True):
        assert real is not None and real.shape == fake.shape
        torch.testing.assert_close(real, observed[step](batches[batch]).detach())


@dataclass(frozen=True)
class MoreEachRound:
    """As many generator updates as the round's number, plus one."""

    def __call__(self, round: int) -> Iterator[Step]:
        yield UpdateDiscriminator()
        for _ in range(round + 1):
            yield UpdateGenerator(weight=1 / (round + 1))


def test_a_scheme_of_your_own_runs_and_resumes() -> None:
    experiment = ring(scheme=MoreEachRound(), budget=Budget(d_updates=5))
    run = trained(experiment)
    assert (run.counters.d_updates, run.counters.g_updates, run.cursor.round) == (5, 10, 4)
    first, second = Run(experiment), Run(experiment)
    rows(first, After(8))
    second.load_state_dict(through_disk(first))
    rows(second)
    assert second.digest() == run.digest()


@dataclass(frozen=True)
class Steps:
    steps: tuple[Step, ...]

    def __call__(self, round: int) -> Iterator[Step]:
        yield from self.steps


@for_each(
    ("step", "missing"),
    [
        (PushPool(step_size=1.0), "DrawPool"),
        (FitGenerator(), "DrawPool"),
        (UpdateDiscriminator(fakes=Pool()), "DrawPool"),
        (UpdateDiscriminator(fakes=Replay(pushes=1)), "StoreDiscriminator"),
    ],
    ids=str,
)
def test_steps_that_need_what_was_not_made_are_refused_with_the_step_that_makes_it(step: Step, missing: str) -> None:
    run = Run(ring(scheme=Steps((UpdateDiscriminator(), step, UpdateGenerator()))))
    with pytest.raises(ValueError, match=rf"needs .*\b[Uu]se {missing}"):
        rows(run)


def test_more_samples_in_a_batch_than_in_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size must not exceed the data, got 201 with 200.*lower batch_size"):
        Run(ring(batch_size=201))
    assert trained(ring(batch_size=200, budget=Budget(d_updates=1))).counters.num_real == 200


@pytest.mark.runs
@for_each("name", LOSSES)
def test_every_loss_trains_in_mixed_precision_close_to_full_precision(name: str) -> None:
    full, mixed = (
        last_row(Run(digits(loss=LOSSES[name], precision=precision, scheme=nats(2), budget=Budget(g_updates=3))))
        for precision in ("float32", "bf16")
    )
    for key in ("d_loss", "g_loss", "d_real", "d_fake"):
        assert mixed[key] == pytest.approx(full[key], abs=0.1)  # bfloat16 has 8 bits, the outputs are of order 1
        assert mixed[key] != full[key]


@pytest.mark.runs
@for_each("player", ["d_optimizer", "g_optimizer"])
@for_each("scheme", [Alternating(), Nested(levels=3), nats(3)], ids=repr)
@for_each("precision", ["float32", "bf16"])
def test_conjugate_gradients_move_either_player_by_the_gradients_it_is_given(
    precision: str, scheme: Any, player: str
) -> None:
    """Under a schedule's weights too: the same steps from the gradients that the engine sets, replayed by hand."""
    run = Run(ring(scheme=scheme, precision=precision, budget=Budget(g_updates=6), **{player: CG(1e-3)}))
    optimizer: Any = getattr(run, player)
    weights = run.d_parameters if player == "d_optimizer" else run.g_parameters
    copies = [nn.Parameter(w.detach().clone()) for w in weights]
    alone = ConjugateGradient(copies, 1e-3)

    def replay(_: torch.optim.Optimizer, *rest: Any) -> None:
        for copy, weight in zip(copies, weights, strict=True):
            assert weight.grad is not None and weight.grad.dtype == torch.float32
            copy.grad = weight.grad.clone()
        alone.step()

    optimizer.register_step_pre_hook(replay)
    rows(run)
    assert all(int(optimizer.state[w]["step"]) >= 3 for w in weights)
    assert same_bits([c.detach() for c in copies], [w.detach() for w in weights])


@dataclass(frozen=True)
class Resting:
    """A scheme that does nothing in its second round."""

    def __call__(self, round: int) -> Iterator[Step]:
        yield from () if round == 1 else (UpdateDiscriminator(), UpdateGenerator())


def test_a_round_without_steps_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match=r"at least one step a round, got none in round 1 of Resting"):
        rows(Run(ring(scheme=Resting())))


@for_each("device", ["gpu", "meta", "cuda:77"])
def test_a_device_that_is_not_there_is_refused_by_its_name(device: str) -> None:
    with pytest.raises(ValueError, match=rf"device must be one that torch has here, as 'cpu', got '{device}'"):
        Run(ring(device=device))


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, at most 1024, got 0; leave it out"):
        ring(threads=0)


@for_each("name", ["scheme", "loss", "model", "regularizer", "task", "data", "d_optimizer"])
def test_a_name_where_a_part_belongs_is_refused(name: str) -> None:
    experiment = ring()
    object.__setattr__(experiment, name, "hinge")  # the shape checker of the tests would refuse it before
    with pytest.raises(ValueError, match=rf"{name} must be a \w+, got 'hinge'; use a registered part"):
        experiment.__post_init__()


@for_each("name", ["evaluate_every", "evaluate_count", "checkpoint_seconds"])
def test_negative_records_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"records\.{name} must be at least 0 .*, got -1"):
        replace(Records(), **{name: -1})


# Regularizers that keep a state or a network, and look at fakes


STATEFUL = Sum((LeCam(start=1), LatentEntropy(width=8), GradientPenalty(points=Reals(), interval=2)))


@pytest.mark.runs
@pytest.mark.parametrize("make", [ring, lambda **changes: digits(model=LAYER_NORM, **changes)], ids=["ring", "digits"])
def test_averages_and_networks_of_regularizers_resume_bit_for_bit_in_a_round(make: Callable[..., Experiment]) -> None:
    experiment = make(regularizer=STATEFUL, scheme=nats(2), budget=Budget(d_updates=4), accumulate=2)
    whole = trained(experiment)
    network = whole.network
    assert network is not None and not same_bits(weights_of(network), weights_of(Run(experiment).network or network))
    for steps in (1, 2, 4):
        half = Run(experiment)
        rows(half, After(steps))
        resumed = Run(experiment)
        resumed.load_state_dict(through_disk(half))
        rows(resumed)
        assert differences(state_of(resumed), state_of(whole)) == []


def test_a_regularizers_network_moves_with_the_generator_and_by_its_optimizer() -> None:
    run = Run(ring(regularizer=LatentEntropy(coefficient=2.0, width=8), g_optimizer=SGD(lr=0.1), loss=Wasserstein()))
    twin = deepcopy(run.random)
    network = run.network
    assert network is not None
    before = [weights_of(network), weights_of(run.generator)]
    engine.apply(UpdateDiscriminator(), run)
    assert same_bits(weights_of(network), before[0])
    twin["latents"].set_state(run.random["latents"].get_state())
    latents = run.pair.latent.sample(BATCH, twin["latents"])
    fake = run.generator(latents)
    mean, log_deviation = network(fake)
    entropy = -2.0 * latent_log_density(mean, log_deviation, latents).mean()
    loss = -run.discriminator(fake).mean() + entropy
    parameters = [*network.parameters(), *run.generator.parameters()]
    expected = [p.detach() - 0.1 * g for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True)]
    engine.apply(UpdateGenerator(), run)
    torch.testing.assert_close(weights_of(network) + weights_of(run.generator), expected)
    assert run.meters.values["g_penalty"][0].item() == pytest.approx(entropy.item())


def test_fakes_of_other_classes_are_penalised_under_their_own_labels() -> None:
    run = Run(ring(task=Labelled(paired=False), regularizer=REGULARIZERS["r2"]))
    seen: list[tuple[Tensor, Tensor]] = []
    run.discriminator.register_forward_pre_hook(
        lambda module, inputs: seen.append((inputs[0].detach().clone(), inputs[1].clone()))
    )
    engine.apply(UpdateDiscriminator(), run)
    real, fake, points = seen
    assert torch.equal(points[0], fake[0]) and torch.equal(points[1], fake[1])
    assert not torch.equal(fake[1], real[1])


@pytest.mark.runs
@for_each("name", ["lecam", "cr", "bcr", "zcr", "ver", "r1-r2", "eps-gp", "max-gp", "orthogonal"])
@for_each("precision", ["float32", "bf16"])
def test_every_regularizer_trains_in_both_precisions(name: str, precision: Any) -> None:
    part = replace(LeCam(), start=0) if name == "lecam" else REGULARIZERS[name]
    run = Run(digits(model=LAYER_NORM, regularizer=part, precision=precision, budget=Budget(g_updates=2)))
    row = last_row(run)
    assert run.is_finite()
    of_generator = ("zcr", "ver", "orthogonal")
    assert ("d_penalty" in row, "g_penalty" in row) == (name not in ("ver", "orthogonal"), name in of_generator)
