"""The page on what goes with what is what its script would write, and every allowed pair of parts trains."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "combinations.py"


def test_the_page_is_current_and_every_allowed_pair_trains() -> None:
    # in a process of its own: the shape checker of the tests would make it three times slower
    result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
