"""Two processes train as one does at the same batch: moves, schemes, losses and penalties that read a whole batch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from ganneal.augment import AUGMENTATIONS, Adaptive, Transforms
from ganneal.checks import check
from ganneal.data import Digits, Ring
from ganneal.engine import capture
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.engine.updates import averaged
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, MLP, DenoisingMLP, ModelPair
from ganneal.models.parts.batch_norm import batch_norms
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import CG, SGD, Adam, Averaging
from ganneal.ranks import Ranks
from ganneal.regularizers import REGULARIZERS, Dragan, GradientPenalty, LeCam
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.task import Denoising, Labelled
from ganneal.weights import Geometric

pytestmark = pytest.mark.usefixtures("one_thread")
BATCH, POOL = 16, 40
"""A pool that is no multiple of the batch."""
UPDATES = 4


def ring(**changes: Any) -> Experiment:
    """Points and perceptrons: no buffers."""
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=100),  # no multiple of the batch: some batches span two passes
        model=MLP(width=8, depth=2, latent_size=2),
        d_optimizer=SGD(lr=0.1),
        g_optimizer=SGD(lr=0.1),
        averaging=Averaging(half_life=64),
        batch_size=BATCH,
        budget=Budget(d_updates=UPDATES),
        records=Records(log_every=2 * BATCH),
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    """Images, and networks without batch norm."""
    model = DCGAN(width=4, latent_size=4, d_norm="none", g_norm="none")
    return ring(data=Digits(), model=model, **changes)


@dataclass(frozen=True)
class Forgetful:
    """Perceptrons whose discriminator drops out."""

    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        pair = MLP(width=8, depth=2).build(shape, num_classes)
        pair.discriminator = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.4), nn.Linear(8, 1), nn.Flatten(0))
        return pair


CFG = FunctionalGradient(steps=2, step_size=0.5, pool_size=POOL, epochs=2, weights=Geometric(1, 0.1))

CASES: dict[str, Experiment] = {
    "cts": ring(),
    "nats": ring(scheme=Nested(3, weights=Geometric(1, 0.01)), accumulate=2, g_batch_size=8),
    "adam": ring(d_optimizer=Adam(lr=1e-3), g_optimizer=Adam(lr=1e-3)),
    "cg": ring(d_optimizer=CG(lr=0.1, beta_scope="global"), g_optimizer=CG(lr=0.1, beta_scope="global")),
    "cfg-replay": ring(scheme=CFG, budget=Budget(d_updates=6)),
    "cfg-pool": ring(scheme=replace(CFG, fakes="pool"), budget=Budget(d_updates=6), task=Labelled(), accumulate=2),
    "cfg-augmented": digits(scheme=CFG, budget=Budget(d_updates=4), augmentation=AUGMENTATIONS["diffaugment"]),
    "ragan": ring(loss=LOSSES["ragan"]),
    "rahinge": ring(loss=LOSSES["rahinge"], accumulate=2),
    "wgan-gp": ring(regularizer=REGULARIZERS["wgan-gp"]),
    "r1-r2": ring(regularizer=REGULARIZERS["r1-r2"]),
    "max-gp": ring(regularizer=GradientPenalty(center=0.0, largest=True, coefficient=1.0)),
    "dragan": ring(regularizer=GradientPenalty(points=Dragan(), coefficient=1.0)),
    "lecam": ring(regularizer=LeCam(coefficient=1.0, decay=0.5, start=1)),
    "zcr": digits(regularizer=REGULARIZERS["zcr"]),
    "bcr": digits(regularizer=REGULARIZERS["bcr"]),
    "ver": ring(regularizer=REGULARIZERS["ver"]),
    "ada": digits(augmentation=Transforms(probability=Adaptive(target=-0.5, speed=64, every=16), cutout=True)),
    "spectral": digits(normalization=NORMALIZATIONS["spectral"]),
    "labelled": ring(task=Labelled(paired=False)),
    "denoising": ring(model=DenoisingMLP(width=8), task=Denoising(steps=2)),
    "dropout": ring(model=Forgetful()),
    "recorded": ring(scheme=Nested(3, weights=Geometric(1, 0.01)), accumulate=2, capture="compile"),
    "recorded-augmented": digits(augmentation=AUGMENTATIONS["diffaugment"], capture="compile"),
}


def end(run: Run, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What training came to."""
    watched = [{k: v for k, v in row.items() if not k.endswith("seconds") and k != "stopped"} for row in rows]
    state = {"regularizer": run.regularizer_state, "augmentation": run.augmentation_state}
    modules = [*run.modules, run.average]
    return state | {"rows": watched, "weights": [module.state_dict() for module in modules], "digest": run.digest()}


def trained(experiment: Experiment, ranks: Ranks) -> dict[str, Any]:
    run = Run(experiment, ranks=ranks)
    return end(run, list(engine.training_rows(run)))


def stopped_after(experiment: Experiment, moves: int, ranks: Ranks) -> dict[str, Any]:
    """The state to save after so many steps."""
    run, left = Run(experiment, ranks=ranks), iter(range(moves))
    list(engine.training_rows(run, lambda: next(left, None) is None))
    run.meters.gather(ranks)
    return run.state_dict()


def resumed(experiment: Experiment, state: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    run = Run(experiment, ranks=ranks)
    run.load_state_dict(state)
    return end(run, list(engine.training_rows(run)))


MOVING = ("nats", "cfg-pool", "lecam")
"""Cases that change their number of processes on the way."""
NORMED = ring(data=Digits(), model=DCGAN(width=4, latent_size=4))
"""With batch norm in both players."""


def on_rank(rank: int, folder: str, names: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    capture.COMPILE = {"backend": "eager"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    ranks = Ranks(rank, 2, torch.device("cpu"))
    found: dict[str, Any] = {name: trained(CASES[name], ranks) for name in names}
    for name in (name for name in MOVING if name in names):
        one = torch.load(f"{folder}/{name}.pt")
        found[f"{name}, one then two"] = resumed(CASES[name], one, ranks)
        found[f"{name}, two"] = stopped_after(CASES[name], 5, ranks)
    if names == tuple(CASES):
        found["normed"] = trained(NORMED, ranks)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def both(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two processes came to in the cases of ``names``."""
    for name in (name for name in MOVING if name in names):
        torch.save(stopped_after(CASES[name], 5, Ranks()), folder / f"{name}.pt")
    mp.spawn(on_rank, (str(folder), names), nprocs=2)  # type: ignore[attr-defined]
    first, second = (torch.load(folder / f"{rank}.pt") for rank in (0, 1))
    return first, second


def assert_equal_runs(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found["rows"]
    for key in ("weights", "regularizer", "augmentation"):
        torch.testing.assert_close(found[key], wanted[key], rtol=1e-5, atol=1e-6)
    for row, expected in zip(reversed(found["rows"]), reversed(wanted["rows"]), strict=False):  # resumed: the last ones
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.runs
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    experiment = CASES["ragan"]
    one = trained(experiment, Ranks())
    first, second = both(tmp_path, ("ragan",))
    assert_equal_runs(first["ragan"], one)
    assert first["ragan"]["digest"] == second["ragan"]["digest"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    return both(tmp_path_factory.mktemp("ranks"), tuple(CASES))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_part_is_the_same_on_two_processes(name: str, pairs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = pairs
    one = trained(replace(CASES[name], capture="none"), Ranks())
    assert first[name]["digest"] == second[name]["digest"] and len(first[name]["rows"]) == len(one["rows"])
    assert_equal_runs(first[name], one)


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVING)
def test_a_run_may_change_its_number_of_processes(name: str, pairs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    unbroken = trained(CASES[name], Ranks())
    assert_equal_runs(pairs[0][f"{name}, one then two"], unbroken)
    assert_equal_runs(resumed(CASES[name], pairs[0][f"{name}, two"], Ranks()), unbroken)


@pytest.mark.slow
def test_batch_norm_keeps_the_same_statistics_on_every_process(pairs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = pairs
    assert first["normed"]["digest"] == second["normed"]["digest"]


@pytest.mark.parametrize("changes", [dict(batch_size=15), dict(g_batch_size=6, accumulate=2)])
def test_a_batch_that_processes_cannot_share_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must be a multiple of accumulate x devices x nodes|multiple of accumulate"):
        check(ring(devices=2, nodes=2, **changes))


def test_a_pool_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="pool-size 38"):
        check(ring(devices=2, scheme=replace(CFG, pool_size=39)))


def test_recorded_dropout_is_refused_where_processes_would_share_its_masks() -> None:
    experiment = ring(model=Forgetful(), capture="compile")
    with pytest.raises(ValueError, match=r"cannot record a layer that draws random numbers, got Dropout\(p=0.4"):
        Run(replace(experiment, devices=2), ranks=Ranks(0, 2, torch.device("cpu")))


class BesideZeros(Ranks):
    """The first of two ranks; the other has zeros only."""

    def average_(self, x: Tensor) -> Tensor:
        return x.div_(2)


def test_averages_keep_the_memory_order_of_the_weights_and_statistics_go_with_them() -> None:
    run = Run(ring(data=Digits(), model=DCGAN(width=4, latent_size=4)), ranks=BesideZeros(0, 2, torch.device("cpu")))
    weights = run.d_parameters
    assert any(not weight.is_contiguous() for weight in weights)
    given = [torch.randn(weight.shape) for weight in weights]  # in another memory order than the weights
    statistics = [norm.get_buffer("running_var") for norm in batch_norms(run.discriminator)]
    before = [each.clone() for each in statistics]
    averages = averaged([None, *given[1:]], weights, run)
    assert averages[0] is None
    for weight, gradient, average in zip(weights[1:], given[1:], averages[1:], strict=True):
        assert average is not None and average.stride() == weight.stride()
        torch.testing.assert_close(average, gradient / 2, rtol=0, atol=0)
    assert statistics and all(torch.equal(now, then / 2) for now, then in zip(statistics, before, strict=True))


def test_samples_are_dealt_chunk_by_chunk() -> None:
    dealt: Tensor = Ranks(0, 2).dealt(10, 4)
    assert dealt.tolist() == [[0, 1, 4, 5, 8], [2, 3, 6, 7, 9]]
