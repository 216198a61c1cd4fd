"""Functional gradients through the engine, against loops written by hand. Algorithm 2 of arXiv 2501.11318."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine import runs
from tests.engine.runs import BATCH, differences, rows, same_bits, state_of, trained
from tests.for_each import for_each
from torch import Tensor, nn

import ganneal
from ganneal.augment import DiffAugment
from ganneal.checks import check
from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import SamplerName
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, ModelPair, Normal
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import SGD, Adam, Averaging, RMSProp
from ganneal.push import DELTAS, Push
from ganneal.regularizers import REGULARIZERS, GradientPenalty, Sum
from ganneal.schemes import SCHEMES, FunctionalGradient
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    Pool,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.stop import Divergence, TrainingStopped
from ganneal.storage.json_files import read_json
from ganneal.storage.run_directory import RunDirectory
from ganneal.task import Labelled
from ganneal.training.evaluator import Evaluator
from ganneal.weights import Explicit, Geometric, Ones

pytestmark = pytest.mark.usefixtures("empty_pictures", "one_thread")
POOL = 40
"""A pool that is no multiple of the batch."""
LR = 1e-2

SMALL = FunctionalGradient(steps=3, step_size=0.5, pool_size=POOL, epochs=2)


def ring(**changes: Any) -> Experiment:
    """Points and perceptrons, moved by functional gradients."""
    return runs.ring(**{"scheme": SMALL} | changes)


def digits(**changes: Any) -> Experiment:
    """Images and a DCGAN with batch norm in both players."""
    return runs.digits(**{"scheme": SMALL} | changes)


def step_through(run: Run, count: int) -> None:
    """Make the next ``count`` steps."""
    left = iter(range(count))
    rows(run, lambda: next(left, None) is None)


def until(run: Run, kind: type[Step]) -> Run:
    """Train up to the next step of ``kind``."""
    rows(run, lambda: isinstance(run.cursor.step, kind))
    return run


def bits(module: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in module.state_dict().values()]


# The same bits as a loop written by hand


class ByHand:
    """Composite functional gradients in plain PyTorch, on the streams and weights of a fresh run; no weights."""

    def __init__(self, experiment: Experiment, step_sizes: Sequence[float]):
        self.run = Run(experiment)
        self.scheme: Any = experiment.scheme
        self.step_sizes = step_sizes
        self.g, self.d = self.run.generator, self.run.discriminator
        self.d_optimizer = torch.optim.Adam(self.d.parameters(), lr=LR, betas=(0.5, 0.999), fused=True)
        self.fit_losses: list[float] = []

    def generate(self, latents: Tensor) -> Tensor:
        self.g.eval()
        with torch.no_grad():
            made = torch.cat([self.g(part) for part in latents.split(BATCH)])
        self.g.train()
        return made

    def push(self, d: nn.Module, x: Tensor, step_size: float) -> Tensor:
        moved = []
        for part in x.split(BATCH):
            kept = [b.clone() for b in d.buffers()]
            points = part.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(d(points).sum(), points)
            for buffer, value in zip(d.buffers(), kept, strict=True):
                buffer.copy_(value)
            moved.append(part.detach() + step_size * gradient)
        return torch.cat(moved)

    def update(self, fake: Tensor) -> None:
        self.d_optimizer.zero_grad()
        loss = LOSSES["nonsaturating"].discriminator(self.d(self.run.next_batch(BATCH).samples), self.d(fake)).mean()
        loss.backward()
        self.d_optimizer.step()

    def copy_of_d(self) -> nn.Module:
        d = self.run.experiment.model.build(self.run.pair.shape).discriminator
        d.load_state_dict(self.d.state_dict())
        return d.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, latents: Tensor, targets: Tensor) -> None:
        if targets.dim() == 4:
            targets = targets.contiguous(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(self.g.parameters(), lr=LR, betas=(0.5, 0.999), fused=True)
        for _ in range(self.scheme.epochs):
            total = 0.0
            for chosen in torch.randperm(POOL, generator=self.run.random["pool"]).split(BATCH):
                optimizer.zero_grad()
                squares = 0.5 * (self.g(latents[chosen]) - targets[chosen]).square().sum()
                (squares / len(chosen)).backward()
                optimizer.step()
                total += squares.item()
            self.fit_losses.append(total / POOL)

    def replay_round(self) -> tuple[Tensor, Tensor]:
        stored: list[nn.Module] = []
        for m in range(self.scheme.steps):
            fake = self.generate(self.run.draw_latents(BATCH))
            for d, size in zip(stored, self.step_sizes, strict=False):
                fake = self.push(d, fake, size)
            self.update(fake)
            stored.append(self.copy_of_d())
            assert len(stored) == m + 1
        latents = self.run.draw_latents(POOL)
        samples = self.generate(latents)
        for d, size in zip(stored, self.step_sizes, strict=True):
            samples = self.push(d, samples, size)
        return latents, samples

    def pool_round(self) -> tuple[Tensor, Tensor]:
        latents = self.run.draw_latents(POOL)
        samples = self.generate(latents)
        for size in self.step_sizes:
            self.update(samples[torch.randperm(POOL, generator=self.run.random["pool"])[:BATCH]])
            samples = self.push(self.d, samples, size)
        return latents, samples

    def rounds(self, count: int) -> "ByHand":
        latents = self.run.draw_latents(POOL)
        matrix = 0.01 * torch.randn(latents.shape[1], self.pixels, generator=self.run.random["pool"])
        samples = (latents @ matrix).clamp(-1, 1).view(POOL, *self.run.pair.shape)
        for _ in range(count):
            self.fit(latents, samples)
            latents, samples = self.replay_round() if self.scheme.fakes == "replay" else self.pool_round()
            self.samples = samples
        return self

    @property
    def pixels(self) -> int:
        return int(np.prod(self.run.pair.shape))


@pytest.mark.runs
@for_each("fakes", ["replay", "pool"])
@for_each("make", [ring, digits])
def test_weights_of_one_are_a_plain_loop_without_weights_bit_for_bit(make: Any, fakes: Any) -> None:
    scheme = replace(SMALL, fakes=fakes, weights=Explicit((1.0, 1.0, 1.0)))
    run = Run(make(scheme=scheme))
    (row,) = rows(run)
    expected = ByHand(make(scheme=scheme), [0.5] * 3).rounds(2)
    assert run.cursor.round == 2 and run.pool is not None
    assert torch.equal(run.pool.samples, expected.samples)
    assert same_bits(bits(run.generator), bits(expected.g)) and same_bits(bits(run.discriminator), bits(expected.d))
    assert not same_bits(bits(run.generator), bits(Run(make()).generator))
    assert row["fit_loss"] == pytest.approx(sum(expected.fit_losses) / 4, rel=1e-5)
    same = trained(make(scheme=replace(scheme, weights=Ones())))
    assert differences(state_of(run), state_of(same)) == []


@pytest.mark.parametrize("fakes", ["replay", "pool"])
def test_the_annealed_chain_is_the_loop_with_a_weight_at_each_step(fakes: Any) -> None:
    scheme = replace(SMALL, fakes=fakes, weights=Geometric(1.0, 0.01))
    run = trained(ring(scheme=scheme))
    expected = ByHand(ring(scheme=scheme), [0.5 * w for w in Geometric(1.0, 0.01)((1, 1, 1), 0)]).rounds(2)
    assert run.pool is not None and torch.equal(run.pool.samples, expected.samples)
    assert same_bits(bits(run.generator), bits(expected.g)) and same_bits(bits(run.discriminator), bits(expected.d))


def test_samples_are_the_generator_in_eval_mode_followed_by_every_push() -> None:
    run = trained(digits(scheme=replace(SMALL, weights=Geometric())))
    latents = run.pair.latent.sample(POOL, torch.Generator().manual_seed(5))
    hand = ByHand(run.experiment, [])
    hand.g = run.generator
    before = bits(run.generator)
    expected = hand.generate(latents)
    for level, size in enumerate([0.5, 0.05, 0.005], 1):
        expected = hand.push(run.chain.stored[level].discriminator, expected, size)
    sampler = run.sampler()
    assert (sampler.sampler, sampler.num_pushes) == ("pushed", 3)
    assert torch.equal(sampler.sample(POOL, seed=5), expected)
    assert same_bits(bits(run.generator), before) and run.generator.training
    alone = replace(run.experiment.records, sampler="generator")
    run.experiment = replace(run.experiment, records=alone)
    assert run.sampler().generator is run.average and run.sampler().num_pushes == 0


def test_the_first_targets_are_random_projections_of_a_tenth_in_standard_deviation() -> None:
    run = Run(digits(model=DCGAN(width=4, latent_size=100), scheme=replace(SMALL, pool_size=200)))
    step_through(run, 1)
    assert run.pool is not None and run.pool.samples.shape == (200, 1, 16, 16)
    # entries of standard deviation 0.01, a hundred latents; the estimate's own error is of the order of 1 %
    assert run.pool.samples.std().item() == pytest.approx(0.1, rel=0.03)
    assert run.pool.samples.abs().max() <= 1
    rows = run.pool.samples.flatten(1)
    assert torch.linalg.matrix_rank(rows) == 100  # linear in the latents


@for_each("count", [1, BATCH, BATCH + 1, POOL])
def test_every_sample_is_pushed_whatever_is_left_for_the_last_chunk(count: int) -> None:
    run = trained(ring())
    samples = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    pushed = run.chain.walk(samples, (), run.passes.stored_outputs, 1)
    assert pushed.shape == samples.shape and (pushed != samples).any(1).all()
    torch.testing.assert_close(pushed[-1:], run.chain.walk(samples[-1:], (), run.passes.stored_outputs, 1))


def test_the_first_targets_stay_within_the_range_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganneal.engine.functional.PROJECTION_STD", 1.0)
    run = Run(digits())
    step_through(run, 1)
    assert run.pool is not None and (run.pool.samples.min(), run.pool.samples.max()) == (-1, 1)


def test_a_discriminator_stored_after_the_generator_has_moved_stands_alone() -> None:
    run = trained(ring(scheme=replace(SMALL, steps=2)))
    assert sorted(run.chain.stored) == [1, 2]
    run.chain.store(2, run.discriminator, 0.5)
    assert sorted(run.chain.stored) == [1, 2]
    run.chain.leave(run.generator)
    run.chain.store(2, run.discriminator, 0.5)
    assert sorted(run.chain.stored) == [2] and run.chain.generator is None


# Counts


@dataclass
class Counted:
    """Passes through a discriminator and its copies: of moving samples, and others."""

    moving: int = 0
    others: int = 0

    def watch(self, run: Run) -> "Counted":
        run.discriminator.register_forward_pre_hook(self._count)
        return self

    def __deepcopy__(self, memo: Any) -> "Counted":
        return self  # a stored discriminator is counted here too

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.moving += inputs[0].requires_grad
        self.others += not inputs[0].requires_grad


@pytest.mark.parametrize(("fakes", "passes"), [("replay", 105 + 150), ("pool", 150)])
def test_the_passes_of_a_reference_stage(fakes: Any, passes: int) -> None:
    """T = 15, U = 1, N = 640, B = 64, ten epochs."""
    scheme = FunctionalGradient(fakes=fakes)
    run = Run(ring(scheme=scheme, batch_size=64, budget=Budget(d_updates=15)))
    counted = Counted().watch(run)
    rows(run)
    assert (counted.moving, counted.others) == (passes, 2 * 15)
    assert (run.counters.d_updates, run.counters.g_updates, run.counters.num_real) == (15, 100, 960)


@pytest.mark.parametrize(("fakes", "replayed"), [("replay", 2 * (0 + 1 + 2)), ("pool", 0)])
def test_the_passes_with_several_updates_a_step_and_a_pool_of_no_whole_batches(fakes: Any, replayed: int) -> None:
    run = Run(ring(scheme=replace(SMALL, fakes=fakes, d_steps=2)))
    counted = Counted().watch(run)
    rows(run)
    assert counted.moving == replayed + 3 * 3  # three pushes of 40 samples in batches of 16
    assert (run.counters.d_updates, run.counters.g_updates) == (6, 2 * 3)


def test_one_batch_is_alive_at_a_time() -> None:
    run = Run(ring())
    sizes: list[int] = []
    run.discriminator.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    rows(run)
    assert max(sizes) == BATCH


# Nothing else moves


@pytest.mark.runs
@for_each("fakes", ["replay", "pool"])
@for_each("precision", ["float32", "bf16"])
def test_pushes_and_fits_leave_every_weight_and_buffer_of_every_discriminator(precision: Any, fakes: Any) -> None:
    run = Run(digits(precision=precision, scheme=replace(SMALL, fakes=fakes), budget=Budget(d_updates=99)))
    moved = {"pushes": 0, "fits": 0}
    for _ in range(40):
        step, before = run.cursor.step, [bits(run.discriminator), bits(run.generator)]
        stored = {level: bits(by.discriminator) for level, by in run.chain.stored.items()}
        step_through(run, 1)
        match step:
            case PushPool() | DrawPool() | StoreDiscriminator():
                assert same_bits(bits(run.discriminator), before[0]) and same_bits(bits(run.generator), before[1])
                moved["pushes"] += isinstance(step, PushPool)
            case FitGenerator():
                assert same_bits(bits(run.discriminator), before[0]) and not same_bits(bits(run.generator), before[1])
                moved["fits"] += 1
            case UpdateDiscriminator():
                assert not same_bits(bits(run.discriminator), before[0]) and same_bits(bits(run.generator), before[1])
        for level, kept in stored.items():
            if level in run.chain.stored and not isinstance(step, StoreDiscriminator):
                assert same_bits(bits(run.chain.stored[level].discriminator), kept)
        assert all(p.grad is None and p.requires_grad for p in (*run.d_parameters, *run.g_parameters))
        assert run.discriminator.training and run.generator.training
    assert min(moved.values()) > 3


def test_the_running_discriminator_goes_on_with_one_optimizer_for_the_whole_run() -> None:
    run = Run(ring())
    optimizer = run.d_optimizer
    rows(run)
    assert run.d_optimizer is optimizer
    assert all(int(optimizer.state[p]["step"]) == 6 for p in run.d_parameters)


def test_each_stage_is_fitted_with_a_fresh_optimizer() -> None:
    run = until(Run(ring()), UpdateDiscriminator)
    assert run.fit is not None
    first = run.fit.optimizer
    assert all(int(first.state[p]["step"]) == 2 * 3 for p in run.g_parameters)
    step_through(run, 1)
    until(run, FitGenerator)
    assert run.fit is None
    step_through(run, 1)
    assert run.fit is not None and run.fit.optimizer is not first


def test_a_fit_lowers_its_learning_rate_when_the_mean_loss_of_an_epoch_rose_at_most_three_times() -> None:
    run = Run(ring(g_optimizer=SGD(lr=0.0), scheme=replace(SMALL, epochs=6)))
    step_through(run, 1)
    seen: list[tuple[int, float]] = []
    assert run.pool is not None
    for epoch in range(6):
        run.pool.samples = run.pool.samples + (-1.0 if epoch == 1 else 1.0) * 10  # worse each time but at the second
        engine.apply(FitGenerator(level=epoch + 1), run)
        assert run.fit is not None and run.fit.last is not None
        seen.append((run.fit.decays, run.fit.last))
    assert [decays for decays, _ in seen] == [0, 0, 1, 2, 3, 3]
    assert [later > sooner for (_, sooner), (_, later) in zip(seen, seen[1:], strict=False)] == [False, *[True] * 4]


def test_a_fit_in_micro_batches_is_the_fit_in_whole_batches() -> None:
    whole, in_parts = (Run(ring(accumulate=parts, g_optimizer=SGD(lr=0.1))) for parts in (1, 4))
    for run in (whole, in_parts):
        step_through(run, 3)  # the pool and two epochs, each ending with half a batch
    for one, other in zip(whole.g_parameters, in_parts.g_parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    losses = [[value.item() for value in run.meters.values["fit_loss"]] for run in (whole, in_parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and len(losses[0]) == 2


def test_the_lowered_learning_rate_is_a_tenth_and_follows_the_rule() -> None:
    run = Run(ring(g_optimizer=SGD(lr=0.5)))
    step_through(run, 2)
    assert run.fit is not None
    assert run.fit.optimizer.param_groups[0]["lr"] == 0.5
    run.fit.decays = 2
    step_through(run, 1)
    assert run.fit.optimizer.param_groups[0]["lr"] == pytest.approx(0.005)


def test_a_generator_is_fitted_in_train_mode_to_the_pool_it_is_given() -> None:
    run = Run(digits(scheme=replace(SMALL, epochs=30), g_optimizer=Adam(lr=3e-3), budget=Budget(d_updates=3)))
    until(run, UpdateDiscriminator)
    losses = [value.item() for value in run.meters.values["fit_loss"]]
    assert losses[-1] < losses[0] / 3
    passes = {int(b) for name, b in run.generator.named_buffers() if name.endswith("num_batches_tracked")}
    assert passes == {30 * 3}  # train mode in every batch of the fit, and in none besides


# Resuming

CASES = {
    "replay, batch norm": digits(scheme=replace(SMALL, steps=2, weights=Geometric()), precision="bf16"),
    "pool, labels": ring(
        task=Labelled(), scheme=replace(SMALL, steps=2, fakes="pool", d_steps=2), g_optimizer=RMSProp(), accumulate=2
    ),
    "icfg": ring(scheme=replace(SMALL, steps=2, epochs=0)),
}


@pytest.mark.runs
@pytest.mark.parametrize("all_steps", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
def test_a_run_resumed_at_any_step_of_a_round_ends_with_the_same_bits_and_rows(case: str, all_steps: bool) -> None:
    """At the last step of each kind in the second round, which resumes after others of its kind, or at any at all."""
    experiment = CASES[case]
    scheme = experiment.scheme
    made = [(round, type(step)) for round in (0, 1) for step in scheme(round)]
    last = {kind: number for number, (round, kind) in enumerate(made) if round == 1}
    d_updates = sum(kind is UpdateDiscriminator for _, kind in made)
    experiment = replace(experiment, budget=Budget(d_updates=d_updates), records=Records(log_every=1))
    undisturbed = Run(experiment)
    expected_rows = rows(undisturbed)
    expected = state_of(undisturbed)
    assert len(expected_rows) == 2 and undisturbed.cursor.round == 2
    for steps in range(len(made)) if all_steps else last.values():
        first = Run(experiment)
        left = iter(range(steps))
        before = rows(first, lambda left=left: next(left, None) is None)
        second = Run(experiment)
        buffer = io.BytesIO()
        torch.save(first.state_dict(), buffer)
        second.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
        assert (before + rows(second), differences(state_of(second), expected)) == (expected_rows, [])


@pytest.mark.runs
def test_looking_at_a_run_changes_no_bit_of_training() -> None:
    experiment = digits(augmentation=DiffAugment(), budget=Budget(d_updates=4))
    undisturbed, watched = trained(experiment), Run(experiment)
    evaluator = Evaluator(watched.data.dataset, Records(evaluate_count=30))

    looked: set[tuple[int, type[Step]]] = set()

    def look() -> bool:
        """Before the first step of each kind in each round."""
        moment = (watched.cursor.round, type(watched.cursor.step))
        if moment in looked:
            return False
        looked.add(moment)
        assert torch.isfinite(watched.sampler().sample(5, seed=1)).all()
        assert evaluator(watched)
        watched.state_dict()
        return False

    rows(watched, look)
    assert {round for round, _ in looked} == {0, 1} and {FitGenerator, StoreDiscriminator} <= {k for _, k in looked}
    assert differences(state_of(watched), state_of(undisturbed)) == []


# Rows, budgets, averages


def test_rows_and_budgets_wait_for_the_end_of_the_round() -> None:
    run = Run(ring(budget=Budget(d_updates=4), records=Records(log_every=BATCH)))
    got = rows(run)
    assert [(row["num_real"], row["round"]) for row in got] == [(3 * BATCH, 1), (6 * BATCH, 2)]
    assert run.cursor.index == 0 and got[-1]["stopped"] == "d_updates reached 4 (2 over)"
    assert len(run.chain.stored) == 3 and run.chain.generator is None
    assert {"fit_loss", "push", "d_loss", "d_real", "d_fake"} <= got[-1].keys() and "g_loss" not in got[-1]


def test_between_rounds_the_sampler_is_the_last_whole_chain() -> None:
    run = Run(ring())
    until(run, PushPool)
    step_through(run, 3)
    expected = run.sampler().sample(8, seed=0)
    assert isinstance(run.cursor.step, FitGenerator)
    step_through(run, 2)  # the generator has moved on
    assert torch.equal(run.sampler().sample(8, seed=0), expected) and run.sampler().num_pushes == 3


def test_the_average_moves_once_where_a_fit_ends() -> None:
    run = Run(ring(averaging=Averaging(half_life=24.0, rampup=None)))
    moves: list[Step] = []
    before = [bits(run.average)]

    def look() -> bool:
        if not same_bits(before[0], bits(run.average)):
            moves.append(run.cursor.step)
            before[0] = bits(run.average)
        return False

    rows(run, look)
    assert moves == [UpdateDiscriminator(level=1, fakes=Replay(0))]  # in round 0 no image has been seen


# Labels


def test_a_pool_keeps_its_labels_through_pushes_fakes_and_fits() -> None:
    run = Run(ring(task=Labelled(), scheme=replace(SMALL, fakes="pool")))
    until(run, UpdateDiscriminator)
    assert run.pool is not None
    latents, (labels,) = run.pool.latents, run.pool.condition
    assert len(labels) == POOL and labels.unique().numel() > 1
    judged: list[tuple[Tensor, Tensor]] = []
    hook = run.discriminator.register_forward_pre_hook(lambda _, x: judged.append((x[0].detach().clone(), x[1])))
    step_through(run, 1)
    hook.remove()
    _, (fake, given) = judged
    places = [(run.pool.samples == sample).all(1).nonzero()[0, 0] for sample in fake]
    assert torch.equal(labels[torch.stack(places)], given)
    until(run, FitGenerator)
    seen: list[tuple[Tensor, Tensor]] = []
    run.generator.register_forward_pre_hook(lambda _, x: seen.append((x[0], x[1])))
    step_through(run, 1)
    assert len(seen) == 3
    for z, y in seen:
        places = [(latents == row).all(1).nonzero()[0, 0] for row in z]
        assert torch.equal(labels[torch.stack(places)], y)


def test_a_push_judges_each_sample_under_its_own_label() -> None:
    run = Run(ring(task=Labelled(), budget=Budget(d_updates=3)))
    given: list[Tensor] = []
    until(run, PushPool)
    run.chain.stored[1].discriminator.register_forward_pre_hook(lambda _, x: given.append(x[1]))
    step_through(run, 1)
    assert run.pool is not None and torch.equal(torch.cat(given), run.pool.condition[0])
    labels = torch.arange(8).repeat(4)
    assert run.sampler().sample(32, labels=labels).shape == (32, 2)


# Ideal discriminators: the closed form of a Gaussian chain


class Quadratic(nn.Module):
    """D(x) = a x^2 + b x, the log ratio of two normal distributions but for its constant."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.register_buffer("ab", torch.zeros(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.ab  # type: ignore[misc]
        return (a * x.square() + b * x).squeeze(1) + 0 * self.unused

    def become_ideal(self, mean: float, std: float) -> None:
        """log p / q for p = N(1, 0.8^2) and q = N(mean, std^2)."""
        a = 0.5 * (1 / std**2 - 1 / 0.8**2)
        self.ab.copy_(torch.tensor([a, 1 / 0.8**2 - mean / std**2]))  # type: ignore[operator]


class Affine(nn.Module):
    """N(-0.5, 1.3^2) from N(0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean_std = nn.Parameter(torch.tensor([-0.5, 1.3], dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.mean_std[0] + self.mean_std[1] * z.double()


@dataclass(frozen=True)
class Ideal:
    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        return ModelPair(Affine(), Quadratic(), Normal(1), shape)


@dataclass(frozen=True)
class Line:
    def load(self) -> Dataset:
        return Dataset(np.linspace(-1, 1, 64, dtype=np.float32)[:, None])


def normal_of(x: Tensor, z: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of samples that are an affine function of standard normal latents."""
    slope = (x[1] - x[0]) / (z[1] - z[0])
    center = x[0] - slope * z[0]
    torch.testing.assert_close(x, center + slope * z)  # a Gaussian it stays
    return float(center), float(slope.abs())


def divergence(mean: float, std: float) -> float:
    """KL(p || q) of p = N(1, 0.8^2) and q = N(mean, std^2)."""
    return log(std / 0.8) + (0.8**2 + (1 - mean) ** 2) / (2 * std**2) - 0.5


@pytest.mark.runs
@for_each(
    ("weights", "mean", "std", "left", "monotone"),
    [
        (Ones(), 0.882700, 0.802638, 0.010690, True),
        (Geometric(1.0, 0.01), 0.160973, 0.979316, 0.402912, True),
        (Geometric(0.01, 1.0), 0.160973, 0.978248, 0.403351, True),
        (Geometric(20.0, 1.0), 0.999831, 0.800027, 0.0, False),
    ],
    ids=["ones", "1 to 0.01", "0.01 to 1", "20 to 1"],
)
def test_a_chain_of_ideal_discriminators_moves_a_gaussian_as_the_closed_form_says(
    weights: Any, mean: float, std: float, left: float, monotone: bool
) -> None:
    scheme = FunctionalGradient(15, step_size=0.1, pool_size=64, epochs=0, weights=weights, fakes="pool")
    run = Run(ring(model=Ideal(), data=Line(), scheme=scheme, batch_size=8, d_optimizer=SGD(lr=0.0)))
    ideal: Any = run.discriminator
    divergences = [divergence(-0.5, 1.3)]
    now = (-0.5, 1.3)
    for step in scheme(0):
        if isinstance(step, StoreDiscriminator):
            ideal.become_ideal(*now)
        engine.apply(step, run)
        if isinstance(step, PushPool):
            assert run.pool is not None
            now = normal_of(run.pool.samples[:, 0], run.pool.latents[:, 0].double())
            divergences.append(divergence(*now))
    assert now == pytest.approx((mean, std), abs=2e-6)
    assert divergences[0] == pytest.approx(0.840537, abs=1e-6)
    assert divergences[-1] == pytest.approx(left, abs=1e-6)
    assert (sorted(divergences, reverse=True) == divergences) == monotone


# What cannot be


@for_each("fakes", ["replay", "pool"])
@for_each("part", [REGULARIZERS["zcr"], Sum((REGULARIZERS["r1"], REGULARIZERS["zcr"]))], ids=["", "sum"])
def test_regularizers_that_need_the_fakes_latents_refuse_pushed_ones(part: Any, fakes: Any) -> None:
    experiment = ring(regularizer=part, scheme=replace(SMALL, fakes=fakes))
    with pytest.raises(ValueError, match="needs the latents of the .*fakes.*use a scheme with fresh fakes"):
        Run(experiment)
    run = Run(replace(experiment, regularizer=REGULARIZERS["none"]))
    until(run, UpdateDiscriminator)
    run.experiment, run.regularizer, run.regularizer_state = experiment, part, part.init_state()
    with pytest.raises(ValueError, match="needs the latents of the fakes.*use a scheme with fresh fakes"):
        engine.apply(run.cursor.step, run)


def test_a_regularizers_network_that_nothing_would_train_is_refused() -> None:
    with pytest.raises(ValueError, match="network that learns in generator updates.*Use a scheme with them"):
        Run(ring(regularizer=REGULARIZERS["ver"]))


def test_a_pool_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="pool_size must be at least batch_size=16, got 15; use ten batches, 160"):
        Run(ring(scheme=replace(SMALL, pool_size=15)))


@pytest.mark.parametrize("name", ["rpgan", "ragan"])
def test_pushes_down_a_loss_of_differences_are_refused_and_plain_ones_are_not(name: str) -> None:
    experiment = ring(loss=LOSSES[name], push=Push(DELTAS["loss"]))
    with pytest.raises(ValueError, match="a push has no reals; use --push.delta one"):
        Run(experiment)
    assert trained(replace(experiment, push=Push())).is_finite()
    Run(replace(experiment, scheme=SCHEMES["nats"]))


def test_lines_between_reals_and_a_pool_of_other_labels_are_refused() -> None:
    experiment = ring(task=Labelled(), regularizer=GradientPenalty(), scheme=replace(SMALL, fakes="pool"))
    with pytest.raises(ValueError, match="fakes of a pool keep their own labels. Use --scheme.fakes replay"):
        Run(experiment)
    assert trained(replace(experiment, scheme=SMALL)).is_finite()


def test_a_push_to_nan_is_an_error_that_says_where_and_leaves_the_pool() -> None:
    run = until(Run(ring()), PushPool)
    assert run.pool is not None
    kept = run.pool.samples.clone()
    with torch.no_grad():
        for p in run.chain.stored[1].discriminator.parameters():
            p.fill_(float("nan"))
    with pytest.raises(TrainingStopped, match=r"push 1 of round 0 made samples that are NaN.*lower --scheme.step-size"):
        engine.apply(run.cursor.step, run)
    assert torch.equal(run.pool.samples, kept)


@for_each("loss", ["wgan", "lsgan", "hinge"])
def test_a_factor_that_reads_a_log_ratio_is_refused_under_a_loss_that_makes_none(loss: str) -> None:
    with pytest.raises(ValueError, match="reads the discriminator's output as a log ratio.*Use --push.delta one"):
        Run(ring(loss=LOSSES[loss], push=Push(DELTAS["kl"])))
    Run(ring(loss=LOSSES[loss]))
    Run(ring(loss=LOSSES["hybrid"], push=Push(DELTAS["kl"])))


def test_the_pushed_sampler_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="stores no discriminators, got 'pushed'.*use a scheme such as 'cfg'"):
        check(ring(scheme=SCHEMES["nats"], records=Records(sampler="pushed")))
    assert (ring().sampler, ring(scheme=SCHEMES["nats"]).sampler) == ("pushed", "generator")


def test_skipping_fits_of_a_scheme_without_any_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves out fits of the generator.*use 'stop' or 'warn'"):
        check(ring(scheme=SCHEMES["nats"], divergence=Divergence(on_diverge="skip")))


# On disk

QUIET = Records(log_every=BATCH, evaluate_count=0, sample_count=4, tensorboard=False)


@pytest.mark.runs
@for_each(
    "changes",
    [
        {},
        {"augmentation": DiffAugment(), "push": Push(DELTAS["js"], d_norm_mode="eval")},
        {"normalization": NORMALIZATIONS["spectral"], "model": DCGAN(4, 4, d_norm="none"), "loss": LOSSES["arcsinh"]},
    ],
    ids=["plain", "augmented", "normalized"],
)
def test_both_samplers_are_loaded_as_they_were_in_memory(changes: Any, tmp_path: Path) -> None:
    run = ganneal.train(digits(records=QUIET, **changes), tmp_path)
    loaded = ganneal.load(tmp_path)
    assert (loaded.sampler, loaded.num_pushes, loaded.card["sampler"]) == ("pushed", 3, "pushed")
    expected = run.sampler().sample(20, seed=3)
    assert torch.equal(loaded.sample(20, seed=3), expected)
    assert torch.equal(loaded.sample(20, seed=3, batch_size=7), expected)
    alone = ganneal.load(tmp_path, sampler="generator")
    assert (alone.sampler, alone.num_pushes) == ("generator", 0)
    assert not torch.equal(alone.sample(20, seed=3), expected)


def test_an_unfinished_run_is_sampled_from_its_checkpoint(tmp_path: Path) -> None:
    run = ganneal.train(ring(records=QUIET), tmp_path)
    for file in (tmp_path / "final").iterdir():
        file.unlink()
    loaded = ganneal.load(tmp_path)
    assert loaded.sampler == "pushed" and torch.equal(loaded.sample(20), run.sampler().sample(20))


def test_a_pushed_sampler_of_a_run_without_stored_discriminators_is_refused(tmp_path: Path) -> None:
    ganneal.train(ring(scheme=SCHEMES["cts"], records=QUIET), tmp_path)
    assert ganneal.load(tmp_path).sampler == "generator"
    with pytest.raises(ValueError, match="needs stored discriminators.*use sampler='generator'"):
        ganneal.load(tmp_path, sampler="pushed")


def test_an_evaluation_says_which_sampler_it_measured(tmp_path: Path) -> None:
    records = replace(QUIET, evaluate_count=30, evaluate_every=1, evaluate_share=1.0)
    ganneal.train(ring(records=records), tmp_path)
    evaluated = [row for row in RunDirectory(tmp_path).rows() if "coverage" in row]
    assert len(evaluated) >= 2 and {row["sampler"] for row in evaluated} == {"pushed"}
    assert read_json(tmp_path / "final" / "card.json")["sampler"] == "pushed"
    assert ganneal.load(tmp_path, checkpoint="best").num_pushes == 3
    measured: list[tuple[SamplerName, int, str]] = [("pushed", 4, "raw"), ("generator", 1, "ema")]
    for sampler, steps, weights in measured:
        found = evaluate_run(tmp_path, sampler=sampler, settings=Settings(count=60, seeds=(0,)))
        protocols = {(r.protocol.sampler, r.protocol.sampler_steps, r.protocol.generator_weights) for r in found}
        assert protocols == {(sampler, steps, weights)}


@for_each("choice", ["stop", "warn", "skip"])
def test_what_happens_when_the_players_lose_touch(choice: Any, tmp_path: Path) -> None:
    experiment = ring(records=QUIET, divergence=Divergence(1e-9, choice))
    if choice == "stop":
        with pytest.raises(TrainingStopped, match=r"D\(fake\).*beyond 1e-09.*state is saved"):
            ganneal.train(experiment, tmp_path)
        assert list((tmp_path / "checkpoints").glob("*.pt"))
        return
    run = ganneal.train(experiment, tmp_path)
    undisturbed = ganneal.train(replace(experiment, divergence=Divergence()), tmp_path / "undisturbed")
    assert run.cursor.round == 2
    assert (run.digest() == undisturbed.digest()) == (choice == "warn")
    assert run.counters.g_updates == (6 if choice == "skip" else 12)  # of two rounds the second is left out


def test_generator_updates_may_follow_a_chain_in_a_scheme_of_your_own() -> None:
    @dataclass(frozen=True)
    class Both:
        def __call__(self, round: int) -> Iterator[Step]:
            yield UpdateDiscriminator()
            yield StoreDiscriminator(0.1, 1)
            yield UpdateGenerator()
            yield UpdateDiscriminator(fakes=Replay(0))
            yield DrawPool(POOL)
            yield UpdateDiscriminator(fakes=Pool())

    run = trained(ring(scheme=Both(), budget=Budget(d_updates=6)))
    assert run.counters.g_updates == 2 and run.chain.generator is not None and run.sampler().num_pushes == 1
