"""The hooks that run before a commit name files that are there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / ".pre-commit-config.yaml").read_text()
ENTRIES = {name: shlex.split(entry) for name, entry in re.findall(r"- id: (\S+)\n.*\n +entry: (.+)", CONFIG)}
PYTHON, *TESTS = ENTRIES["quick-tests"]


def run_tests(*more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *TESTS, *more], cwd=ROOT, capture_output=True, text=True)


def test_every_path_of_a_hook_is_there():
    named = [word for entry in ENTRIES.values() for word in entry[1:] if "/" in word]
    assert named and [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.slow
def test_the_quick_tests_are_found():
    assert PYTHON == ".venv/bin/python"
    found = run_tests("--collect-only", "-p", "no:cacheprovider")
    assert found.returncode == 0, found.stdout + found.stderr
    files = {line.partition("::")[0] for line in found.stdout.splitlines() if "::" in line}
    for path in (word for word in TESTS if word.startswith("tests/")):
        assert any(file == path or file.startswith(f"{path}/") for file in files), path


@pytest.mark.slow
def test_the_quick_tests_pass():
    result = run_tests("-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
