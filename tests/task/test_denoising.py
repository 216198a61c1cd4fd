"""Denoising diffusion GANs in the one engine: views, conditions, sampling chains, and the invariants of training."""

import io
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

import ganneal
from ganneal.augment import AUGMENTATIONS, DiffAugment, Scheduled, Transforms
from ganneal.data import Digits, Ring
from ganneal.data.sampler import Batch
from ganneal.engine import loop as engine
from ganneal.engine.capture import passes_of
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.inference.generator import TrainedGenerator
from ganneal.losses import RelativisticPaired
from ganneal.models import DCGAN, DDGAN, MLP, DenoisingMLP, Model
from ganneal.optim import SGD, Adam, Averaging
from ganneal.regularizers import REGULARIZERS, GradientPenalty, LatentConsistency, Reals, Sum
from ganneal.schemes import Alternating, FunctionalGradient, Nested
from ganneal.task import Denoising, RealView, Task, Unconditional
from ganneal.task.diffusion import Diffusion
from ganneal.training.evaluator import Evaluator
from ganneal.weights import Explicit, Geometric

pytestmark = pytest.mark.usefixtures("empty_pictures", "one_thread")

BATCH = 8
SMALL = DDGAN(4, (1,), 1, 8, latent_size=4, style_size=8, mapping_layers=1, d_width=1, d_time_size=4)
PENALTY = GradientPenalty(center=0.0, points=Reals(), coefficient=0.05, interval=3, scale_by_interval=False)


def points(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="points",
        data=Ring(num_samples=100),
        model=DenoisingMLP(width=8, depth=2),
        task=Denoising(steps=3),
        regularizer=PENALTY,
        d_optimizer=Adam(lr=1e-2, beta2=0.9),
        g_optimizer=Adam(lr=1e-2, beta2=0.9),
        averaging=Averaging(half_life=64),
        batch_size=BATCH,
        budget=Budget(d_updates=4),
        records=Records(log_every=BATCH, sample_count=4, evaluate_count=0, tensorboard=False),
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    return replace(points(data=Digits(size=8), model=SMALL), **changes)


BOTH = pytest.mark.parametrize("make", [points, digits])


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    for _ in engine.training_rows(run):
        pass
    return run


def state_of(run: Run) -> dict[str, Any]:
    """Everything about ``run`` but the time it took, through the bytes of a checkpoint."""
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    del state["counters"]["seconds"], state["counters"]["cpu_seconds"], state["meters"]
    return state


def tensors(value: Any) -> list[Any]:
    """The leaves of a nested state in order; tensors as bytes."""
    if isinstance(value, dict):
        return [leaf for key in value for leaf in [key, *tensors(value[key])]]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in tensors(item)]
    return [value.numpy().tobytes() if isinstance(value, Tensor) else value]


def weights(module: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


class Named(nn.Module):
    """A generator that says how it was called: its guess is ``z[0] + 10 t`` everywhere."""

    shape = (2,)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, latents: Tensor, t: Tensor, noisier: Tensor) -> Tensor:
        self.calls.append((latents, t, noisier))
        return (latents[:, :1] + 10 * t[:, None]).expand(-1, 2)


# What the players see


def test_a_real_view_is_a_forward_pair_at_times_drawn_for_each_sample() -> None:
    task, samples = Denoising(), torch.randn(4_000, 2)
    view = task.real_view(Batch(samples, None), torch.Generator().manual_seed(0))
    t, noisier = view.condition
    counts = t.bincount(minlength=4)
    assert len(counts) == 4 and (counts - 1_000).abs().max() < 5 * (4_000 * 3 / 16) ** 0.5
    assert torch.equal(view.samples[t == 0], samples[t == 0])
    tables = Diffusion().tables(torch.float32)
    now = (view.samples - tables.signal[t, None] * samples) / tables.noise[t, None]
    step = (noisier - (1 - tables.betas[t + 1, None]).sqrt() * view.samples) / tables.betas[t + 1, None].sqrt()
    for k in range(4):  # the noise of either step is standard normal, and the two are independent
        drawn = torch.cat([step[t == k], *([now[t == k]] if k else [])], 1)
        torch.testing.assert_close(drawn.T.cov(), torch.eye(drawn.shape[1]), atol=0.2, rtol=0)


def test_fakes_are_posterior_samples_under_the_condition_of_the_reals() -> None:
    task, generator, random = Denoising(), Named(), torch.Generator().manual_seed(0)
    view = task.real_view(Batch(torch.randn(BATCH, 2), None), random)
    condition = task.fake_condition(BATCH, 0, view, random)
    assert all(a is b for a, b in zip(condition, view.condition, strict=True))
    latents = torch.randn(BATCH, 3)
    again = random.clone_state()
    fake = task.fake(generator, latents, condition, random)
    ((z, t, noisier),) = generator.calls
    assert z is latents and (t, noisier) == condition
    noise = torch.randn(BATCH, 2, generator=again)
    guess = (latents[:, :1] + 10 * t[:, None]).expand(-1, 2)
    assert torch.equal(fake, task.diffusion.posterior(guess, noisier, t, noise))


def test_the_penalty_sees_the_gradient_in_the_sample_alone_where_it_is_due() -> None:
    # D = (x + 3 noisier) . 1: the gradient in x is 1 for each number, that in the noisier sample would be 3.
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, t: Tensor, noisier: Tensor) -> Tensor:
            return self.scale * (x + 3 * noisier).sum(1)

    run = Run(points(d_optimizer=SGD(lr=0.0), budget=Budget(d_updates=7)))
    run.pair.discriminator = Sum()
    run.d_parameters = list(run.discriminator.parameters())
    run.d_optimizer = SGD(lr=0.0).build(run.d_parameters)
    penalties = [row.get("d_penalty") for row in engine.training_rows(run)]
    assert penalties == pytest.approx([0.05 * 2, None, None] * 2 + [0.05 * 2])


# Sampling


def test_a_sample_takes_the_given_latents_first_and_fresh_ones_later() -> None:
    task, generator, random = Denoising(steps=3), Named(), torch.Generator().manual_seed(0)
    latents = torch.randn(5, 4)
    condition = task.sample_condition(None, 5, 0, random)
    task.sample(generator, latents, condition, random)
    assert [t.unique().tolist() for _, t, _ in generator.calls] == [[2], [1], [0]]
    used = [z for z, _, _ in generator.calls]
    assert used[0] is latents and len({z.sum().item() for z in used}) == 3
    assert all(z.shape == latents.shape for z in used)


def test_the_chain_is_one_posterior_sample_after_another() -> None:
    task, random = Denoising(steps=2), torch.Generator().manual_seed(0)
    generator, latents = Named(), torch.zeros(3_000, 1)
    out = task.sample(generator, latents, task.sample_condition(None, 3_000, 0, random), random)
    (_, _, start), (second, _, middle) = generator.calls
    tables = Diffusion(2).tables(torch.float32)
    noise = (middle - tables.from_clean[1] * 10 - tables.from_noisier[1] * start) / tables.deviation[1]
    every = torch.cat([start, noise, second], 1)  # all noise of a sample: standard normal, independent
    torch.testing.assert_close(every.T.cov(), torch.eye(5), atol=0.12, rtol=0)
    torch.testing.assert_close(every.mean(0), torch.zeros(5), atol=0.1, rtol=0)
    assert torch.equal(out, second.expand(-1, 2))  # the guess at t = 0 is the sample


def test_one_step_is_a_plain_generator_of_noise() -> None:
    task, generator, random = Denoising(steps=1), Named(), torch.Generator().manual_seed(0)
    latents = torch.randn(4, 1)
    out = task.sample(generator, latents, task.sample_condition(None, 4, 0, random), random)
    assert len(generator.calls) == 1 and torch.equal(out, latents.expand(-1, 2))


@BOTH
def test_samples_follow_the_seed_and_not_the_batches_they_are_made_in(make: Any) -> None:
    run = Run(make())
    generator = TrainedGenerator(deepcopy(run.average), run.pair, run.experiment.task)
    one, again, other = (generator.sample(7, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    torch.testing.assert_close(generator.sample(7, 0, batch_size=2), one)


def test_drawing_and_judging_leave_training_as_it_is() -> None:
    records = Records(evaluate_count=30)
    experiment = points(records=records, averaging=Averaging(half_life=0), budget=Budget(g_updates=1))
    watched, alone = Run(experiment), Run(experiment)
    evaluator = Evaluator(watched.data.dataset, experiment.records)
    for run in (watched, alone):
        for _ in engine.training_rows(run, before_each_step(run, evaluator) if run is watched else lambda: False):
            pass
    assert tensors(state_of(watched)) == tensors(state_of(alone))


def before_each_step(run: Run, evaluator: Evaluator) -> Any:
    def asked() -> bool:
        run.sampler().sample(3, 0)
        evaluator.accuracy(run)
        return False

    return asked


@pytest.mark.runs
def test_a_run_on_disk_is_drawn_from_alike_and_resumes_its_grids(tmp_path: Path) -> None:
    experiment = points(records=Records(log_every=BATCH, sample_every=4 * BATCH, sample_count=9, tensorboard=False))
    run = ganneal.train(experiment, tmp_path / "run")
    expected = run.sampler().sample(5, seed=3)
    assert torch.equal(ganneal.load(tmp_path / "run").sample(5, seed=3), expected)
    assert expected.shape == (5, 2)
    whole = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert whole == ["000000000.png", f"{4 * BATCH:09d}.png", "real.png"]
    half = tmp_path / "half"
    ganneal.train(replace(experiment, budget=Budget(d_updates=2)), half)
    ganneal.train(experiment, half)
    for name in whole:
        assert (half / "samples" / name).read_bytes() == (tmp_path / "run" / "samples" / name).read_bytes()


# Invariants of training


@pytest.mark.runs
@BOTH
def test_one_level_of_weight_one_is_the_common_scheme_bit_for_bit(make: Any) -> None:
    common = trained(make(scheme=Alternating(d_steps=2), budget=Budget(g_updates=2)))
    nested = trained(make(scheme=Nested(levels=1, d_steps=2, weights=Explicit((1.0,))), budget=Budget(g_updates=2)))
    assert tensors(state_of(common)) == tensors(state_of(nested))
    assert common.digest() != Run(make()).digest()


@pytest.mark.parametrize(("make", "precision"), [(points, "float32"), (digits, "bf16")])
def test_each_players_moves_leave_the_other_alone(make: Any, precision: str) -> None:
    run = Run(make(precision=precision))
    for _ in range(4):
        move, before = run.cursor.step, {}
        players = {"UpdateDiscriminator": run.discriminator, "UpdateGenerator": run.generator}
        before = {name: weights(player) for name, player in players.items()}
        engine.apply(move, run)
        run.cursor.advance()
        changed = {name for name, player in players.items() if not same(before[name], weights(player))}
        assert changed == {type(move).__name__}
    assert run.is_finite()


@pytest.mark.runs
@pytest.mark.parametrize(("make", "stops"), [(points, (1, 2, 3, 4, 5)), (digits, (4,))])
def test_a_run_resumed_at_any_step_of_a_round_ends_with_the_same_bits(make: Any, stops: tuple[int, ...]) -> None:
    experiment = make(scheme=Nested(levels=2, weights=Geometric(1, 0.01)), budget=Budget(g_updates=4))
    whole = trained(experiment)
    for steps in stops:
        first, left = Run(experiment), steps
        for _ in engine.training_rows(first, iter([False] * left + [True]).__next__):
            pass
        second = Run(experiment)
        second.load_state_dict(state_of_all(first))
        for _ in engine.training_rows(second):
            pass
        assert tensors(state_of(second)) == tensors(state_of(whole))


def state_of_all(run: Run) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def test_a_generators_move_takes_the_next_real_images() -> None:
    run = Run(points())
    for _ in range(2):
        engine.apply(run.cursor.step, run)
        run.cursor.advance()
    assert run.data_position == 2 * BATCH and run.counters.num_real == BATCH
    assert run.counters.g_num_real == BATCH


@pytest.mark.runs
def test_losses_that_judge_fakes_against_reals_and_other_batches_go_with_it() -> None:
    run = trained(digits(loss=RelativisticPaired(), g_batch_size=2 * BATCH, accumulate=2))
    assert run.is_finite() and run.counters.g_updates == 3


# Regularizers and augmentations that compare two samples: all but what is compared is shared


@dataclass(frozen=True)
class Doubled(Denoising):
    """x_{t+1} is 2 x_t at reals, and fakes are half of their x_{t+1}, whatever is drawn."""

    def real_view(self, batch: Batch, random: torch.Generator) -> RealView:
        view = super().real_view(batch, random)
        return RealView(view.samples, (view.condition[0], 2 * view.samples))

    def fake_with(self, generator: nn.Module, latents: Tensor, condition: Any, noise: tuple[Tensor, ...]) -> Tensor:
        return 0.5 * condition[1] + 0 * super().fake_with(generator, latents, condition, noise)


class Distance(nn.Module):
    """How far x_{t+1} is from 2 x_t: 0 whatever is done to both alike by moving pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, t: Tensor, noisier: Tensor) -> Tensor:
        return self.scale * (noisier - 2 * x).square().flatten(1).sum(1)


def first_row(run: Run) -> dict[str, Any]:
    return next(iter(engine.training_rows(run)))


@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_consistency_moves_both_halves_of_a_pair_alike(name: str) -> None:
    run = Run(digits(task=Doubled(), regularizer=REGULARIZERS[name], d_optimizer=SGD(lr=0.0)))
    run.pair.discriminator = Distance()
    run.d_parameters = list(run.discriminator.parameters())
    run.d_optimizer = SGD(lr=0.0).build(run.d_parameters)
    run.passes = passes_of(run.experiment, run.pair, run.random["task"], run.sight)
    assert first_row(run)["d_penalty"] == 0


def test_consistency_still_asks_what_a_moved_pair_is_worth() -> None:
    assert first_row(Run(digits(regularizer=REGULARIZERS["cr"], model=replace(SMALL, d_width=4))))["d_penalty"] > 0


@pytest.mark.runs
@for_each("name", ["diffaugment", "ada", "r3gan"])
@for_each("generator_moves", [False, True])
def test_augmentations_move_both_halves_of_a_pair_alike(name: str, generator_moves: bool) -> None:
    change = AUGMENTATIONS[name]
    if isinstance(change, Transforms):  # geometry, always; colours add the same to both
        change = replace(change, probability=Scheduled(1.0), color=0.0)
    else:
        change = DiffAugment(color=False)
    run = Run(digits(task=Doubled(), augmentation=change, regularizer=Sum()))
    seen: list[tuple[Tensor, Tensor]] = []
    run.discriminator.register_forward_pre_hook(lambda _, given: seen.append((given[0], given[2])))
    for _ in range(1 + generator_moves):
        engine.apply(run.cursor.step, run)
        run.cursor.advance()
    assert len(seen) == 2 + generator_moves
    for x, noisier in seen:
        torch.testing.assert_close(noisier, 2 * x)
        assert x.abs().max() > 0


@pytest.mark.runs
@for_each("precision", ["float32", "bf16"])
@for_each("augmentation", ["none", "diffaugment"])
@for_each("task", [Denoising(steps=3), Unconditional()])
def test_terms_of_latent_consistency_vanish_with_the_latent_noise(
    task: Task, augmentation: str, precision: str
) -> None:
    zcr = LatentConsistency(noise=1e-6)
    model = (
        replace(SMALL, d_width=4) if task.denoises else DCGAN(width=4, latent_size=4, g_norm="layer", d_norm="layer")
    )
    parts = {"regularizer": zcr, "augmentation": AUGMENTATIONS[augmentation], "precision": precision}
    run = Run(digits(task=task, model=model, **parts))
    with torch.no_grad():
        for parameter in run.generator.parameters():
            parameter.add_(0.1 * torch.ones_like(parameter))
    engine.apply(run.cursor.step, run)
    run.cursor.advance()
    engine.apply(run.cursor.step, run)
    values = {name: value[0].item() for name, value in run.meters.values.items() if name.endswith("penalty")}
    assert values.keys() == {"d_penalty", "g_penalty"}
    assert values["d_penalty"] < 1e-6 and values["g_penalty"] > -1e-6


def test_dropout_of_the_generator_is_shared_too() -> None:
    run = Run(points(regularizer=LatentConsistency(noise=1e-6)))
    for name, layer in list(run.generator.named_modules()):
        if isinstance(layer, nn.LeakyReLU):
            owner, _, index = name.rpartition(".")
            net: Any = run.generator.get_submodule(owner)
            net[int(index)] = nn.Sequential(layer, nn.Dropout(0.5))
    engine.apply(run.cursor.step, run)
    assert run.meters.values["d_penalty"][0].item() < 1e-6


def test_the_latent_alone_decides_how_far_the_two_fakes_are_apart() -> None:
    near, far = (first_row(Run(points(regularizer=LatentConsistency(noise=noise)))) for noise in (1e-3, 1e-2))
    assert far["d_penalty"] == pytest.approx(100 * near["d_penalty"], rel=0.1)


# What does not go together


@for_each(
    ("changes", "message"),
    [
        (
            {"model": MLP()},
            "task Denoising needs players that take a time and a noisier sample, but MLP has none",
        ),
        ({"task": Unconditional()}, "model DenoisingMLP takes a time .* but the task Unconditional gives neither"),
        ({"scheme": FunctionalGradient(steps=2)}, "scheme pushes finished samples .* task Denoising judge one step"),
    ],
)
def test_parts_that_contradict_it_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(points(**changes))


@for_each(
    ("changes", "message"),
    [
        ({"batch_size": 6}, "batch_size must be below 4 or a multiple of it, .*got 6.* Use 8"),
        ({"g_batch_size": 10}, "g_batch_size must be below 4 .* got 10.* Use 12"),
        ({"batch_size": 12, "accumulate": 2}, "batch_size must be below 4 .* got 6.* Use 16"),
    ],
)
def test_batches_that_the_discriminator_cannot_compare_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(digits(**changes))


def test_small_batches_are_compared_with_themselves() -> None:
    assert trained(digits(batch_size=2, budget=Budget(d_updates=1))).is_finite()


def test_labels_and_steps_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="labels must be left out"):
        Denoising().sample_condition(torch.zeros(1, dtype=torch.int64), 1, 0, torch.Generator())
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        Denoising(steps=0)


def test_a_model_for_another_size_is_refused_before_training() -> None:
    model: Model = SMALL
    with pytest.raises(ValueError, match=r"attention must be one of \[16\] or None at 16 px, got 8"):
        Run(digits(data=Digits(size=16), model=model))


def test_a_view_is_what_the_engine_expects() -> None:
    view = Denoising().real_view(Batch(torch.randn(2, 2), None), torch.Generator())
    assert isinstance(view, RealView) and len(view.condition) == 2


# Named experiments


def test_the_experiment_for_cifar10_is_the_published_one() -> None:
    experiment = EXPERIMENTS["cifar10-ddgan"]()
    assert (experiment.batch_size, experiment.flip, experiment.task) == (256, True, Denoising(4, 0.1, 20.0))
    assert experiment.budget.num_real == 1_800 * 50_000
    for optimizer, lr in ((experiment.d_optimizer, 1.25e-4), (experiment.g_optimizer, 1.6e-4)):
        assert isinstance(optimizer, Adam) and (optimizer.lr, optimizer.beta1, optimizer.beta2) == (lr, 0.5, 0.9)
        assert optimizer.rule.clock == "num_real" and optimizer.rule.at(0) == 1
        assert lr * optimizer.rule.at(1_800 * 50_000) == pytest.approx(1e-5)
    assert experiment.averaging.decay(256_000, 256_000 - 256) == pytest.approx(0.9999, abs=1e-9)
    penalty = experiment.regularizer
    assert isinstance(penalty, GradientPenalty) and penalty.points == Reals()
    assert (penalty.coefficient, penalty.interval, penalty.scale_by_interval) == (0.02 / 2, 15, False)
    with torch.device("meta"):
        generator = experiment.model.build((3, 32, 32)).generator
    assert sum(p.numel() for p in generator.parameters()) == 48_432_515


@pytest.mark.parametrize("name", ["ring-ddgan", "digits-ddgan"])
def test_small_experiments_train_and_their_nested_variants_differ_in_the_scheme_alone(name: str) -> None:
    common, nested = EXPERIMENTS[name](), EXPERIMENTS[f"{name}-nats"]()
    assert nested == replace(common, name=nested.name, scheme=Nested(levels=5, weights=Geometric()))
    assert trained(replace(common, batch_size=BATCH, budget=Budget(d_updates=1))).is_finite()
