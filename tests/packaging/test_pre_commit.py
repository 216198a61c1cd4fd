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


def test_every_program_of_a_hook_is_there():
    programs = {entry[0] for entry in ENTRIES.values()}
    assert programs and [path for path in programs if not (ROOT / path).exists()] == []


def test_the_quick_tests_are_those_of_the_makefile():
    marks = TESTS[TESTS.index("-m", 2) + 1]
    assert PYTHON == ".venv/bin/python" and f'-m "{marks}"' in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_the_quick_tests_pass():
    result = run_tests("-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
