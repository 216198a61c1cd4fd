"""Every shell command of the README and the documentation is one that today's command line takes.

Each is run up to the door of its work, then it stops: the log's records of experiments and commands inside sentences
too. The slow test does so with the examples as well. The slowest runs the commands of all pages but the log to their
end, small where they train.
"""

import argparse
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import COMMANDS, main
from ganneal.cli.data import DataCommand
from ganneal.data import DATASETS
from ganneal.storage.encoding import encode

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LOG = ROOT / "docs" / "notes" / "log.md"
REFERENCE = ROOT / "docs" / "reference.md"
"""Its sentences only say where a name goes."""
PROGRAM = re.compile(r"(?:[A-Z_]+=\S+ )*(?:ganneal|python|make|pip) \S")
IN_SENTENCE = re.compile(r"`([^`\n]+)`")
SHELL_FENCE = re.compile(r"```(?:sh|bash|console)$")
PLACEHOLDERS = {"EXPERIMENT": "digits-nats", "NAME": "hinge", "SCHEME": "nats", "SCALE": "cpu"}
"""What stands for a name in the pages; RUN and PATH are folders, which the tests make."""

NAMES = {f"ganneal {name}" for name in (*COMMANDS, *(f"data {name}" for name in DataCommand.commands))}

DOORS = (
    "ganneal.cli.compare.compare",
    "ganneal.cli.data.source_at",
    "ganneal.cli.data.download_set",
    "ganneal.cli.data.fetch_files",
    "ganneal.evaluation.real_side.statistics_of",
    "ganneal.cli.evaluate.evaluate_images",
    "ganneal.cli.evaluate.evaluate_run",
    "ganneal.theory.games.match.Match.played",
    "ganneal.cli.reproduce.planned",
    "ganneal.theory.figures.write_figures",
    "ganneal.metrics.extractors.inception_file.fetch_inception",
    "ganneal.report.watch.watch",
    "ganneal.report.write_report",
    "ganneal.inference.loading.load",
    "ganneal.training.session.train",
    "ganneal.training.width.width_for",
    "ganneal.inference.zoo.page.listing",
)
"""The functions in which each command's work begins, once everything given to it has been parsed."""


SMALL = {
    "ganneal compare": "--records.evaluate-count 80 --records.no-tensorboard --jobs 1",
    "ganneal data inspect": "",
    "ganneal data statistics": "",
    "ganneal evaluate": "--count 300 --seeds 0",
    "ganneal export": "",
    "ganneal games": "--steps 5",
    "ganneal plan": "",
    "ganneal report": "",
    "ganneal reproduce": "",
    "ganneal sample": "--overwrite",
    "ganneal train": "--budget.d-updates 2 --records.evaluate-count 80 --records.no-tensorboard",
    "ganneal train photos --for": "--records.evaluate-count 80 --records.no-tensorboard",
    "ganneal train PATH --task denoising": "--budget.d-updates 1 --records.evaluate-count 0 --model.width 8",
    "python examples/denoising_steps.py": "--count 40 --seeds 2",
    "ganneal theory": "--steps 2",
}
"""What makes a command that begins so small enough to run, after its own options; the longest beginning counts."""
SMALLER = {
    "ganneal compare": {
        "--num-real 100000": "--num-real 64",
        "--seconds 60": "--d-updates 2",
        "--seeds 0,1,2": "--seeds 1",
        "--seeds 5": "--seeds 1",
    },
    "ganneal train": {"--for 30min": "--for 2s"},
}
"""Amounts of commands that take each option once, or no other budget."""
NOT_RUN = {
    "ganneal data fetch": "downloads; tests/data/sources/test_hub.py",
    "ganneal evaluate runs/x --extractor inception": "needs weights that are downloaded; tests/metrics/extractors",
    "ganneal evaluate runs/x --real cifar10.npz": "needs downloaded weights; tests/evaluation/test_real_side.py",
    "ganneal fetch": "downloads; tests/cli/test_fetch.py",
    "ganneal playground": "serves until interrupted; tests/inference/playground/test_page.py",
    "ganneal report runs/digits-nats --watch": "serves until interrupted; tests/report/test_watch.py",
    "ganneal report runs/photos --watch": "serves until interrupted; tests/report/test_watch.py",
    "ganneal reproduce table9 --scale cpu": "trains for hours; tests/reproduction/test_command.py",
    "ganneal train cifar10-": "needs CIFAR-10, and a GPU or minutes; tests/models",
    "ganneal train mnist-": "needs MNIST; tests/engine/test_functional_gradient.py",
    "make": "installs; Makefile",
    "pip": "installs; pyproject.toml",
    "python benchmarks": "measures speed; benchmarks",
    "python examples": "writes the documentation's figures and tables; tests/examples",
    "python examples/optimizer_study.py": "a hundred trainings; examples/optimizer_study.py",
}
"""Commands that begin so, why they are parsed alone, and what covers their work."""


class AtTheDoor(Exception):
    pass


def stop(*_: Any, **__: Any) -> NoReturn:
    raise AtTheDoor


def blocks(page: Path) -> Iterator[str]:
    """The lines of indented and of shell-fenced code, those that go on joined."""
    fence, started = "", ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        elif SHELL_FENCE.match(fence) or (not fence and line.startswith("    ")):
            started += line.strip()
            if started.endswith("\\"):
                started = started[:-1]
                continue
            yield started
        started = ""


def commands(page: Path) -> list[str]:
    """The shell commands in the page's blocks, without their comments."""
    lines = (re.sub(r"\s+#.*", "", line) for line in blocks(page) if PROGRAM.match(line))
    return [command for line in lines for command in line.split(" && ")]


def commands_in_sentences(page: Path) -> list[str]:
    """Those between backquotes outside blocks; the bare name of a command is not one."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    spans = (span for span in IN_SENTENCE.findall(prose) if PROGRAM.match(span))
    return [command for span in spans for command in span.split(" && ") if command not in NAMES]


def words(command: str) -> list[str]:
    """The command's words, placeholders filled, optional parts taken, assignments before it left out."""
    taken = re.sub(r"\[(--[^]]+)\]", r"\1", command).replace(" ... ", " EXPERIMENT ")
    for placeholder, name in PLACEHOLDERS.items():
        taken = re.sub(rf"\b{placeholder}\b(?!=)", name, taken)
    split = shlex.split(taken)
    first = next(index for index, word in enumerate(split) if not re.match(r"[A-Z_]+=", word))
    return split[first:]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the images of the pages lie, in two classes of a colour each."""
    folder = tmp_path_factory.mktemp("places")
    colours = np.random.default_rng(0).integers(0, 255, (4, 60, 8, 8, 3), dtype=np.uint8)
    for name in ("PATH", "path/to/images", "photos", "test", "data/ylecun-mnist"):
        for label, of_class in zip(("ant", "bee", "cat", "zebra"), colours, strict=True):
            (folder / name / label).mkdir(parents=True)
            for number, pixels in enumerate(of_class):
                Image.fromarray(pixels).save(folder / name / label / f"{number}.png")
    shutil.copy(ROOT / "docs" / "notes" / "theory.md", folder)
    np.savez(folder / "samples.npz", images=colours.reshape(-1, 8, 8, 3))
    return folder


@pytest.fixture(scope="module")
def runs(places: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the runs that the pages sample from, measure and report."""
    folder = tmp_path_factory.mktemp("runs") / "places"
    shutil.copytree(places, folder)
    labelled = "--task labelled --model biggan --model.width 2 --model.latent-size 8 --data.size 32 --batch-size 8"
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for command in (
            "digits-nats --out runs/digits-nats",
            "ring-ddgan --out runs/ring-ddgan",
            "ring-cfg --out RUN",
            f"PATH --out runs/x {labelled}",
            "photos --out runs/classes --task labelled --model.width 8",
        ):
            assert main(["train", *shlex.split(f"{command} {SMALL['ganneal train']}")]) == 0
        statistics = "photos --size 32 --extractor pixels --extractor.size 8 --out stats.npz"
        assert main(["data", "statistics", *shlex.split(statistics)]) == 0
    for name, like in {"photos": "x", "hinge": "digits-nats"}.items():
        shutil.copytree(folder / "runs" / like, folder / "runs" / name)
    return folder


def parse_ganneal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status = main(arguments)
    except AtTheDoor:
        return ""
    except SystemExit as end:
        status = end.code
    return "" if status in (0, None) else capsys.readouterr().err or f"status {status}"


def parse_python(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    if arguments[:2] == ["-m", "pytest"]:
        missing = [word for word in arguments if word.endswith(".py") and not (ROOT / word).exists()]
        return f"not there: {missing}" if missing else ""
    script, *rest = arguments
    parsed = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, given: Any = None, namespace: Any = None) -> NoReturn:
        parsed(parser, given, namespace)
        stop()

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr("ganneal.data.DATASETS", dict(DATASETS))  # tests/faults/run.py registers its own
    monkeypatch.setattr(sys, "argv", [script, *rest])
    monkeypatch.setattr(sys, "path", [str((ROOT / script).parent), *sys.path])
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    except AtTheDoor:
        return ""
    except SystemExit as end:
        return f"status {end.code}"
    return "it takes no options"


def parse_make(arguments: list[str]) -> str:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [word for word in arguments if "=" not in word and word not in targets]
    return f"no target {unknown}" if unknown else ""


def parse_pip(arguments: list[str]) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for word in arguments for group in re.findall(r"\[(.*)\]", word) for extra in group.split(",")}
    return f"no extra {sorted(named - set(extras))}" if named - set(extras) else ""


def said_of(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What is wrong with a command; nothing where it would go to work."""
    program, *arguments = words(command)
    with monkeypatch.context() as patched:
        match program:
            case "ganneal":
                for door in DOORS:
                    patched.setattr(door, stop)
                return parse_ganneal(arguments, capsys)
            case "python":
                return parse_python(arguments, patched)
            case "make":
                return parse_make(arguments)
            case _:
                return parse_pip(arguments)


IN_BLOCKS = {command: page for page in PAGES if page != LOG for command in commands(page)}
SAID = {command: page for page in PAGES if page != REFERENCE for command in commands_in_sentences(page)}
EVERYWHERE = SAID | {command: page for page in PAGES for command in commands(page)}


@pytest.mark.runs
def test_every_command_and_option_exists(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    check({c: page for c, page in EVERYWHERE.items() if "python examples" not in c}, places, monkeypatch, capsys)


@pytest.mark.slow
def test_every_command_is_taken(places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    check(EVERYWHERE, places, monkeypatch, capsys)


def check(
    found: dict[str, Path], places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(places)
    refused = [
        f"{page.relative_to(ROOT)}: {command}\n    {said}"
        for command, page in found.items()
        if (said := said_of(command, monkeypatch, capsys))
    ]
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (LOG, REFERENCE)], ids=lambda page: page.name)
def test_no_training_of_a_page_meets_the_run_of_another(
    page: Path, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    begun_runs: list[tuple[str, Any, str]] = []

    def keep(experiment: Any, out: Any, **_: Any) -> NoReturn:
        begun_runs.append((str(out), experiment, command))
        raise AtTheDoor

    monkeypatch.chdir(places)
    with monkeypatch.context() as patched:
        patched.setattr("ganneal.training.session.train", keep)
        for command in commands(page):
            if command.startswith("ganneal train") and "--help" not in command and "--dry-run" not in command:
                parse_ganneal(words(command)[1:], capsys)
    met = [
        f"{command} goes into {out}, where {before} began another run; give it an --out"
        for number, (out, experiment, command) in enumerate(begun_runs)
        for other, earlier, before in begun_runs[:number]
        if out == other and experiment.changes_from(encode(earlier))
    ]
    assert not met, "\n".join(met)


def begun(command: str, table: dict[str, str]) -> str:
    """The longest entry of ``table`` that the command begins with."""
    bare = re.sub(r"^([A-Z_]+=\S+ )+", "", command)
    return max((entry for entry in table if bare.startswith(entry)), key=len, default="")


def test_every_command_is_run_or_said_why_not():
    undecided = [f"{p.name}: {c}" for c, p in IN_BLOCKS.items() if not begun(c, SMALL) and not begun(c, NOT_RUN)]
    assert not undecided, f"put them into SMALL or NOT_RUN: {undecided}"
    idle = {*SMALL, *NOT_RUN} - {begun(c, table) for c in IN_BLOCKS for table in (SMALL, NOT_RUN)}
    assert not idle, f"no page has a command that begins so: {sorted(idle)}"
    assert all((ROOT / why.rpartition("; ")[2]).exists() for why in NOT_RUN.values())


def small(command: str) -> list[str]:
    """The command's words with amounts that take seconds."""
    less = command
    for amount, smaller in SMALLER.get(" ".join(command.split(" ")[:2]), {}).items():
        less = less.replace(amount, smaller)
    return [*words(less), *shlex.split(SMALL[begun(command, SMALL)])]


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in IN_BLOCKS if len(begun(c, SMALL)) > len(begun(c, NOT_RUN))])
def test_a_command_runs_to_its_end(
    command: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "places"
    shutil.copytree(runs, folder)
    program, *arguments = small(command)
    if arguments[0] == "train":
        kept = arguments[arguments.index("--init-from") + 1] if "--init-from" in arguments else ""
        for run in (folder / "runs").iterdir():
            if run != folder / kept:
                shutil.rmtree(run)
    monkeypatch.chdir(folder)
    threads = torch.get_num_threads()
    try:
        if "--devices" in arguments:  # the further processes run this one's program again, which must not be pytest
            command_line = [sys.executable, "-m", "ganneal.cli", *arguments]
            done = subprocess.run(command_line, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stderr
        elif program == "ganneal":
            assert main(arguments) == 0, capsys.readouterr().err
        else:
            monkeypatch.setattr(sys, "argv", arguments)
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
            assert end.value.code in (0, 1), capsys.readouterr().err  # 1: the few updates did not reach its mark
    finally:
        torch.set_num_threads(threads)


@for_each(
    ("command", "why"),
    [
        ("ganneal train digits-nats --scheme nested", "unknown scheme 'nested'"),
        ("ganneal train digits-nats --scheme.level 3", "--scheme.level"),
        ("ganneal sample RUN --number 3", "--number"),
        ("ganneal compare nats=digits-nats --seeds 5", "in which the arms are equal"),
        ("OMP_NUM_THREADS=1 python examples/propositions.py --stairs 3", "status 2"),
        ("make tests", "no target ['tests']"),
        ("pip install 'ganneal[hub,clusters]'", "no extra ['clusters']"),
    ],
)
def test_a_wrong_command_is_found(
    command: str, why: str, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(places)
    assert why in said_of(command, monkeypatch, capsys)


def test_commands_are_found_in_blocks_and_in_sentences(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "Say `ganneal zoo --help`, as of `ganneal zoo`, or\n\n"
        "    ganneal plan cts  # prints\n    ganneal compare a \\\n      b\n    x <- x + 1\n\n"
        "```sh\nA=1 python x.py && make demo\n```\n\n```text\nganneal train no\n```\n"
    )
    assert commands(page) == ["ganneal plan cts", "ganneal compare a b", "A=1 python x.py", "make demo"]
    assert commands_in_sentences(page) == ["ganneal zoo --help"]
