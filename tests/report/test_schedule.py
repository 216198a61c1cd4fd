"""The drawing of a round is the round."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.report import words
from ganneal.report.records import Row, RunRecord
from ganneal.report.schedule import MOST_LETTERS, SHOWN_LEVELS, first_round, level_figures, read_scheme
from ganneal.schemes import SCHEMES, Alternating, FunctionalGradient, Nested, Scheme
from ganneal.steps import UpdateDiscriminator
from ganneal.storage.encoding import encode
from ganneal.weights import Explicit, Geometric, Ones, Reversed


@given(st.integers(1, SHOWN_LEVELS), st.integers(1, 3))
def test_the_moves_in_reading_order_are_the_steps_of_the_round(levels: int, d_steps: int) -> None:
    scheme = Nested(levels, d_steps)
    drawn = [move.letter for level in first_round(scheme).levels for move in level.moves]
    assert drawn == ["D" if isinstance(step, UpdateDiscriminator) else "G" for step in scheme(0)]


def test_a_long_schedule_says_where_levels_are_left_out() -> None:
    levels = first_round(Nested(100)).levels
    assert [level.figures.level for level in levels] == [1, 2, 3, 4, 5, 96, 97, 98, 99, 100]
    assert [level.gap for level in levels].index(True) == 5 and sum(level.gap for level in levels) == 1
    assert levels[-1].moves[-1].letter == "G × 100" and 100 > MOST_LETTERS


def test_shades_go_from_nothing_to_full() -> None:
    shades = [level.shade for level in first_round(Nested(5)).levels]
    assert shades == sorted(shades) and (shades[0], shades[-1]) == (0, 1)
    assert [level.shade for level in first_round(Alternating()).levels] == [0]


@for_each("scheme", [*SCHEMES.values(), Nested(2, weights=Reversed(Explicit((1.0, 0.5))))])
def test_a_scheme_is_read_back_as_it_was_written(scheme: Scheme) -> None:
    assert read_scheme(encode(scheme)) == scheme


def test_a_scheme_of_somebodys_own_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown part 'Mine'"):
        read_scheme({"type": "Mine"})


def measured_run(levels: int) -> RunRecord:
    rows: list[Row] = [
        {"num_real": at} | {f"level{level}/g_step": at * level / 1000 for level in range(1, levels + 1)}
        for at in range(100, 1000, 100)
    ]
    return RunRecord(Path("run"), {}, rows=rows)


def test_levels_are_drawn_for_early_middle_and_late() -> None:
    found = level_figures(measured_run(3), first_round(Nested(3, weights=Geometric())))
    assert [figure.title for figure in found] == ["Weight and updates by level", "Step length by level"]
    said = str(found[1].svg)
    # thirds of 900 images: means over 100..300, 400..600, 700..900
    assert "early: level 1 0.2, level 2 0.4, level 3 0.6" in said
    assert "late: level 1 0.8, level 2 1.6, level 3 2.4" in said


@for_each(("scheme", "count"), [(Alternating(), 0), (Nested(1), 0), (Nested(2), 1)])
def test_one_level_needs_no_chart_by_level_and_unmeasured_levels_show_their_weights(scheme: Any, count: int) -> None:
    assert len(level_figures(RunRecord(Path("run"), {}), first_round(scheme))) == count


def test_a_round_of_functional_gradients_is_drawn_with_its_pushes() -> None:
    round = first_round(FunctionalGradient(steps=3, d_steps=2, weights=Geometric()))
    assert ["".join(move.letter for move in level.moves) for level in round.levels] == ["DDP"] * 3
    assert round.levels[1].words == "level 2: 2 discriminator updates, then a push of step size 0.1"
    (figure,) = level_figures(RunRecord(Path("run"), {}), round)
    assert figure.title == "Step size by level" and "level 3 step size 0.01" in str(figure.svg).replace(":", "")


@for_each(
    ("weights", "said"),
    [
        (Ones(), "functional gradients, 15 pushes"),
        (Geometric(), "annealed functional gradients, 15 pushes, of step 1 to 0.01"),
        (Reversed(), "functional gradients with weights that rise, 15 pushes, of step 0.01 to 1"),
    ],
)
def test_functional_gradients_in_words(weights: Any, said: str) -> None:
    encoded = encode(FunctionalGradient(weights=weights))
    assert words.scheme(encoded, weights((1,) * 15, 0)) == said
