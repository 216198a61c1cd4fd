"""Whatever happens to a command, nothing finished is lost: it goes on with the same bits, or says what to do."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}

if not Path("/proc/self/statm").exists():
    pytest.skip("forking a process that has imported torch is safe on Linux alone", allow_module_level=True)


def test_the_page_shows_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    report = import_module("report")
    found = json.loads(report.RESULTS.read_text())
    assert found["lost"] == [] and all(entry["faults"] == 0 for entry in found["readers"].values())
    for table in report.tables(found):
        assert f"{table}\n" in report.PAGE.read_text(), "python tests/faults/report.py puts the tables into the page"


@pytest.mark.slow
def test_five_hundred_faults_lose_nothing(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    command = [sys.executable, str(FOLDER / "run.py"), "--seed", "0", "--count", "500", "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 0, result.stdout[-4_000:] + result.stderr[-1_000:]
    trials = json.loads(out.read_text())["trials"]
    assert len(trials) == 500 and "lost" not in {trial["outcome"] for trial in trials}
    assert sum(trial["outcome"] != "undisturbed" for trial in trials) > 150
