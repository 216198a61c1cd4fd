"""What the hosted checks run is what anybody can run: targets of the Makefile, with tools that the repository names."""

import re
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / ".github/workflows").glob("*.yml")}
JOBS = {name: job for workflow in WORKFLOWS.values() for name, job in workflow["jobs"].items()}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_every_command_is_a_target_of_the_makefile() -> None:
    assert {"lint", "test", "wheel", "docs"} <= set(JOBS)
    for name, job in JOBS.items():
        for command in commands(job):
            make, target, *rest = command.split()
            assert make == "make" and target in TARGETS and rest == ['INDEX="$INDEX"'], (name, command)


def test_the_suite_runs_on_the_oldest_python_and_on_both_systems() -> None:
    matrix = JOBS["test"]["strategy"]["matrix"]
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    [oldest] = re.findall(r'requires-python = ">=([\d.]+)"', project)
    named = re.findall(r"Python :: (3\.\d+)", project)
    assert {"ubuntu-latest", "macos-latest"} <= set(matrix["os"])
    assert oldest in matrix["python"] and max(named, key=lambda version: int(version[2:])) in matrix["python"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md"])
def test_what_the_pages_name_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert {target for target in re.findall(r"`make ([\w-]+)", text)} <= TARGETS
    assert [path for path in re.findall(r"\]\((\w[^)#]*)\)", text) if not (ROOT / path).exists()] == []


def test_issue_forms_have_what_the_host_asks_for() -> None:
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(form), path
        assert all(part["attributes"]["label"] for part in form["body"]), path
