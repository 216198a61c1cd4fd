"""Training, drawing and resuming where every tensor is on a device that is not the CPU.

What a GPU would refuse fails here: operands of two devices. So does what would make the host wait in a move: a value
that is read, a copy between the two. The answers are those of the CPU, bit for bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts.test_model_contract import CASES, Case
from tests.digests.configurations import configurations
from tests.for_each import for_each
from tests.pretended_device import THERE, PretendedDevice, Refused, given_to_host, pretended_device
from torch import Tensor

from ganneal.augment import AUGMENTATIONS, Adaptive, Scheduled, Transforms
from ganneal.data import Dataset, Sampler
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import digits_cts, ring_cts
from ganneal.losses import LOSSES, PAIR_LOSSES
from ganneal.metrics.extractors import Pixels, Points
from ganneal.metrics.extractors.efficientnet import weights_path
from ganneal.models import DCGAN, MLP
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import OPTIMIZERS
from ganneal.ranks import Ranks
from ganneal.regularizers import REGULARIZERS, Context, Regularizer, RegularizerState
from ganneal.schemes import Nested
from ganneal.steps import FitGenerator, PushPool
from ganneal.task import Denoising, Labelled, Unconditional, diffusion
from ganneal.training.evaluator import Evaluator
from ganneal.weights import Geometric

ONE_READ = {
    PushPool: "whether the pushed samples are finite: one that is not would reach the generator",
    FitGenerator: "the mean loss of an epoch: the next learning rate depends on it",
}
"""Moves that read one value, with the reason. The others read none."""
COPIED = {
    "ganneal.data.sampler.Sampler._order": "the order of a pass over the data, once a pass",
    "ganneal.task.diffusion._tables": "the coefficients of a diffusion, once a process",
}
"""What a move may copy from the host, and how often. Data that are not resident are copied batch by batch as well."""
OTHER_BITS = {"digits-denoising": "off the CPU, group norm of channels-last images sums in another order"}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDevice]:
    with pretended_device(monkeypatch) as pretended:
        monkeypatch.setattr("ganneal.data.sampler.fits", lambda dataset, device: device == THERE)
        monkeypatch.setattr(diffusion, "_tables", diffusion._tables.__wrapped__)
        for name in COPIED:
            monkeypatch.setattr(name, pretended.allowed(resolve_name(name)))
        yield pretended


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """32 labelled colour images."""
    random, path = np.random.default_rng(0), tmp_path_factory.mktemp("device") / "images.npz"
    np.savez(path, images=random.integers(0, 256, (32, 3, 32, 32), dtype=np.uint8), labels=np.arange(32) % 3)
    return str(path)


def configured(images: str, *names: str) -> list[Experiment]:
    """Of the digests' experiments those of ``names``, in float32."""
    found = {each.name: replace(each, precision="float32") for each in configurations(images)}
    return [found[name] for name in names]


def on_cpu_and_device(experiment: Experiment) -> tuple[Run, Run]:
    dataset = experiment.data.load()
    return Run(experiment, dataset), Run(experiment, dataset, Ranks(device=THERE))


def play(run: Run, device: PretendedDevice, moves: int) -> None:
    """The next moves of the run's scheme."""
    for _ in range(moves):
        step = run.cursor.step
        with device.move(reads=type(step) in ONE_READ), run.moving():
            engine.apply(step, run)
        run.cursor.advance()
    with device.move():
        run.update_average()


def two_rounds(experiment: Experiment) -> int:
    """Moves of a round that is measured and of one that is not."""
    return sum(len(list(experiment.scheme(round))) for round in (0, 1))


# Every kind of move, with accumulation, labels, both ways to push, buffers that move, and classes in the networks.
ENGINE = ["conjugate", "rpgan-r1-r2", "ragan", "labelled", "replay-spectral", "pool-annealed", "denoising"]
ENGINE += ["digits-diffaugment", "digits-latent-consistent", "digits-moving-buffers", "digits-replay", "biggan"]
REST = sorted({each.name for each in configurations("")} - set(ENGINE))


def check_moves(name: str, device: PretendedDevice, images: str) -> None:
    (experiment,) = configured(images, name)
    runs = on_cpu_and_device(experiment)
    for run in runs:
        play(run, device, two_rounds(experiment))
    expected, found = (run.meters.read() for run in runs)
    if name in OTHER_BITS:
        assert found == pytest.approx(expected, rel=0.01)
    else:
        assert found == expected and runs[0].digest() == runs[1].digest()


@pytest.mark.runs
@for_each("name", ENGINE)
def test_moves_are_those_of_the_cpu_and_wait_for_nothing(name: str, device: PretendedDevice, images: str) -> None:
    check_moves(name, device, images)


@pytest.mark.slow
@for_each("name", REST)
def test_so_are_those_of_all_other_configurations(name: str, device: PretendedDevice, images: str) -> None:
    check_moves(name, device, images)


RING = replace(ring_cts(), model=MLP(width=8, depth=2), batch_size=8, scheme=Nested(1, weights=Geometric(0.5)))
DIGITS = replace(digits_cts(), model=DCGAN(width=2, d_norm="layer"), batch_size=4, scheme=RING.scheme, threads=None)


def parts() -> Iterator[tuple[str, Experiment]]:
    """A small experiment with each registered part."""
    for name, loss in LOSSES.items():
        yield f"loss {name}", replace(RING, loss=loss)
    for name, regularizer in REGULARIZERS.items():
        yield f"regularizer {name}", replace(DIGITS, regularizer=regularizer)
    for name, normalization in NORMALIZATIONS.items():
        yield f"normalization {name}", replace(RING, normalization=normalization)
    for name, optimizer in OPTIMIZERS.items():
        yield f"optimizer {name}", replace(RING, d_optimizer=optimizer, g_optimizer=optimizer)
    for name, augmentation in AUGMENTATIONS.items():
        yield f"augmentation {name}", replace(DIGITS, augmentation=augmentation)
    often = Transforms(Scheduled(0.5), cutout=True)
    slowly = Transforms(Adaptive(every=2 * DIGITS.batch_size))
    yield "a probability that the second move changes", replace(DIGITS, augmentation=slowly)
    yield "changes of the data", replace(DIGITS, augmentation=often, flip=True, flip_vertical=True, translate=2)


@pytest.mark.runs
@for_each("name, experiment", list(parts()), ids=[name for name, _ in parts()])
def test_no_registered_part_waits_in_a_move(name: str, experiment: Experiment, device: PretendedDevice) -> None:
    run = Run(experiment, ranks=Ranks(device=THERE))
    play(run, device, two_rounds(experiment))
    assert run.meters.read() and run.is_finite()


@pytest.mark.slow
@for_each("name", list(CASES))
def test_no_family_of_networks_waits_in_a_move(name: str, device: PretendedDevice) -> None:
    case: Case = CASES[name][-1]
    if name == "projected" and weights_path() is None:
        pytest.skip("the projected discriminator's features are not installed")
    random, count = np.random.default_rng(0), 8
    samples = random.integers(0, 256, (count, *case.shape), np.uint8)
    if len(case.shape) == 1:
        samples = samples.astype(np.float32)
    labels = np.arange(count) % case.num_classes if case.num_classes else None
    dataset = Dataset(samples, labels, case.num_classes)
    pair = case.model.build(case.shape, case.num_classes)
    task = Denoising() if pair.denoises else Labelled() if case.num_classes else Unconditional()
    loss = PAIR_LOSSES["triplet"] if pair.compares_pairs else DIGITS.loss
    run = Run(replace(DIGITS, model=case.model, task=task, loss=loss), dataset, Ranks(device=THERE))
    play(run, device, two_rounds(run.experiment))
    assert run.is_finite()


@pytest.mark.runs
@for_each("name", ["labelled", "replay", "denoising", "digits-recomputed"])
def test_evaluations_draw_and_judge_as_on_the_cpu(name: str, device: PretendedDevice, images: str) -> None:
    (experiment,) = configured(images, name)
    runs, dataset = on_cpu_and_device(experiment), experiment.data.load()
    extractor = Pixels(4) if dataset.is_images else Points()
    evaluator = Evaluator(
        dataset, Records(evaluate_count=10, extractor=extractor), num_classes=runs[0].pair.num_classes
    )
    for run in runs:
        play(run, device, two_rounds(experiment))
    assert evaluator(runs[0]) == evaluator(runs[1])
    labels = [0, 1] if runs[0].pair.num_classes else None
    drawn = [run.sampler().sample(2, 1, labels=labels) for run in runs]
    assert torch.equal(*drawn) and drawn[1].device.type == "cpu"


@pytest.mark.runs
@for_each(
    "name",
    ["conjugate", "ragan", "lecam", "replay", "pool-annealed", "digits-ada", "digits-latent-consistent"],
)
def test_a_resumed_run_goes_on_as_if_never_stopped(name: str, device: PretendedDevice, images: str) -> None:
    (experiment,) = configured(images, name)
    whole, first, second = (Run(experiment, ranks=Ranks(device=THERE)) for _ in range(3))
    moves = len(list(experiment.scheme(0)))
    play(whole, device, moves)
    play(whole, device, moves)
    play(first, device, moves)
    second.load_state_dict(given_to_host(first.state_dict()))
    play(second, device, moves)
    assert second.digest() == whole.digest() and second.meters.read() == whole.meters.read()


def test_data_that_are_not_resident_are_copied_and_nothing_else(device: PretendedDevice, monkeypatch: Any) -> None:
    monkeypatch.setattr("ganneal.data.sampler.fits", lambda dataset, device: False)
    run = Run(RING, ranks=Ranks(device=THERE))
    with pytest.raises(Refused, match="copies between the host and the device"):
        play(run, device, 1)
    monkeypatch.setattr(Sampler, "_moved", device.allowed(Sampler._moved))
    play(run, device, 2)


@dataclass(frozen=True)
class Faulty(Regularizer):
    """A term that is 0, made by way of what a GPU would not have."""

    fault: Callable[[Tensor], object]

    def discriminator_term(self, context: Context, state: RegularizerState) -> Tensor:
        self.fault(context.real_logits)
        return context.real_logits.sum() * 0


FAULTS: dict[str, Callable[[Tensor], object]] = {
    "a value is read": lambda x: x.mean().item(),
    "a condition is read": lambda x: x.mean() if x.mean() > 0 else x.sum(),
    "a list is read": lambda x: x.tolist(),
    "what a mask chooses is counted": lambda x: x[x > 0],
    "places are counted": lambda x: x.nonzero(),
    "a tensor of the host is an operand": lambda x: x + torch.zeros(len(x)),
    "a tensor of the host is an index": lambda x: x[torch.arange(len(x))],
    "a tensor goes to the host": lambda x: x.cpu(),
    "a tensor comes from the host": lambda x: torch.zeros(len(x)).to(x.device),
    "a tensor of the host is written": lambda x: torch.zeros(len(x)).copy_(x.detach()),
    "numbers become a tensor": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "a number becomes a tensor": lambda x: torch.as_tensor(1.0, device=x.device) + x,
    "an array is made": lambda x: x.detach().numpy(),
}


@for_each("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_each_fault_is_refused_in_a_move(fault: Callable[[Tensor], object], device: PretendedDevice) -> None:
    experiment = replace(RING, regularizer=Faulty(fault))
    play(Run(experiment), device, 1)  # no fault on the CPU
    with pytest.raises(Refused):
        play(Run(experiment, ranks=Ranks(device=THERE)), device, 1)


def test_a_second_read_is_refused_where_one_is_allowed(device: PretendedDevice) -> None:
    there = torch.ones(2, device=THERE)
    with device.move(reads=1):
        assert there.sum().item() == 2.0
        with pytest.raises(Refused, match="waits for the device"):
            there.sum().item()
    assert there.tolist() == [1.0, 1.0]  # and nothing is between moves
