"""What is foretold at the start: said where toys collapsed, silent where they did not."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.for_each import for_each

from ganneal import machine
from ganneal.cli import main
from ganneal.data import Ring
from ganneal.data.decode.survey import ImageHeader, Survey
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import EXPERIMENTS, digits_nats, ring_cts, ring_nts
from ganneal.experiments.automatic import choose
from ganneal.losses import LOSSES
from ganneal.metrics.extractors import EfficientNetLite0, MobileNetV2
from ganneal.models import DCGAN, Pair, Projected
from ganneal.optim import SGD, Adam
from ganneal.plan import plan
from ganneal.schemes import Alternating, Nested, Scheme
from ganneal.steps import FitGenerator, UpdateDiscriminator
from ganneal.training.forewarning import LONG, forewarning, forewarnings
from ganneal.training.session import train
from ganneal.weights import Geometric, MatchedConstant


def ring(scheme: Scheme, g_lr: float = 1e-3, d_lr: float = 1e-3) -> Experiment:
    return replace(ring_cts(), scheme=scheme, d_optimizer=Adam(lr=d_lr), g_optimizer=Adam(lr=g_lr))


@for_each("lr", [1e-3, 2e-4])
@for_each(
    ("scheme", "steps"),
    [(Nested(4), "2.50"), (Nested(10), "5.50"), (Nested(10, weights=Geometric()), "2.87")],
    ids=["nts 4", "nts 10", "nats 10"],
)
def test_the_schedules_under_which_toys_collapsed_are_warned_of(scheme: Nested, steps: str, lr: float) -> None:
    text = forewarning(ring(scheme, lr, lr))
    assert text is not None and f"the generator goes {steps} Adam learning rates" in text


@for_each(
    "scheme",
    [Alternating(), Alternating(4), Nested(4, weights=Geometric()), Nested(10, d_steps=4), Nested(10, 4, Geometric())],
    ids=["cts", "cts K=4", "nats 4", "nts 10 K=4", "nats 10 K=4"],
)
def test_the_schedules_under_which_they_stood_are_not(scheme: Scheme) -> None:
    assert forewarning(ring(scheme)) is None


def test_the_rate_it_names_is_enough() -> None:
    for levels in (4, 10, 20):
        text = forewarning(ring(Nested(levels), g_lr=1e-3, d_lr=4e-4))
        assert text is not None
        lr = float(text.partition("rate of ")[2].partition(",")[0])
        assert forewarning(ring(Nested(levels), g_lr=lr, d_lr=4e-4)) is None
        assert plan(Nested(levels)).nominal_steps_per_d_update * lr == pytest.approx(4e-4, rel=0.05)


def test_a_constant_weight_changes_nothing_under_adam() -> None:
    assert forewarning(ring(Nested(10, weights=MatchedConstant()))) == forewarning(ring(Nested(10)))


def test_the_border_is_the_ratio_of_the_rates() -> None:
    assert forewarning(ring(Alternating(), g_lr=LONG * 1e-4, d_lr=1e-4)) is not None
    assert forewarning(ring(Alternating(), g_lr=0.99 * LONG * 1e-4, d_lr=1e-4)) is None


def test_what_was_not_measured_is_not_judged() -> None:
    fast = ring(Nested(20))
    assert forewarning(replace(fast, g_optimizer=SGD(lr=1.0))) is None
    assert forewarning(replace(fast, d_optimizer=SGD(lr=1e-4))) is None
    assert forewarning(replace(fast, d_optimizer=Adam(lr=0.0))) is None
    assert forewarning(replace(fast, loss=LOSSES["wgan"])) is None
    for steps in ((UpdateDiscriminator(),), (UpdateDiscriminator(), FitGenerator())):
        assert forewarning(replace(fast, scheme=lambda round, steps=steps: iter(steps))) is None


def test_of_the_presets_it_speaks_of_nested_training_on_the_ring_only() -> None:
    assert [name for name, make in EXPERIMENTS.items() if forewarning(make())] == ["ring-nts"]


def test_plan_and_dry_run_of_an_experiment_say_it_last(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["plan", "ring-nts"], ["train", "ring-nts", "--dry-run"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"warning: {forewarning(ring_nts())}"
        assert main([*arguments, "--scheme.levels", "1"]) == 0
        assert "warning" not in capsys.readouterr().out


@pytest.mark.runs
def test_training_says_it_when_it_begins_and_not_when_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = replace(
        ring_nts(),
        data=Ring(num_samples=200),
        batch_size=8,
        budget=Budget(d_updates=5),
        records=Records(sample_count=4, evaluate_count=0, tensorboard=False),
    )
    train(tiny, tmp_path, progress=True)
    assert capsys.readouterr().err.count(f"warning: {forewarning(ring_nts())}") == 1
    train(replace(tiny, budget=Budget(d_updates=10)), tmp_path, progress=True)
    assert "warning" not in capsys.readouterr().err


FLAGS = "processor\t: 0\nflags\t\t: fpu avx2 {}\nbugs\t\t: avx512_bf16\n"


@for_each(
    ("told", "computes"),
    [(FLAGS.format("amx_bf16"), True), (FLAGS.format(""), False), ("Features\t: fp asimd\n", None), (None, None)],
    ids=["units", "none", "another processor", "another system"],
)
def test_emulated_bfloat16_is_warned_of_where_it_is_known(
    told: str | None, computes: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    assert machine.processor_computes_bfloat16() is computes
    mixed = replace(ring_cts(), precision="bf16")
    warned = [text for text in forewarnings(mixed) if "precision bf16 is slower than float32 here" in text]
    assert len(warned) == (computes is False)
    assert not forewarnings(replace(mixed, precision="float32"))
    assert not forewarnings(replace(mixed, device="cuda"))


def test_what_cannot_be_told_of_a_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choose(Survey(1_000, {ImageHeader(32, 32, "RGB", False): 9}), machine.Machine(False, None))["precision"]
    assert choice.value == "float32" and "not known" in choice.reason


def test_features_that_the_discriminator_looks_through_are_warned_of() -> None:
    measured = replace(digits_nats(), model=Projected(), records=Records(extractor=EfficientNetLite0()))
    assert any("favour its generator" in text for text in forewarnings(measured))
    paired = replace(measured, model=Pair(DCGAN(), Projected()))
    assert any("favour its generator" in text for text in forewarnings(paired))
    assert forewarnings(replace(measured, records=Records(extractor=MobileNetV2()))) == []
    assert forewarnings(replace(measured, model=DCGAN())) == []
