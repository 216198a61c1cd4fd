"""The page on what goes with what is what its script would write, and every allowed pair of parts trains."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "combinations.py"


@pytest.mark.runs
@pytest.mark.parametrize("stride", [25, pytest.param(1, marks=pytest.mark.slow)])
def test_the_page_is_current_and_every_allowed_pair_trains(stride: int) -> None:
    """Every pair at stride 1; at others a sample of them."""
    # in a process of its own: the shape checker of the tests would make it three times slower
    command = [sys.executable, str(SCRIPT), "--check", "--stride", str(stride)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
