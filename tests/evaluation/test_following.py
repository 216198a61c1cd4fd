"""Evaluations of a run: when they come, what they keep, what they do about a collapse; the bits of training stay."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

import ganneal
from ganneal.data import Digits, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.evaluation.suited import SELECTION_SEED
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics import kernel_distance
from ganneal.metrics.extractors import Pixels, Random
from ganneal.models import DCGAN, MLP, ModelPair
from ganneal.models.protocol import Normal
from ganneal.optim import Adam, Averaging
from ganneal.regularizers import Context, Regularizer
from ganneal.regularizers.protocol import RegularizerState
from ganneal.schemes import Nested
from ganneal.stop import Row, TrainingStopped
from ganneal.storage.run_directory import RunDirectory
from ganneal.task import Labelled
from ganneal.training import evaluations as following
from ganneal.training.display import Display
from ganneal.training.evaluations import Evaluations
from ganneal.training.evaluator import Evaluator
from ganneal.training.interruption import Interrupted
from ganneal.weights import Geometric

BATCH = 16
EVERY = 2 * BATCH
"""Real images between rows, and between evaluations."""
STEPS = 28
"""Three rounds of three discriminator and six generator updates, and a tenth discriminator update."""
pytestmark = pytest.mark.usefixtures("empty_pictures")
TIMES = frozenset({"seconds", "cpu_seconds", "evaluating_seconds", "evaluation_cost"})


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Remembering(Regularizer):
    """A regularizer that adds nothing but counts its calls in its state."""

    def init_state(self) -> RegularizerState:
        return {"calls": torch.zeros(())}

    def discriminator_term(self, context: Context, state: RegularizerState) -> None:
        state["calls"] += 1


def ring(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=200),
        model=MLP(width=8, depth=2, latent_size=2),
        scheme=Nested(levels=3, weights=Geometric()),
        regularizer=Remembering(),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        averaging=Averaging(half_life=64),
        batch_size=BATCH,
        budget=Budget(num_real=10 * BATCH),
        records=Records(
            log_every=EVERY,
            sample_every=10**9,
            sample_count=4,
            evaluate_every=EVERY,
            evaluate_count=40,
            evaluate_share=1.0,
            checkpoint_seconds=1e9,
            tensorboard=False,
        ),
        threads=1,
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    return replace(ring(name="digits", data=Digits(), model=DCGAN(width=4, latent_size=4)), **changes)


def recording(experiment: Experiment, **changes: Any) -> Experiment:
    return replace(experiment, records=replace(experiment.records, **changes))


def until(experiment: Experiment, num_real: int) -> Experiment:
    return replace(experiment, budget=Budget(num_real=num_real))


def lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines without the time things took."""
    read = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in row.items() if key not in TIMES} for row in read]


def rows(out: Path) -> list[dict[str, Any]]:
    return lines(out / "metrics.jsonl")


def verdicts(out: Path) -> list[tuple[int, str, str]]:
    return [(row["num_real"], row["name"], row["severity"]) for row in lines(out / "health.jsonl")]


def weights(folder: Path) -> dict[str, Tensor]:
    names = ("generator", "generator-raw", "discriminator")
    return {f"{n} {k}": v for n in names for k, v in load_file(folder / f"{n}.safetensors").items()}


def same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text())


Course = Mapping[int, Row]
Script = Callable[[Course], list[int]]


@pytest.fixture(autouse=True)
def judged_from_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs end before a health rule would otherwise begin to speak of variety."""
    monkeypatch.setattr("ganneal.evaluation.health.BEGUN", 0)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Let evaluations find what is written down for their place on the clock; gives the places they come to."""

    def arrange(course: Course) -> list[int]:
        places: list[int] = []

        def measure(self: Evaluator, run: Run) -> Row:
            places.append(run.counters.num_real)
            return dict(course[run.counters.num_real])

        monkeypatch.setattr(Evaluator, "__call__", measure)
        return places

    return arrange


def found(distance: float, coverage: float = 0.8, duplicates: float = 0.01) -> Row:
    return {"FD-points": distance, "coverage": coverage, "duplicates": duplicates, "d_accuracy": 0.6}


class Killed(BaseException):
    """The process is gone: nothing is saved any more."""


EndAt = Callable[[int, str], None]


@pytest.fixture
def end_at(monkeypatch: pytest.MonkeyPatch) -> EndAt:
    """End training before the n-th step from now: by a kill, or by a signal that lets it save."""
    make = engine.apply

    def arrange(steps: int, how: str) -> None:
        made = 0

        def apply(step: Any, run: Run) -> None:
            nonlocal made
            if made == steps and how == "kill":
                raise Killed
            made += 1
            make(step, run)
            if made == steps and how == "signal":
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(engine, "apply", apply)

    return arrange


def ended(experiment: Experiment, out: Path, end_at: EndAt, *ends: tuple[int, str]) -> Run:
    """Train to each end in turn, and then on to the budget's."""
    for steps, how in ends:
        end_at(steps, how)
        with pytest.raises(Interrupted if how == "signal" else Killed):
            ganneal.train(experiment, out)
    end_at(10**9, "kill")
    return ganneal.train(experiment, out)


def slow_but_for(saved: int, killed: int, *fast: tuple[int, int]) -> Any:
    return pytest.param(saved, killed, marks=[] if (saved, killed) in fast else pytest.mark.slow)


Undisturbed = Callable[[str, Experiment], tuple[str, Path]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Digest and directory of a run left alone, trained by the first test that asks for it, under its script."""
    made: dict[str, tuple[str, Path]] = {}

    def train(name: str, experiment: Experiment) -> tuple[str, Path]:
        if name not in made:
            out = tmp_path_factory.mktemp("undisturbed") / "whole"
            made[name] = ganneal.train(experiment, out).digest(), out
        return made[name]

    return train


def same_outcome(left: Path, right: Path) -> None:
    """All that two finished runs leave behind is the same, to the bit, but for the time it took."""
    assert rows(left) == rows(right)
    assert lines(left / "health.jsonl") == lines(right / "health.jsonl")
    for name in ("best", "final"):
        assert same_bits(weights(left / name), weights(right / name)), name
        cards = [card(out / name) for out in (left, right)]
        assert cards[0]["measured"] == cards[1]["measured"]
        assert cards[0]["counters"]["num_real"] == cards[1]["counters"]["num_real"]


# Training's bits


class Restless(nn.Module):
    """Dropout, spectral norm, and a statistic that each pass replaces by a new tensor."""

    level: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(dim, 8)), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.register_buffer("level", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x).squeeze(1)
        if self.training:
            self.level = 0.9 * self.level + 0.1 * out.detach().mean()
        return out - self.level


@dataclass(frozen=True)
class RestlessModel:
    """Players with every kind of state, drawing from torch's global generator while they train."""

    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        layers = (nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, shape[0]))
        return ModelPair(nn.Sequential(*layers), Restless(shape[0]), Normal(2), shape)


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "points": ring,
    "images": lambda: until(digits(), 4 * BATCH),
    "classes": lambda: ring(task=Labelled()),
    "bf16": lambda: until(digits(precision="bf16"), 4 * BATCH),
    "dropout": lambda: ring(model=RestlessModel()),
}
OFTEN = {"evaluate_every": BATCH, "log_every": BATCH}
WATCHED: dict[str, dict[str, Any]] = {
    "start and end": {"evaluate_every": 0},
    "every row": OFTEN,
    "many samples": OFTEN | {"evaluate_count": 300},
    "held out": OFTEN | {"held_out": "other"},
    "ready to go back": OFTEN | {"on_collapse": "rollback", "checkpoint_seconds": 0.0},
    "a network": OFTEN | {"extractor": Random(width=4)},
    "pixels": OFTEN | {"extractor": Pixels(4)},
}


def generators() -> tuple[bytes, Any]:
    """The state of torch's and NumPy's global generators; Python's is drawn from by the tests' own type checker."""
    kind, keys, *rest = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), (kind, np.asarray(keys).tobytes(), rest)


def trained_from_a_known_state(experiment: Experiment, out: Path) -> tuple[str, dict[str, Any], Any]:
    torch.manual_seed(5)
    np.random.seed(5)
    run = ganneal.train(experiment, out)
    state = run.state_dict()
    for timing in ("meters", "round_steps", "logged_at"):
        del state[timing]
    for timing in ("seconds", "cpu_seconds"):
        del state["counters"][timing]
    return run.digest(), state, generators()


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


COVERING = {
    "points": {"start and end", "ready to go back"},
    "images": {"a network", "pixels"},
    "classes": {"held out"},
    "bf16": {"every row"},
    "dropout": {"every row", "many samples", "ready to go back"},
}
"""Every setting and every experiment; the other pairs are slow. Dropout draws from the global generator."""
PAIRS = [
    pytest.param(name, kind, marks=[] if kind in COVERING[name] else pytest.mark.slow)
    for name in EXPERIMENTS
    for kind, changes in WATCHED.items()
    if "extractor" not in changes or name in ("images", "bf16")
]


@pytest.fixture(scope="module")
def trained_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, dict[str, Any], Any]]:
    @cache
    def train(name: str) -> tuple[str, dict[str, Any], Any]:
        experiment = recording(EXPERIMENTS[name](), evaluate_count=0)
        return trained_from_a_known_state(experiment, tmp_path_factory.mktemp("alone") / "run")

    return train


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_no_setting_of_evaluations_changes_a_bit_of_training(
    name: str, kind: str, trained_alone: Callable[[str], tuple[str, dict[str, Any], Any]], tmp_path: Path
) -> None:
    experiment, changes, alone = EXPERIMENTS[name](), WATCHED[kind], trained_alone(name)
    if "held_out" in changes:
        changes = changes | {"held_out": replace(experiment.data, **_other(experiment.data))}  # pyright: ignore[reportArgumentType]
    watched = trained_from_a_known_state(recording(experiment, **changes), tmp_path)
    assert watched[0] == alone[0]
    assert equal(watched[1:], alone[1:])
    assert sum("d_accuracy" in row for row in rows(tmp_path)) >= 2


def _other(data: Any) -> dict[str, Any]:
    return {"seed": 1} if isinstance(data, Ring) else {}


# When


def test_evaluations_come_at_the_first_row_after_so_many_images_and_at_both_ends(tmp_path: Path) -> None:
    experiment = recording(ring(), log_every=BATCH, evaluate_every=40)
    ganneal.train(experiment, tmp_path)
    evaluated = [row["num_real"] for row in rows(tmp_path) if "FD-points" in row]
    assert evaluated == [0, 48, 80, 128, 160]  # 40, 80 and 120 are reached at 48, 80 and 128; 160 is the end


@pytest.mark.parametrize(("every", "share"), [(0, 1.0), (BATCH, 1e-12)])
def test_the_start_and_the_end_are_evaluated_whatever_it_costs(every: int, share: float, tmp_path: Path) -> None:
    ganneal.train(recording(ring(), evaluate_every=every, evaluate_share=share), tmp_path)
    assert [row["num_real"] for row in rows(tmp_path) if "FD-points" in row] == [0, 160]


@dataclass
class FakeTime:
    """A run of rows a second apart, whose evaluations take as long as is written down."""

    run: Run
    directory: RunDirectory
    costs: list[float]
    now: float = 0.0

    def evaluations(self) -> Evaluations:
        return Evaluations(self.run, self.directory, Display(shown=False))

    def measure(self, evaluator: Evaluator, run: Run) -> Row:
        self.now += self.costs[run.counters.num_real // BATCH % len(self.costs)]
        return {"d_accuracy": 0.5}

    def rows(self, evaluations: Evaluations, count: int) -> list[Row]:
        made = []
        for _ in range(count):
            self.run.counters.num_real += BATCH
            self.run.counters.seconds += 1.0
            made.append(self.run.counters.as_dict())
            assert evaluations.follow(made[-1]) is None
        return made


@pytest.fixture
def fake_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTime]:
    def arrange(costs: list[float], **changes: Any) -> FakeTime:
        made = FakeTime(Run(recording(ring(), **changes)), RunDirectory(tmp_path), costs)
        monkeypatch.setattr(Evaluator, "__call__", lambda evaluator, run: made.measure(evaluator, run))
        monkeypatch.setattr(following, "perf_counter", lambda: made.now)
        return made

    return arrange


HOWEVER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
COSTS = st.lists(st.floats(0.01, 20), min_size=1, max_size=5)
SHARES = st.sampled_from([0.02, 0.1, 0.5, 1.0])


@HOWEVER
@given(cost=st.floats(0.01, 20), share=SHARES, batches=st.integers(1, 4))
def test_evaluations_of_equal_length_never_take_more_than_their_share(
    fake_time: Callable[..., FakeTime], cost: float, share: float, batches: int
) -> None:
    time = fake_time([cost], evaluate_share=share, evaluate_every=batches * BATCH)
    evaluations = time.evaluations()
    evaluations.measure()  # at the start, which is not counted but tells how long one takes
    for row in time.rows(evaluations, 60):
        if (spent := row.get("evaluating_seconds")) is not None:
            assert spent <= share * (row["seconds"] + spent) * (1 + 1e-12)


@HOWEVER
@given(costs=COSTS, share=SHARES, batches=st.integers(0, 4))
def test_an_evaluation_comes_at_the_first_row_where_it_is_due_and_can_be_afforded(
    fake_time: Callable[..., FakeTime], costs: list[float], share: float, batches: int
) -> None:
    time = fake_time(costs, evaluate_share=share, evaluate_every=batches * BATCH)
    spent, last, since = 0.0, 0.0, 0
    for number, row in enumerate(time.rows(time.evaluations(), 60), start=1):
        due = batches > 0 and number // batches > since // batches
        total = spent + last  # one costs what the last one did, as far as can be known
        affordable = total <= share * (row["seconds"] + total)
        assert ("d_accuracy" in row) == (due and affordable)
        if "d_accuracy" in row:
            spent, last, since = row["evaluating_seconds"], row["evaluating_seconds"] - spent, number


@pytest.mark.runs
@HOWEVER
@given(costs=COSTS, share=SHARES, cut=st.integers(0, 39))
def test_a_resumed_run_is_evaluated_when_the_undisturbed_one_is(
    fake_time: Callable[..., FakeTime], costs: list[float], share: float, cut: int
) -> None:
    whole = fake_time(costs, evaluate_share=share)
    expected = whole.rows(whole.evaluations(), 40)
    resumed = fake_time(costs, evaluate_share=share)
    before = resumed.rows(resumed.evaluations(), cut)
    after = resumed.evaluations()
    after.recall(before, None)
    got = before + resumed.rows(after, 40 - cut)
    assert [row["num_real"] for row in got if "d_accuracy" in row] == [
        row["num_real"] for row in expected if "d_accuracy" in row
    ]


def test_the_time_of_evaluations_is_logged_and_is_no_time_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(following, "perf_counter", lambda: float(next(clock)))
    run = ganneal.train(ring(), tmp_path)
    read = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row.get("evaluating_seconds") for row in read] == [None, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]
    assert run.counters.seconds < 100


# What is kept


UPS_AND_DOWNS = {
    0: found(1.0),  # of the untrained generator: it is no weights to keep
    32: found(5.0),
    64: found(3.0),
    96: found(4.0),
    128: found(3.0),  # as good, and later
    160: found(3.5),
}


def test_best_holds_the_weights_of_the_first_of_the_best_evaluations(tmp_path: Path, script: Script) -> None:
    script(UPS_AND_DOWNS)
    ganneal.train(ring(), tmp_path / "run")
    ganneal.train(until(ring(), 64), tmp_path / "shorter")
    assert same_bits(weights(tmp_path / "run/best"), weights(tmp_path / "shorter/final"))
    assert not same_bits(weights(tmp_path / "run/best"), weights(tmp_path / "run/final"))
    assert card(tmp_path / "run/best")["measured"] == {"FD-points": 3.0}
    assert card(tmp_path / "run/best")["counters"]["num_real"] == 64


def test_the_best_weights_give_again_what_was_measured_of_them(tmp_path: Path) -> None:
    run = ganneal.train(digits(), tmp_path)
    column = next(name for name in rows(tmp_path)[0] if name.startswith("FD-"))
    values = {row["num_real"]: row[column] for row in rows(tmp_path) if row["num_real"]}
    best = ganneal.load(tmp_path, checkpoint="best")
    assert best.card["measured"] == {column: min(values.values())}
    evaluator = Evaluator(run.data.dataset, run.experiment.records)
    assert evaluator.distance(best, SELECTION_SEED) == min(values.values())


def test_the_best_and_the_last_weights_are_loaded_by_name(tmp_path: Path, script: Script) -> None:
    script(UPS_AND_DOWNS)
    run = ganneal.train(ring(), tmp_path)
    best, last = ganneal.load(tmp_path, checkpoint="best"), ganneal.load(tmp_path, checkpoint="last")
    assert (best.card["counters"]["num_real"], last.card["counters"]["num_real"]) == (64, 160)
    assert torch.equal(last.sample(5), run.sampler().sample(5)) and torch.equal(
        ganneal.load(tmp_path).sample(5), last.sample(5)
    )
    assert not torch.equal(best.sample(5), last.sample(5))


def test_weights_that_were_not_kept_cannot_be_loaded(tmp_path: Path) -> None:
    ganneal.train(recording(ring(), evaluate_count=0), tmp_path)
    assert not (tmp_path / "best").exists()
    with pytest.raises(FileNotFoundError, match=r"no best weights at .*best; a run that evaluates"):
        ganneal.load(tmp_path, checkpoint="best")


def test_too_few_samples_for_a_distance_leave_the_other_columns_and_no_best(tmp_path: Path) -> None:
    ganneal.train(recording(ring(), evaluate_count=1), tmp_path)
    evaluated = [row for row in rows(tmp_path) if "d_accuracy" in row]
    assert len(evaluated) == 6 and not any(key.endswith("-points") for row in evaluated for key in row)
    assert not (tmp_path / "best").exists()


def test_too_few_samples_for_a_covariance_are_followed_by_the_kernel_distance(tmp_path: Path) -> None:
    experiment = ring()
    ganneal.train(recording(experiment, evaluate_count=2), tmp_path)
    evaluated = [row for row in rows(tmp_path) if "d_accuracy" in row]
    assert all("KD-points" in row and "FD-points" not in row for row in evaluated)
    real, fake = experiment.data.load(), ganneal.load(tmp_path, checkpoint="best").sample(2, SELECTION_SEED)
    best = min(row["KD-points"] for row in evaluated if row["num_real"])
    assert kernel_distance(torch.from_numpy(real.samples), fake).value == pytest.approx(best)


def test_an_evaluation_of_samples_that_are_no_numbers_finds_nothing_and_is_not_repeated(
    tmp_path: Path, script: Script
) -> None:
    places = script(UPS_AND_DOWNS | {64: {}, 96: {}})
    ganneal.train(ring(), tmp_path)
    assert places == [0, 32, 64, 96, 128, 160]
    assert [row["num_real"] for row in rows(tmp_path) if "FD-points" in row] == [0, 32, 128, 160]
    assert card(tmp_path / "best")["counters"]["num_real"] == 128


def test_players_that_draw_from_the_global_generator_are_fixed_by_the_seed_too(tmp_path: Path, end_at: EndAt) -> None:
    experiment = ring(model=RestlessModel())
    torch.manual_seed(1)
    whole = ganneal.train(experiment, tmp_path / "whole")
    torch.manual_seed(2)
    resumed = ended(experiment, tmp_path / "resumed", end_at, (11, "signal"), (9, "kill"))
    assert resumed.digest() == whole.digest()
    same_outcome(tmp_path / "resumed", tmp_path / "whole")


@pytest.mark.runs
@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(((9, "kill"),), marks=pytest.mark.slow),
        pytest.param(((14, "signal"),), marks=pytest.mark.slow),
        ((13, "signal"), (2, "kill"), (10, "kill")),
    ],
)
def test_best_weights_rows_and_verdicts_are_those_of_an_undisturbed_run(
    ends: tuple[tuple[int, str], ...], tmp_path: Path, undisturbed: Undisturbed, end_at: EndAt
) -> None:
    digest, whole = undisturbed("digits", digits())
    assert ended(digits(), tmp_path, end_at, *ends).digest() == digest
    same_outcome(tmp_path, whole)


def test_a_better_evaluation_than_before_a_larger_budget_is_kept_and_a_worse_one_is_not(
    tmp_path: Path, script: Script
) -> None:
    script(UPS_AND_DOWNS)
    for budget, kept in ((32, 32), (96, 64), (160, 64)):
        ganneal.train(until(ring(), budget), tmp_path)
        assert card(tmp_path / "best")["counters"]["num_real"] == kept


# Verdicts


SICK = {
    0: found(9.0, coverage=0.5, duplicates=1.0),
    32: found(5.0),
    64: found(6.0, coverage=0.2),
    96: found(6.0, coverage=0.2, duplicates=0.5),
    128: found(6.0, coverage=0.7, duplicates=0.5),
    160: found(6.0, coverage=0.01, duplicates=0.02),
}
TOLD = [
    (64, "mode-loss", "warning"),
    (96, "duplicates", "warning"),
    (128, "mode-loss", "good"),
    (160, "mode-loss", "alarm"),
    (160, "duplicates", "good"),
]


def test_verdicts_are_written_once_with_their_place_and_figure(tmp_path: Path, script: Script) -> None:
    script(SICK)
    ganneal.train(ring(), tmp_path)
    assert verdicts(tmp_path) == TOLD
    first = json.loads((tmp_path / "health.jsonl").read_text().splitlines()[0])
    assert first["figure"] == 0.2 and "0.80 to 0.20" in first["text"] and first["seconds"] > 0


def test_a_healthy_run_leaves_no_file_of_verdicts(tmp_path: Path, script: Script) -> None:
    script(UPS_AND_DOWNS)
    ganneal.train(ring(), tmp_path)
    assert not (tmp_path / "health.jsonl").exists()


@pytest.mark.parametrize(
    ("saved", "killed"),
    [slow_but_for(saved, killed, (3, 12), (12, 6), (24, 12)) for saved in (3, 12, 17, 24) for killed in (1, 6, 12)],
)
def test_verdicts_on_rows_that_were_lost_are_lost_too_and_given_again(
    saved: int, killed: int, tmp_path: Path, script: Script, undisturbed: Undisturbed, end_at: EndAt
) -> None:
    script(SICK)
    digest, whole = undisturbed("sick", ring())
    kills = [(killed, "kill")] if saved + killed < STEPS else []
    assert ended(ring(), tmp_path, end_at, (saved, "signal"), *kills).digest() == digest
    same_outcome(tmp_path, whole)


def test_verdicts_of_a_run_killed_before_its_first_checkpoint_are_lost_with_it(
    tmp_path: Path, script: Script, end_at: EndAt
) -> None:
    script(SICK)
    ended(ring(), tmp_path, end_at, (22, "kill"), (27, "kill"))
    assert verdicts(tmp_path) == TOLD


def test_a_verdict_that_was_cut_off_while_it_was_written_is_dropped(
    tmp_path: Path, script: Script, end_at: EndAt
) -> None:
    script(SICK)
    ganneal.train(until(ring(), 96), tmp_path)
    with open(tmp_path / "health.jsonl", "a") as file:
        file.write('{"num_real": 96, "na')
    ganneal.train(until(ring(), 128), tmp_path)
    ganneal.train(ring(), tmp_path)
    assert verdicts(tmp_path) == TOLD


def test_a_verdict_on_the_last_row_is_lost_with_it_though_the_row_before_has_its_number_of_images(
    tmp_path: Path, script: Script, end_at: EndAt
) -> None:
    # The row at 32 images, saved; then a generator update; then the row of the reached budget, killed before saving.
    script(SICK | {32: found(5.0, duplicates=0.5)})
    experiment = replace(recording(ring(), checkpoint_seconds=0.0, evaluate_every=0), budget=Budget(g_updates=2))
    save = RunDirectory.save_checkpoint

    def only_rows(self: RunDirectory, state: Any, identity: Any, best_state: Any = None) -> Path:
        if state["counters"]["g_updates"] == 2:
            raise Killed
        return save(self, state, identity, best_state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "save_checkpoint", only_rows)
        with pytest.raises(Killed):
            ganneal.train(experiment, tmp_path)
    assert verdicts(tmp_path) == [(32, "duplicates", "warning")]
    ganneal.train(experiment, tmp_path)
    assert [(row["num_real"], row["g_updates"]) for row in rows(tmp_path)] == [(0, 0), (32, 1), (32, 2)]
    assert verdicts(tmp_path) == [(32, "duplicates", "warning")]


# A collapse


COLLAPSE = {
    0: found(9.0, coverage=0.5, duplicates=1.0),
    32: found(5.0),
    64: found(7.0, coverage=0.01),  # back to 32
    96: found(3.0),
    128: found(6.0, duplicates=0.9),  # back to 96
    160: found(4.0),
}


def test_a_collapse_is_only_told_by_default(tmp_path: Path, script: Script) -> None:
    script(COLLAPSE)
    run = ganneal.train(ring(), tmp_path / "told")
    assert run.digest() == ganneal.train(recording(ring(), evaluate_count=0), tmp_path / "alone").digest()
    assert not any("rollbacks" in row for row in rows(tmp_path / "told"))
    content = RunDirectory(tmp_path / "told").load_checkpoint()
    assert content is not None and content["best_state"] is None  # it would double the checkpoint for nothing


def test_a_collapse_stops_the_run_by_choice_and_its_state_is_saved(tmp_path: Path, script: Script) -> None:
    script(COLLAPSE)
    experiment = recording(ring(), on_collapse="stop")
    with pytest.raises(TrainingStopped, match=r"collapsed onto few of them.*on-collapse stop.*The state is saved"):
        ganneal.train(experiment, tmp_path / "run")
    assert rows(tmp_path / "run")[-1]["num_real"] == 64 and not (tmp_path / "run/final").exists()
    content = RunDirectory(tmp_path / "run").load_checkpoint()
    assert content is not None
    saved = Run(experiment)
    saved.load_state_dict(content["state"])
    assert saved.digest() == ganneal.train(until(ring(), 64), tmp_path / "shorter").digest()
    assert card(tmp_path / "run/best")["counters"]["num_real"] == 32


def test_a_warning_stops_nothing(tmp_path: Path, script: Script) -> None:
    script(SICK | {160: found(6.0)})
    for action in ("stop", "rollback"):
        run = ganneal.train(recording(ring(), on_collapse=action), tmp_path / action)
        assert run.counters.num_real == 160 and not any("rollbacks" in row for row in rows(tmp_path / action))


def test_a_stopped_run_goes_on_when_told_so_again_and_stops_where_it_is_still_collapsed(
    tmp_path: Path, script: Script
) -> None:
    places = script(COLLAPSE | {96: found(8.0, coverage=0.02)})
    experiment = recording(ring(), on_collapse="stop")
    for place in (64, 96, 128):
        with pytest.raises(TrainingStopped):
            ganneal.train(experiment, tmp_path)
        assert places[-1] == place
    ganneal.train(experiment, tmp_path)
    assert places[-1] == 160 and (tmp_path / "final").exists()


def test_a_rollback_takes_players_optimizers_and_regularizer_back_and_nothing_else(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(COLLAPSE)
    shorter = ganneal.train(until(ring(), 32), tmp_path / "shorter").state_dict()
    seen: list[tuple[dict[str, Any], dict[str, Any]]] = []
    roll_back = Run.roll_back

    def watched(run: Run, state: dict[str, Any]) -> None:
        before = _copied(run.state_dict())
        roll_back(run, state)
        seen.append((before, _copied(run.state_dict())))

    monkeypatch.setattr(Run, "roll_back", watched)
    ganneal.train(recording(ring(), on_collapse="rollback"), tmp_path / "run")
    (before, after), _ = seen
    taken = ("generator", "discriminator", "average", "d_optimizer", "g_optimizer", "regularizer")
    for key in after:
        assert equal(after[key], (shorter if key in taken else before)[key]), key
    for key in taken:
        assert not equal(before[key], after[key]), key
    assert after["counters"]["num_real"] == 64 and after["regularizer"]["calls"] == 2


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_copied(value) for value in state)  # type: ignore[return-value]
    return state.clone() if isinstance(state, Tensor) else state


def test_rollbacks_are_counted_in_the_rows_and_change_the_run(tmp_path: Path, script: Script) -> None:
    script(COLLAPSE)
    run = ganneal.train(recording(ring(), on_collapse="rollback"), tmp_path / "run")
    assert {row["num_real"]: row["rollbacks"] for row in rows(tmp_path / "run") if "rollbacks" in row} == {
        64: 1,
        128: 2,
    }
    assert run.digest() != ganneal.train(ring(), tmp_path / "told").digest()
    assert verdicts(tmp_path / "run") == verdicts(tmp_path / "told")


def test_a_run_that_keeps_collapsing_goes_back_three_times_and_then_stops(tmp_path: Path, script: Script) -> None:
    collapsed = dict.fromkeys(range(64, 321, 32), found(7.0, coverage=0.01))
    places = script({0: found(9.0), 32: found(5.0)} | collapsed)
    experiment = until(recording(ring(), on_collapse="rollback"), 320)
    with pytest.raises(TrainingStopped, match=r"collapsed after 3 rollbacks.*The state is saved"):
        ganneal.train(experiment, tmp_path)
    assert places == [0, 32, 64, 96, 128, 160]
    assert [row["rollbacks"] for row in rows(tmp_path) if "rollbacks" in row] == [1, 2, 3]
    assert verdicts(tmp_path) == [(64, "mode-loss", "alarm")]


def test_rollbacks_before_a_pause_count(tmp_path: Path, script: Script, end_at: EndAt) -> None:
    collapsed = dict.fromkeys(range(64, 321, 32), found(7.0, coverage=0.01))
    script({0: found(9.0), 32: found(5.0)} | collapsed)
    experiment = until(recording(ring(), on_collapse="rollback"), 320)
    with pytest.raises(TrainingStopped, match="after 3 rollbacks"):
        ended(experiment, tmp_path, end_at, (17, "signal"), (5, "kill"), (9, "signal"))
    assert [row["rollbacks"] for row in rows(tmp_path) if "rollbacks" in row] == [1, 2, 3]


def test_without_best_weights_a_collapse_ends_the_run(tmp_path: Path, script: Script) -> None:
    bare = {place: {"coverage": row["coverage"]} for place, row in COLLAPSE.items()}
    script(bare)
    with pytest.raises(TrainingStopped, match="collapsed with no best weights to go back to"):
        ganneal.train(recording(ring(), on_collapse="rollback"), tmp_path)


def test_best_weights_of_another_distance_are_not_gone_back_to(tmp_path: Path, script: Script) -> None:
    experiment = recording(ring(), on_collapse="rollback")
    script(COLLAPSE)
    ganneal.train(until(experiment, 32), tmp_path)
    content = RunDirectory(tmp_path).load_checkpoint()
    assert content is not None and content["best_state"] is not None
    script({place: {"coverage": row["coverage"]} for place, row in COLLAPSE.items()})
    rest = "".join(line for line in (tmp_path / "metrics.jsonl").read_text().replace("FD-points", "FD-others"))
    (tmp_path / "metrics.jsonl").write_text(rest)
    with pytest.raises(TrainingStopped, match="with no best weights to go back to"):
        ganneal.train(experiment, tmp_path)


KILLED_AFTER = [(2, 12), (2, 18), (2, 25), (8, 10), (8, 12), (8, 18), (13, 12), (20, 6)]


@pytest.mark.parametrize(
    ("saved", "killed"),
    [slow_but_for(saved, 0, (13, 0)) for saved in range(1, STEPS, 4)]
    + [slow_but_for(*moment, (2, 25), (8, 12), (13, 12)) for moment in KILLED_AFTER],
)
def test_a_rolled_back_run_ended_anywhere_ends_with_the_same_bits(
    saved: int, killed: int, tmp_path: Path, script: Script, undisturbed: Undisturbed, end_at: EndAt
) -> None:
    # Killed after a rollback and a better evaluation, best/ no longer holds what was gone back to.
    script(COLLAPSE)
    experiment = recording(ring(), on_collapse="rollback")
    digest, whole = undisturbed("rolled back", experiment)
    kills = [(killed, "kill")] if killed else []
    assert ended(experiment, tmp_path, end_at, (saved, "signal"), *kills).digest() == digest
    same_outcome(tmp_path, whole)
