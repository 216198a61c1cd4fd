"""Advice is about things that are there: options, commands, Python names, extras and pages that a sentence names.

The sentences are the string literals of the library, messages and help alike, and the pages of the documentation. That
whole commands of the pages are taken is for tests/docs/test_commands.py.
"""

import ast
import builtins
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.for_each import for_each

from ganneal.cli import COMMANDS
from ganneal.cli.command import Command
from ganneal.cli.configure import EXPERIMENT_PARTS
from ganneal.cli.data import DataCommand
from ganneal.cli.fields import options_of
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS
from ganneal.theory.games import GAMES

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ganneal"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9._-]*[a-z0-9]|[a-z])(?![\w-]*:)(?<!\.)")
SCRIPTS = [path for folder in ("examples", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
FOREIGN = {
    *("head", "find_links", "index_url", "extra_index_url", "require_hashes", "deps", "signal"),
    *("nnodes", "nproc_per_node", "rdzv_backend", "rdzv_endpoint", "ntasks_per_node", "gpus_per_node", "logdir"),
}
"""Options of Ray, pip, torchrun, SLURM and TensorBoard that sentences name."""
COLOURS = ("report/figures.py", "report/page.py")
"""Style sheets have names like options."""


class Sentence(NamedTuple):
    where: str
    """File and line."""
    text: str


def literals(path: Path) -> Iterator[Sentence]:
    """The string literals of a module; what is put into one in braces is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(SOURCE)
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.JoinedStr):
            pieces = [v.value if isinstance(v, ast.Constant) else "{}" for v in node.values]
            yield Sentence(where, "".join(map(str, pieces)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield Sentence(where, node.value)


@cache
def every_literal() -> list[Sentence]:
    return [sentence for path in sorted(SOURCE.rglob("*.py")) for sentence in literals(path)]


@cache
def texts() -> list[Sentence]:
    return [Sentence(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")) for page in PAGES]


def everything() -> list[Sentence]:
    return every_literal() + texts()


def dotted(value: Any, path: str = "") -> set[str]:
    """The options for the fields of a configuration, those of its parts too; a part of several by its number."""
    found: set[str] = set()
    inside = {str(number): part for number, part in enumerate(value)} if isinstance(value, tuple) else {}
    if is_dataclass(value):
        inside = {field.name: getattr(value, field.name) for field in fields(value)}
    for name, part in inside.items():
        inner = f"{path}.{name}".lstrip(".")
        found |= {inner} | dotted(part, inner)
    return found


@cache
def of_training() -> frozenset[str]:
    found = {option for make in EXPERIMENTS.values() for option in dotted(make())} | set(EXPERIMENT_PARTS)
    for path, (_, registry) in EXPERIMENT_PARTS.items():
        for part in registry.values():
            found |= dotted(part, path)
    return frozenset(found)


def declared(command: type[Command]) -> set[str]:
    """Options that a command declares as fields, and those of the parts that it takes by name."""
    flags = {flag for option in options_of(command) if option.plain for flag in option.flags}
    found = {flag.removeprefix("--").replace("-", "_") for flag in flags}
    for path, (_, registry) in command.parts.items():
        found |= {path} | {option for part in registry.values() for option in dotted(part, path)}
    return found


@cache
def options(name: str) -> frozenset[str]:
    """Every option of a command."""
    command: type[Command] = getattr(import_module(f"ganneal.cli.{name}"), f"{name.capitalize()}Command")
    own = {"help", "help_all", "version"}.union(*map(declared, (command, *command.commands.values())))
    if name == "games":
        own |= {option for game in GAMES.values() for option in dotted(game, "game")}
    return frozenset(own | (of_training() if name in ("train", "compare") else set()))


def named(text: str) -> set[str]:
    return {re.sub(r"(^|\.)no_", r"\1", option.replace("-", "_")) for option in OPTION.findall(text)} - FOREIGN


REACHED_BY = {
    "comparison/": "compare",
    "inference/export/": "export",
    "engine/": "train",
    "experiments/named.py": "train compare",
    "training/dry_run.py": "train",
    "training/forewarning.py": "train compare",
    "training/launch.py": "train",
    "reproduction/": "reproduce",
    "inference/drawing.py": "sample",
    "inference/sample_files.py": "sample",
    "training/session.py": "train",
    **{f"cli/{name}.py": name for name in COMMANDS},
}
"""Which commands, each of them, take the options that sentences of a module name."""


def wrong(sentence: Sentence) -> set[str]:
    """Options named in ``sentence`` that its reader does not have."""
    file = sentence.where.partition(":")[0]
    elsewhere = re.findall(r"ganneal ([a-z]+)", sentence.text)
    reached = next((names.split() for start, names in REACHED_BY.items() if file.startswith(start)), [])
    anywhere = frozenset().union(*map(options, COMMANDS))
    lists = [options(name) for name in reached if not elsewhere] or [anywhere]
    return {option for option in named(sentence.text) if not all(option in each for each in lists)}


@pytest.mark.runs
def test_options_that_messages_name_exist_where_the_message_is_read() -> None:
    found = {s.where: sorted(w) for s in every_literal() if not s.where.startswith(COLOURS) and (w := wrong(s))}
    assert not found


def test_options_that_the_pages_name_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    of_scripts = {name.replace("-", "_") for name in re.findall(r'add_argument\(\s*"--([a-z-]+)"', sources)}
    found = {
        f"{sentence.where}: {line}": sorted(missing)
        for sentence in texts()
        for line in sentence.text.splitlines()
        if (missing := wrong(Sentence(sentence.where, line)) - of_scripts)
    }
    assert not found


VALUE = re.compile(r"(?<![\w-])--([a-z][a-z0-9._-]*)[ =]([a-z][\w-]*)(?![\w=-])")


def test_parts_that_sentences_put_behind_an_option_are_registered() -> None:
    found = {
        f"{sentence.where}: --{option} {value}"
        for sentence in everything()
        for option, value in VALUE.findall(sentence.text)
        if (path := option.replace("-", "_")) in EXPERIMENT_PARTS and value not in EXPERIMENT_PARTS[path][1]
    }
    assert not {one for one in found if not one.endswith("--data takes")}


HEADS = "|".join(field.name for field in fields(Experiment))
FIELD = re.compile(rf"(?<![\w./-])((?:{HEADS})\.[a-z._-]*[a-z])(?![\w(])")


def test_fields_with_a_dash_are_written_as_options() -> None:
    assert not [f"{s.where}: {name}" for s in every_literal() for name in FIELD.findall(s.text) if "-" in name]


def test_advice_to_set_a_field_is_an_option() -> None:
    """Not `use task.paired=True` or `use scheme.fakes 'replay'`, which no command line and no Python takes."""
    as_neither = re.compile(rf"\b(?:use|give|or|with) ((?:{HEADS})\.[a-z._]+(?:=| '))")
    assert not [f"{s.where}: {name}" for s in raised() for name in as_neither.findall(s.text)]


def test_fields_that_errors_name_exist() -> None:
    fields_of_runs = of_training()
    found = {f"{s.where}: {name}" for s in raised() for name in FIELD.findall(s.text) if name not in fields_of_runs}
    assert not found


COMMAND = re.compile(r"`ganneal ([a-z]+)(?: ([a-z]+))?")


def test_commands_that_sentences_name_exist() -> None:
    found = []
    for sentence in everything():
        for command, second in COMMAND.findall(sentence.text):
            known = command in COMMANDS and (command != "data" or not second or second in DataCommand.commands)
            if not known:
                found.append(f"{sentence.where}: ganneal {command} {second}")
    assert not found


@cache
def exists(name: str) -> bool:
    """Whether a dotted Python name resolves."""
    head, *rest = name.split(".")
    value = import_module(head)
    for index, part in enumerate(rest, start=1):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = import_module(".".join([head, *rest[:index]]))
            except ImportError:
                return False
    return True


PYTHON_NAME = re.compile(r"(?<![\w/.@-])ganneal(?:\.[a-zA-Z_]\w*)+(?![\w/-])")
FILES = (".py", ".pt", ".toml", ".html", ".json", ".org", ".git", ".whl", ".tar")


def test_python_names_that_sentences_name_resolve() -> None:
    found = {
        f"{sentence.where}: {name}"
        for sentence in everything()
        for name in PYTHON_NAME.findall(sentence.text)
        if not name.endswith(FILES) and not exists(name)
    }
    assert not found


@cache
def defined() -> frozenset[str]:
    """Classes and constants at the top of the library's modules."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)


def raised() -> Iterator[Sentence]:
    """The literals inside `raise` statements."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                for inner in ast.walk(node.exc):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield Sentence(f"{path.relative_to(SOURCE)}:{inner.lineno}", inner.value)


PART = re.compile(r"(?<![\w.'])([A-Z][A-Za-z]*[a-z][A-Za-z]*)\(|(?<![\w.'])([A-Z][A-Z_]+)\[")


@pytest.mark.runs
def test_parts_that_errors_name_are_defined() -> None:
    known = defined() | set(vars(builtins))
    found = [
        f"{sentence.where}: {name}"
        for sentence in raised()
        for name in (a or b for a, b in PART.findall(sentence.text))
        if name not in known
    ]
    assert not found


def test_extras_and_pages_that_messages_name_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = [
        f"{sentence.where}: {name}"
        for sentence in everything()
        for name in re.findall(r"ganneal\[([a-z,]+)\]", sentence.text)
        if not set(name.split(",")) <= set(extras)
    ]
    found += [
        f"{sentence.where}: {page}"
        for sentence in every_literal()
        for page in re.findall(r"docs/[\w/-]+\.md", sentence.text)
        if not (ROOT / page).exists()
    ]
    assert not found


def test_environment_variables_that_sentences_name_are_read() -> None:
    read = {sentence.text for sentence in every_literal()}
    named_ones = {name for s in everything() for name in re.findall(r"\bGANNEAL_[A-Z_]+\b", s.text)}
    assert named_ones and named_ones <= read


@for_each(
    ("where", "text", "missing"),
    [
        ("cli/sample.py:1", "give --channels 3.", {"channels"}),
        ("cli/evaluate.py:1", "give --count 3.", set()),
        ("cli/sample.py:1", "train again: `ganneal train --data.size 32`", set()),
        ("training.py:1", "use --thread 4", {"thread"}),
        ("training.py:1", "use --records.no-tensorboard or --records.log-evry 10", {"records.log_evry"}),
        ("data/x.py:1", "use --no-flip.", set()),
        ("data/x.py:1", "give --data.size 32, --channels 3 or --records.held-out.fit pad", set()),
        ("data/x.py:1", "--skip-damaged or --data.chanels 3", {"skip_damaged", "data.chanels"}),
        ("data/x.py:1", "use --sizes", {"sizes"}),
    ],
)
def test_wrong_advice_is_found(where: str, text: str, missing: set[str]) -> None:
    assert wrong(Sentence(where, text)) == missing


def test_names_that_are_not_there_are_found() -> None:
    assert exists("ganneal.losses.LOSSES") and exists("ganneal.theory.games.play") and exists("ganneal.train")
    assert not exists("ganneal.losses.LOSS") and not exists("ganneal.gone.play")
    assert "Alternating" in defined() and "DELTAS" in defined() and "Alternate" not in defined()
