"""Training's bits are those that were recorded: what must not change a number has changed none."""

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.digests import configurations

SCRIPT = configurations.__file__


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Digests made in a process of its own, where neither shape checks nor this machine's best instructions work."""
    result = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.runs
def test_configurations_differ_in_what_they_train(found: dict[str, Any]) -> None:
    made = list(found["digests"].values())
    assert len(made) >= 30
    assert len({weights for weights, _ in made}) == len(made)


@pytest.mark.runs
def test_weights_and_log_rows_are_the_recorded_ones(found: dict[str, Any]) -> None:
    recorded = json.loads(configurations.RECORD.read_text())
    if found["canary"] != recorded["canary"]:
        pytest.skip(
            "this processor, C library or torch rounds otherwise than those of digests.json; record the digests of an "
            "unchanged checkout here with python tests/digests/configurations.py --record, and compare"
        )
    assert found["digests"] == recorded["digests"]
