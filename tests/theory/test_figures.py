"""The figures of the theory: what they show and say."""

import pytest
import torch

from ganneal.theory import figures
from ganneal.theory.figures import NOISE_LEVELS, langevin, langevin_path, score_field


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FIGURE_SAMPLES", 50)
    monkeypatch.setattr(figures, "LANGEVIN_STEPS", 2)


def test_langevin_sampling_is_drawn_and_measured_for_both_scores() -> None:
    drawn = langevin(2)
    assert [row.split(" | ")[0] for row in drawn.says.splitlines()[2:4]] == ["| exact scores", "| learned scores"]
    assert len(drawn.figure.axes) == 8


def test_samples_start_at_the_first_level_and_are_given_after_each() -> None:
    still = langevin_path(lambda x, stds: torch.zeros_like(x))
    assert len(still) == len(NOISE_LEVELS) and all(x.shape == (50, 2) for x in still)
    assert still[0].std() > 0.8 * NOISE_LEVELS[0]


def test_the_score_field_says_how_near_the_gradient_is() -> None:
    assert "After 5 steps" in score_field(5).says
