"""What may be compared with what, the budgets of the arms, and the controls of nested annealed training."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.comparison.study import (
    Arm,
    Like,
    budget_of,
    control_cautions,
    controls,
    count,
    first_control,
    is_annealed,
    with_controls,
)
from ganneal.data import Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES, NonSaturating
from ganneal.metrics.extractors import Points
from ganneal.optim import CG, SGD, Adam, PacedCG, RMSProp
from ganneal.plan import plan
from ganneal.schemes import Alternating, FunctionalGradient, Nested, Scheme
from ganneal.weights import Explicit, Geometric, Linear, MatchedConstant, Ones, Reversed

Make = Callable[..., Any]


# What a study refuses


@for_each("name", ["nats", "N_d = 10", "été", "a.b", "r1+ema", "x" * 200])
def test_names_that_fit_a_folder_and_a_table_are_taken(name: str, ring: Make) -> None:
    assert Arm(name, ring()).name == name


@for_each(
    "name",
    ["", "a/b", ".hidden", ".", "a|b", "a\nb", "a\0b", "x" * 201, "study.json", "results.json", "table.md"]
    + ["report.html"],
)
def test_names_that_would_break_a_folder_or_a_table_are_refused(name: str, ring: Make) -> None:
    with pytest.raises(ValueError, match="the name of an arm must be usable as a folder and in a table"):
        Arm(name, ring())


@for_each(
    ("changes", "message"),
    [
        ({"arms": ()}, "arms must be one or more with different names"),
        ({"seeds": ()}, "seeds must be one or more different numbers"),
        ({"seeds": (0, 0)}, "seeds must be one or more different numbers"),
        ({"seeds": (-1,)}, "seeds must be one or more different numbers of at least 0"),
        ({"clock": "epochs"}, "clock must be one of num_real, .*seconds, cpu_seconds, got 'epochs'"),
        ({"amount": 0}, "amount must be above 0"),
        ({"amount": nan}, "amount must be above 0, finite"),
        ({"amount": inf}, "amount must be above 0, finite"),
        ({"amount": 1.5}, "whole but for times, got 1.5 num_real"),
        ({"amount": inf, "clock": "seconds"}, "amount must be above 0, finite"),
        ({"baseline": "other"}, "baseline must be one of the arms nats, cts, got 'other'"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_a_study_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str, study: Make) -> None:
    with pytest.raises(ValueError, match=message):
        study(**changes)


@pytest.fixture
def no_shape_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a wrong argument reach the class's own error, as it does outside of tests."""
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_two_arms_of_one_name_are_refused(study: Make, ring: Make) -> None:
    with pytest.raises(ValueError, match=r"different names, got \['a', 'a'\]"):
        study(arms=(Arm("a", ring()), Arm("a", ring(flip=True))), baseline="a")


@pytest.mark.parametrize("like", [Like("nobody", "seconds"), Like("b", "seconds")])
def test_an_arm_is_like_one_with_a_budget_of_its_own(like: Like, study: Make, ring: Make) -> None:
    arms = (Arm("a", ring(), like), Arm("b", ring(), Like("c", "seconds")), Arm("c", ring()))
    with pytest.raises(ValueError, match=f"arm a is like '{like.arm}', which is no arm with a budget of its own"):
        study(arms=arms, baseline="c")


@for_each(
    ("changes", "said"),
    [
        ({"data": Ring(num_samples=300)}, "data.num_samples: 200 -> 300"),
        ({"records": Records(evaluate_count=41)}, "records.evaluate_count: 40 -> 41"),
        ({"records": Records(evaluate_count=40, extractor=Points())}, "records.extractor"),
    ],
)
def test_arms_that_are_not_measured_alike_are_refused(
    changes: dict[str, Any], said: str, study: Make, ring: Make
) -> None:
    with pytest.raises(ValueError, match=f"arms must be measured alike, got a and b with other .*{said}"):
        study(arms=(Arm("a", ring()), Arm("b", ring(**changes))), baseline="a")


# Budgets


@for_each("clock", ["num_real", "d_updates", "g_updates", "seconds"])
def test_the_studys_clock_is_the_only_budget_of_an_arm(clock: str, study: Make) -> None:
    made = study(clock=clock, amount=7.0)
    given = made.experiment(made.arm("nats"), 3, None)
    assert given.budget == Budget(**{clock: 7})
    assert given.seed == 3 and given == replace(made.arm("nats").experiment, seed=3, budget=given.budget)


def test_an_arm_like_another_has_what_the_other_used(study: Make, ring: Make) -> None:
    like = Like("nats", "seconds")
    arms = (Arm("nats", ring()), Arm("cts", ring(scheme=Alternating()), like))
    made = study(arms=arms)
    used = budget_of(like.clock, 2.75)
    assert made.experiment(made.arm("cts"), 0, used).budget == Budget(seconds=2.75)
    assert budget_of("d_updates", 8.0) == Budget(d_updates=8)
    assert made.equal_in(made.arm("cts")) == "seconds of nats, seed by seed"


@for_each(
    ("amount", "clock", "words"),
    [
        (1e6, "num_real", "1,000,000 real images"),
        (1_234_567, "d_updates", "1,234,567 D updates"),
        (240.0, "seconds", "240 seconds"),
        (1000.25, "seconds", "1,000.25 seconds"),
    ],
)
def test_amounts_are_written_out(amount: float, clock: str, words: str, study: Make) -> None:
    made = study(amount=amount, clock=clock)
    assert made.equal_in(made.arm("nats")) == words


@given(st.integers(1, 10**15), st.integers(1, 10**15))
def test_different_amounts_read_differently(a: int, b: int) -> None:
    assert (count(a) == count(b)) == (a == b)
    assert int(count(float(a)).replace(",", "")) == a


def test_what_may_not_change_leaves_out_what_no_run_depends_on(study: Make) -> None:
    described = study().describe()
    assert study(name="other", baseline="nats", seeds=(5,), amount=1000).describe() == described
    assert study(clock="seconds").describe() != described


# Annealing


ANNEALED = [Geometric(), Geometric(1, 0.999), Geometric(20, 1), Linear(), Reversed(), Explicit((1, 1, 1, 1, 0.5))]
CONSTANT = [Ones(), Geometric(1, 1), Geometric(0.3, 0.3), Linear(0.7, 0.7), Explicit((2.0,) * 5), MatchedConstant()]
CONSTANT += [Reversed(Ones()), MatchedConstant(Linear())]


@for_each("weights", ANNEALED, ids=str)
def test_weights_that_differ_by_level_are_annealed(weights: Any) -> None:
    assert is_annealed(Nested(5, weights=weights))


@for_each("weights", CONSTANT, ids=str)
def test_one_constant_weight_is_not_annealed_whatever_rule_gives_it(weights: Any, ring: Make) -> None:
    scheme = Nested(5, weights=weights)
    assert not is_annealed(scheme)
    with pytest.raises(ValueError, match="controls need a nested annealed scheme or annealed functional"):
        controls(Arm("a", ring(scheme=scheme)), "num_real")


@given(st.floats(1e-6, 1e3), st.integers(1, 40))
def test_rounding_anneals_nothing(weight: float, levels: int) -> None:
    for rule in (Geometric(weight, weight), Linear(weight, weight), MatchedConstant(Geometric(1, weight))):
        assert not is_annealed(Nested(levels, weights=rule))


@for_each("scheme", [Alternating(), Nested(1, weights=Geometric()), Nested(5)])
def test_common_and_plain_nested_training_are_not_annealed(scheme: Scheme) -> None:
    assert not is_annealed(scheme)


# Controls


def test_controls_are_common_nested_and_matched_training(ring: Make) -> None:
    nats = Arm("nats", ring(scheme=Nested(5, d_steps=2, weights=Geometric())))
    found = {arm.name: arm for arm in controls(nats, "num_real")}
    assert list(found) == ["cts", "cts-equal-seconds", "nts", "matched-step"]
    assert found["cts"] == Arm("cts", replace(nats.experiment, scheme=Alternating(d_steps=2)))
    assert found["cts-equal-seconds"].like == Like("nats", "seconds")
    assert found["cts-equal-seconds"].experiment == found["cts"].experiment
    assert found["nts"] == Arm("nts", replace(nats.experiment, scheme=Nested(5, d_steps=2)))


def test_equal_updates_are_the_other_control_of_a_study_by_time(ring: Make) -> None:
    found = {arm.name: arm for arm in controls(Arm("mine", ring()), "seconds")}
    assert found["cts-equal-updates"].like == Like("mine", "d_updates") and "cts-equal-seconds" not in found


@for_each(
    ("levels", "optimizer", "annealed", "plain"),
    [
        # Adam-nominal generator steps per discriminator update with weights 1 to 0.01 and without, to three digits
        (4, Adam(lr=1e-3), 1.21, 2.5),
        (5, Adam(lr=1e-3), 1.47, 3),
        (10, Adam(lr=1e-3), 2.86, 5.5),
        (20, Adam(lr=1e-3), 5.68, 10.5),  # 210 updates a round are no longer short beside 1 / (1 - 0.999)
        (5, Adam(lr=1e-3, beta1=0.0, beta2=0.9), 1.23, 3),
        (5, Adam(lr=1e-3, beta2=0.9), 1.26, 3),
        (5, RMSProp(lr=1e-3), 1.34, 3),
        (10, RMSProp(lr=1e-3), 2.39, 5.5),
    ],
    ids=str,
)
def test_the_matched_step_has_the_ratio_of_nominal_steps(
    levels: int, optimizer: Any, annealed: float, plain: float, ring: Make
) -> None:
    nats = Arm("nats", ring(scheme=Nested(levels, weights=Geometric(1, 0.01)), g_optimizer=optimizer))
    control = controls(nats, "num_real")[-1]
    assert control.name == "matched-step" and control.experiment.scheme == Nested(levels)
    assert control.experiment.g_optimizer.lr == pytest.approx(1e-3 * annealed / plain, rel=5e-3)
    assert control.experiment == replace(
        nats.experiment, scheme=Nested(levels), g_optimizer=control.experiment.g_optimizer
    )


@pytest.mark.runs
@given(st.integers(2, 12), st.floats(0.01, 0.5))
def test_under_sgd_the_matched_constant_has_the_same_total_weight(levels: int, last: float) -> None:
    scheme = Nested(levels, weights=Geometric(1, last))
    from ganneal.experiments import ring_nats

    nats = Arm("nats", replace(ring_nats(), scheme=scheme, g_optimizer=SGD(lr=0.1)))
    control = controls(nats, "num_real")[-1]
    assert control.name == "matched-constant" and control.experiment.g_optimizer == SGD(lr=0.1)
    ours, theirs = plan(control.experiment.scheme), plan(scheme)
    assert ours.effective_per_d_update == pytest.approx(theirs.effective_per_d_update)
    assert not is_annealed(control.experiment.scheme)


def mean_step(experiment: Experiment, rounds: int) -> float:
    """Mean generator step per discriminator update over the measured rounds, one of eight, without the first.

    Moving averages have begun there.
    """
    levels = cast(Nested, experiment.scheme).levels
    budget = Budget(d_updates=rounds * levels)
    records = Records(log_every=experiment.batch_size, evaluate_count=0, tensorboard=False)
    steps = [
        row["g_step_per_d_update"]
        for row in engine.training_rows(Run(replace(experiment, budget=budget, records=records)))
        if "g_step_per_d_update" in row
    ]
    return sum(steps[1:]) / len(steps[1:])


WALKERS = {
    "cg": CG(lr=1e-3),
    "cg HZ": CG(lr=1e-3, beta_rule="HZ"),
    "sgd": SGD(lr=1e-3),
    "momentum": SGD(lr=1e-4, momentum=0.9),
    "adam, short memory": Adam(lr=1e-5, beta2=0.9),
    "rmsprop": RMSProp(lr=1e-5),
    "rmsprop-cfg": RMSProp(lr=1e-5, eps=1e-18, eps_inside=True),
}


@pytest.mark.runs
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ("cg HZ", "adam, short memory") else pytest.mark.slow) for name in WALKERS],
)
def test_the_control_walks_the_measured_step(name: str, ring: Make) -> None:
    experiment = ring(
        scheme=Nested(5, weights=Geometric()),
        loss=NonSaturating(weight_on="loss"),
        g_optimizer=WALKERS[name],
        d_optimizer=SGD(lr=1e-4),
        batch_size=128,
    )
    control = controls(Arm("nats", experiment), "num_real")[-1]
    assert mean_step(control.experiment, 17) == pytest.approx(mean_step(experiment, 17), rel=0.05)
    assert not is_annealed(control.experiment.scheme)


def test_under_conjugate_gradients_a_constant_weight_is_the_control(ring: Make) -> None:
    scheme = Nested(4, weights=Geometric())
    control = controls(Arm("nats", ring(scheme=scheme, g_optimizer=CG(lr=0.1))), "num_real")[-1]
    assert control.name == "matched-constant"
    assert control.experiment.scheme == replace(scheme, weights=MatchedConstant(Geometric()))
    assert control.experiment.g_optimizer == PacedCG(CG(lr=0.1), 4, Geometric())


@for_each("weights", [Geometric(), Reversed(), Linear(20, 1)], ids=str)
def test_controls_of_functional_gradients_are_plain_constant_and_reversed(weights: Any, ring: Make) -> None:
    scheme = FunctionalGradient(steps=4, pool_size=16, weights=weights)
    annealed = Arm("annealed", ring(scheme=scheme))
    found = {arm.name: cast(FunctionalGradient, arm.experiment.scheme) for arm in controls(annealed, "num_real")}
    assert list(found) == ["cfg", "cfg-matched", "cfg-reversed"]
    assert found["cfg"] == replace(scheme, weights=Ones())
    counts = (1,) * 4
    assert sum(found["cfg-matched"].weights(counts, 0)) == pytest.approx(sum(weights(counts, 0)))
    assert found["cfg-reversed"].weights(counts, 0) == weights(counts, 0)[::-1]
    arms = with_controls((annealed,), "num_real")
    assert [arm.name for arm in arms] == ["annealed", *found] and first_control(arms) == "cfg"
    assert with_controls(arms, "num_real") == arms  # the reversed one is annealed too, and a control


def test_plain_functional_gradients_have_no_controls(ring: Make) -> None:
    for weights in (Ones(), MatchedConstant()):
        scheme = FunctionalGradient(steps=4, pool_size=16, weights=weights)
        assert not is_annealed(scheme)
        with pytest.raises(ValueError, match="or annealed functional gradients, got FunctionalGradient"):
            controls(Arm("a", ring(scheme=scheme)), "num_real")


@for_each(
    ("optimizer", "loss", "said"),
    [
        (Adam(), NonSaturating(weight_on="loss"), []),
        (Adam(), LOSSES["wgan"], []),
        (SGD(lr=0.1), LOSSES["hinge"], []),
        (SGD(lr=0.1), LOSSES["nonsaturating"], ["not in proportion to a weight on the output"]),
        (SGD(lr=0.1, momentum=0.9), LOSSES["wgan"], ["adds up gradients of several updates"]),
        (CG(lr=0.1, beta_rule="HS"), LOSSES["wgan"], ["has no lower bound on beta"]),
        (CG(lr=0.1, beta_rule="HS", beta_min=0.0), LOSSES["wgan"], []),
    ],
)
def test_where_the_match_is_not_exact_it_is_said(optimizer: Any, loss: Any, said: list[str], ring: Make) -> None:
    found = control_cautions(Arm("nats", ring(g_optimizer=optimizer, loss=loss)))
    assert len(found) == len(said) and all(part in text for part, text in zip(said, found, strict=True))


def test_controls_are_added_to_the_one_annealed_arm(ring: Make) -> None:
    arms = (Arm("plain", ring(scheme=Nested(2))), Arm("nats", ring()))
    assert with_controls(arms, "num_real") == (*arms, *controls(arms[1], "num_real"))


def test_a_control_that_is_there_already_is_not_added(ring: Make) -> None:
    own = Arm("cts", ring(name="another name of the experiment", scheme=Alternating()))
    found = with_controls((Arm("nats", ring()), own), "num_real")
    assert [arm.name for arm in found] == ["nats", "cts", "cts-equal-seconds", "nts", "matched-step"]
    assert found[1] is own


@for_each(
    ("own", "said"),
    [
        (lambda ring: Arm("cts", ring(scheme=Alternating(), flip=True)), r"flip: False -> True"),
        (lambda ring: Arm("cts", ring(scheme=Alternating()), Like("nats", "seconds")), r"like: None -> Like"),
        (lambda ring: Arm("nts", ring(scheme=Nested(3))), r"scheme.levels: 2 -> 3"),
    ],
)
def test_an_arm_that_only_has_the_name_of_a_control_is_refused(own: Make, said: str, ring: Make) -> None:
    with pytest.raises(ValueError, match=f"has the name of a control and is another:(.|\n)*{said}"):
        with_controls((Arm("nats", ring()), own(ring)), "num_real")


def test_controls_of_two_annealed_arms_or_of_none_are_refused(ring: Make) -> None:
    two = (Arm("a", ring()), Arm("b", ring(flip=True)))
    with pytest.raises(ValueError, match=r"or annealed functional gradients, got \['a', 'b'\]"):
        with_controls(two, "num_real")
    with pytest.raises(ValueError, match=r"got \[\]"):
        with_controls((Arm("a", ring(scheme=Nested(5, weights=MatchedConstant()))),), "num_real")
