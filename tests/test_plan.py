"""Plans against counts and figures derived from Algorithm 3 of NATS, arXiv 2501.11318."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganneal.plan import plan, plan_as_text
from ganneal.schemes import SCHEMES, Alternating, FunctionalGradient, Nested, Scheme
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    PushPool,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.weights import Geometric, MatchedConstant, Ones, Reversed
from tests.for_each import for_each


def nats(levels: int, d_steps: int = 1) -> Nested:
    return Nested(levels=levels, d_steps=d_steps, weights=Geometric(1, 0.01))


def printed(value: float, like: str) -> str:
    """``value`` with as many decimals as ``like`` has."""
    return f"{value:.{len(like.partition('.')[2])}f}"


@dataclass(frozen=True)
class Written:
    """A scheme whose every round is the steps written out."""

    steps: tuple[Step, ...]

    def __call__(self, round: int) -> Iterator[Step]:
        yield from self.steps


# Weights 1 to 0.01, one discriminator update per level. mass: sum of j w_j per discriminator update.
# first, last: length w_j / rms of a generator update. nats, nts, reversed: sum of the lengths per discriminator update.
COLUMNS = ("levels", "ratio", "mass", "rms", "first", "last", "nats", "nts", "reversed")
FIGURES = [
    (4, "0.2154", "0.403", "0.3316", "3.02", "0.030", "1.21", "2.5", "1.84"),
    (5, "0.3162", "0.422", "0.2869", "3.49", "0.035", "1.47", "3.0", "2.21"),
    (10, "0.5995", "0.605", "0.2105", "4.75", "0.048", "2.87", "5.5", "4.11"),
    (15, "0.7197", "0.817", "0.1893", "5.28", "0.053", "4.31", "8.0", "6.04"),
    (20, "0.7848", "1.034", "0.1796", "5.57", "0.056", "5.76", "10.5", "7.97"),
]


@for_each(COLUMNS, FIGURES, ids=[f"{row[0]} levels" for row in FIGURES])
def test_annealing_in_figures(
    levels: int, ratio: str, mass: str, rms: str, first: str, last: str, nats: str, nts: str, reversed: str
) -> None:
    annealed = plan(Nested(levels, weights=Geometric(1, 0.01)))
    values = {
        "ratio": (annealed.levels[1].weight / annealed.levels[0].weight, ratio),
        "mass": (annealed.effective_per_d_update, mass),
        "rms": (annealed.rms_weight, rms),
        "first": (annealed.levels[0].nominal_step, first),
        "last": (annealed.levels[-1].nominal_step, last),
        "nats": (annealed.nominal_steps_per_d_update, nats),
        "nts": (plan(Nested(levels)).nominal_steps_per_d_update, nts),
        "reversed": (
            plan(Nested(levels, weights=Reversed(Geometric(1, 0.01)))).nominal_steps_per_d_update,
            reversed,
        ),
    }
    assert {key: printed(value, like) for key, (value, like) in values.items()} == {
        key: like for key, (_, like) in values.items()
    }


@for_each("rule", [Ones(), Geometric(), Reversed(), MatchedConstant()], ids=str)
def test_a_single_level_is_one_nominal_step_of_weight_one(
    rule: Ones | Geometric | Reversed | MatchedConstant,
) -> None:
    single = plan(Nested(1, weights=rule))
    assert (single.effective_per_d_update, single.rms_weight, single.nominal_steps_per_d_update) == (
        1.0,
        1.0,
        1.0,
    )
    assert single == plan(Alternating())


@for_each(("levels", "g_updates"), [(4, 10), (5, 15), (10, 55), (15, 120), (20, 210)])
def test_counts_of_a_nested_round(levels: int, g_updates: int) -> None:
    assert (plan(nats(levels)).d_updates, plan(nats(levels)).g_updates) == (levels, g_updates)


def test_sequence_of_the_papers_worked_example() -> None:
    assert plan(nats(4)).sequence == "D G D GG D GGG D GGGG"


def test_sequence_groups_discriminator_updates_of_one_level() -> None:
    assert plan(nats(2, d_steps=4)).sequence == "DDDD G DDDD GG"
    assert plan(Alternating(d_steps=2)).sequence == "DD G"


@pytest.mark.parametrize("levels", [50, 100])
def test_many_levels_are_counted(levels: int) -> None:
    many = plan(nats(levels))
    assert (many.d_updates, many.g_updates) == (levels, levels * (levels + 1) // 2)
    assert len(many.levels) == levels


@given(levels=st.integers(1, 25), k=st.integers(1, 5))
def test_each_level_of_a_nested_round(levels: int, k: int) -> None:
    rule = Geometric()
    w = rule(range(1, levels + 1), 0)
    rows = plan(Nested(levels, d_steps=k, weights=rule)).levels
    assert [(row.level, row.d_updates, row.g_updates) for row in rows] == [(j, k, j) for j in range(1, levels + 1)]
    # weights are means and sums of j equal floats: a few roundings
    assert [row.weight for row in rows] == pytest.approx(list(w), rel=1e-13)
    assert [row.effective_weight for row in rows] == pytest.approx([j * x for j, x in enumerate(w, 1)], rel=1e-13)


@given(levels=st.integers(1, 25), k=st.integers(1, 5))
def test_totals_are_the_closed_forms(levels: int, k: int) -> None:
    rule = Geometric()
    w = rule(range(1, levels + 1), 0)
    figures = plan(Nested(levels, d_steps=k, weights=rule))
    updates = levels * (levels + 1) / 2
    mass = sum(j * x for j, x in enumerate(w, 1))
    rms = sqrt(sum(j * x * x for j, x in enumerate(w, 1)) / updates)
    # sums of at most 325 positive terms: rounding stays below 325 * 1.1e-16
    assert figures.effective_per_d_update == pytest.approx(mass / (k * levels), rel=1e-13)
    assert figures.rms_weight == pytest.approx(rms, rel=1e-13)
    assert figures.nominal_steps_per_d_update == pytest.approx(mass / rms / (k * levels), rel=1e-13)
    assert [row.nominal_step for row in figures.levels] == pytest.approx([x / rms for x in w], rel=1e-13)


@for_each(("levels", "peak"), [(10, 2), (15, 3), (20, 4)])
def test_effective_weight_rises_before_it_falls(levels: int, peak: int) -> None:
    effective = [row.effective_weight for row in plan(nats(levels)).levels]
    assert effective.index(max(effective)) + 1 == peak


@for_each("levels", [5, 10, 15, 20])
def test_reversed_weights_pull_three_to_four_times_as_much(levels: int) -> None:
    backward = plan(Nested(levels, weights=Reversed(Geometric(1, 0.01))))
    assert 3 < backward.effective_per_d_update / plan(nats(levels)).effective_per_d_update < 4


@given(levels=st.integers(1, 25))
def test_matched_constant_has_the_pull_of_annealing_and_the_adam_steps_of_none(levels: int) -> None:
    matched = plan(Nested(levels, weights=MatchedConstant(Geometric())))
    pull = plan(Nested(levels, weights=Geometric())).effective_per_d_update
    assert matched.effective_per_d_update == pytest.approx(pull, rel=1e-12)
    assert matched.nominal_steps_per_d_update == pytest.approx((levels + 1) / 2, rel=1e-12)


@for_each(("levels", "cost"), [(4, 1.75), (5, 2.0), (10, 3.25), (15, 4.5), (20, 5.75)])
def test_cost_at_equal_cost_of_both_players(levels: int, cost: float) -> None:
    assert plan(nats(levels)).cost() == cost  # all are dyadic: no rounding


@given(levels=st.integers(1, 25), k=st.integers(1, 5), g_cost=st.floats(0.0, 100.0))
def test_cost_is_that_of_the_formula(levels: int, k: int, g_cost: float) -> None:
    expected = (k + (levels + 1) / 2 * g_cost) / (k + g_cost)
    assert plan(nats(levels, d_steps=k)).cost(g_cost) == pytest.approx(expected, rel=1e-13)


@given(k=st.integers(1, 20), g_cost=st.floats(0.0, 100.0))
def test_the_common_scheme_costs_one(k: int, g_cost: float) -> None:
    assert plan(Alternating(k)).cost(g_cost) == 1.0


def test_the_round_asked_for_is_the_round_planned() -> None:
    def halving(counts: Sequence[int], round: int) -> tuple[float, ...]:
        return (0.5**round,) * len(counts)

    scheme = Nested(3, weights=halving)
    assert [plan(scheme, round).rms_weight for round in range(3)] == [1.0, 0.5, 0.25]


PLANNED = [name for name, scheme in SCHEMES.items() if any(isinstance(step, UpdateGenerator) for step in scheme(0))]


@for_each("name", PLANNED)
def test_levels_add_up_to_the_round(name: str) -> None:
    figures = plan(SCHEMES[name])
    assert sum(row.d_updates for row in figures.levels) == figures.d_updates
    assert sum(row.g_updates for row in figures.levels) == figures.g_updates


MIXED = Written(
    (
        DrawPool(size=4, level=1),
        UpdateDiscriminator(level=1),
        StoreDiscriminator(step_size=1.0, level=1),
        PushPool(step_size=1.0, level=1),
        UpdateGenerator(weight=0.5, level=1),
        UpdateDiscriminator(level=2),
        UpdateDiscriminator(level=2),
        FitGenerator(level=2),
        UpdateGenerator(weight=0.25, level=2),
    )
)


def test_only_discriminator_updates_are_counted_as_such() -> None:
    figures = plan(MIXED)
    assert (figures.d_updates, figures.g_updates) == (3, 2)
    assert [row.d_updates for row in figures.levels] == [1, 2]


def test_generator_may_move_a_level_before_the_discriminator() -> None:
    swapped = plan(Written((UpdateGenerator(level=1), UpdateDiscriminator(level=2))))
    assert (swapped.d_updates, swapped.g_updates, swapped.sequence) == (1, 1, "G D")
    assert swapped.cost() == 1.0


@for_each(
    "scheme",
    [Written(()), Written((UpdateDiscriminator(),)), Written((UpdateGenerator(),))],
    ids=["empty", "discriminator only", "generator only"],
)
def test_a_round_in_which_a_player_rests_is_refused(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match=r"round 0 .* discriminator .* generator updates"):
        plan(scheme)


# Functional gradients


def test_the_reference_stage_in_figures() -> None:
    """T = 15, U = 1, N = 640, B = 64, ten epochs: the authors' defaults."""
    replay, pool = plan(FunctionalGradient(), 1), plan(FunctionalGradient(fakes="pool"), 1)
    for each in (replay, pool):
        assert each.stage is not None
        assert (each.d_updates, each.g_updates, each.stage.stored, each.stage.epochs) == (15, 0, 15, 10)
        assert each.stage.fit_updates(64) == 100
    assert replay.stage is not None and pool.stage is not None
    assert (replay.stage.replayed, replay.stage.passes(64)) == (105, 105 + 150)
    assert (pool.stage.replayed, pool.stage.passes(64)) == (0, 150)
    assert replay.sequence == f"FFFFFFFFFF {'D S ' * 15}draw Px15"
    assert pool.sequence == f"FFFFFFFFFF draw {'D S P ' * 15}".strip()


@given(steps=st.integers(1, 20), k=st.integers(1, 4), n=st.integers(1, 700), b=st.integers(1, 64))
def test_refinement_passes_are_the_closed_forms(steps: int, k: int, n: int, b: int) -> None:
    batches = -(-n // b)
    for fakes, expected in (("replay", k * steps * (steps - 1) // 2 + steps * batches), ("pool", steps * batches)):
        stage = plan(FunctionalGradient(steps, k, pool_size=n, fakes=fakes), 1).stage  # pyright: ignore
        assert stage is not None and stage.passes(b) == expected


def test_levels_of_functional_gradients_show_the_steps_of_their_pushes() -> None:
    figures = plan(FunctionalGradient(steps=3, d_steps=2, step_size=0.5, epochs=7, weights=Geometric(1, 0.01)))
    assert [(row.level, row.d_updates, row.g_updates) for row in figures.levels] == [(1, 2, 0), (2, 2, 0), (3, 2, 0)]
    assert [row.weight for row in figures.levels] == pytest.approx([0.5, 0.05, 0.005], rel=1e-12)
    assert figures.effective_per_d_update == pytest.approx(0.555 / 6, rel=1e-12)


@given(steps=st.integers(1, 20))
def test_matched_constant_pushes_as_far_as_annealing(steps: int) -> None:
    annealed = plan(FunctionalGradient(steps, weights=Geometric()))
    matched = plan(FunctionalGradient(steps, weights=MatchedConstant(Geometric())))
    assert matched.effective_per_d_update == pytest.approx(annealed.effective_per_d_update, rel=1e-12)


def test_rounds_of_generator_updates_have_no_stage() -> None:
    assert plan(nats(4)).stage is None and plan(Alternating()).stage is None


def test_real_images_of_generator_updates_are_shown_where_there_are_any() -> None:
    assert "real images" not in plan_as_text(Nested(4))
    line = "real images per round      64 in D updates, which the clock counts, and 320 more in G updates"
    assert line in plan_as_text(Nested(4), batch_size=16, g_reals=32)


@pytest.mark.parametrize("command", [["plan", "ring-nats"], ["train", "ring-nats", "--dry-run"]])
def test_an_experiments_steps_are_those_of_its_own_optimizer(command: list[str], capsys: pytest.CaptureFixture) -> None:
    from ganneal.cli import main

    assert main(command) == 0
    assert "averages with beta1 = 0.5 and beta2 = 0.999; gradients of equal size." in capsys.readouterr().out
    if command[0] == "plan":
        assert main([*command, "--beta1", "0", "--beta2", "0.9"]) == 0
        assert "Adam steps per D           1.226" in capsys.readouterr().out
