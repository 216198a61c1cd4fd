"""What importing costs and changes, and which way imports point."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ganneal
from tests.for_each import for_each

PACKAGE = Path(ganneal.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def in_a_fresh_interpreter(script: str) -> Any:
    """The JSON that ``script`` prints last; anything printed before it is an error."""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.stdout
    return json.loads(lines[0])


@for_each("module", ["ganneal", "ganneal.schemes", "ganneal.plan", "ganneal.weights", "ganneal.steps"])
def test_planning_a_schedule_imports_nothing_heavy(module: str) -> None:
    script = f"""
import json, sys
import {module}
heavy = ["torch", "numpy", "jaxtyping", "PIL", "scipy", "matplotlib", "rich"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    assert in_a_fresh_interpreter(script) == []


def test_public_names_are_listed_without_importing_them() -> None:
    script = """
import json, sys
import ganneal
names = dir(ganneal)
print(json.dumps([names, "torch" in sys.modules]))
"""
    names, heavy = in_a_fresh_interpreter(script)
    assert set(ganneal.__all__) <= set(names) and not heavy


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ganneal' has no attribute 'nonsense'"):
        _ = ganneal.nonsense  # pyright: ignore[reportAttributeAccessIssue]


INFERENCE = [name for name in SOURCES if name.startswith("ganneal.inference") and "playground" not in name]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What one interpreter saw as it imported more and more: what deploying needs, then training, then every module."""
    script = f"""
import json, random, sys
from importlib import import_module
import numpy, torch

def state():
    return [
        random.getstate(),
        str(numpy.random.get_state()),
        torch.get_rng_state().tolist(),
        torch.initial_seed(),
        torch.get_num_threads(),
        str(torch.get_default_dtype()),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        torch.get_float32_matmul_precision(),
    ]

def loaded(*names):
    return [name for name in names if name in sys.modules]

before = state()
found = {{}}
for module in {INFERENCE!r}:
    import_module(module)
    found[module] = loaded("ganneal.engine.loop", "ganneal.engine.run", "ganneal.training.session")
import ganneal.cli.train
from ganneal.experiments import digits_nats
digits_nats().data.load()
found["slow"] = loaded("torch._dynamo", "scipy", "matplotlib")
for module in {[name for name in SOURCES if not name.endswith("__main__")]!r}:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] == "ganneal":
            raise
print(json.dumps(found | {{"same state": state() == before}}))
"""
    return in_a_fresh_interpreter(script)


@pytest.mark.runs
def test_importing_every_module_prints_nothing_and_changes_no_global_state(found: dict[str, Any]) -> None:
    assert found["same state"] is True


@pytest.mark.runs
@for_each("module", INFERENCE)
def test_loading_a_generator_loads_no_training_code(found: dict[str, Any], module: str) -> None:
    assert found[module] == []


def test_parts_and_digits_come_without_the_compiler_and_scipy(found: dict[str, Any]) -> None:
    assert found["slow"] == []


class Rule(NamedTuple):
    """Modules that match ``importers``, and all below them, never import ``forbidden`` or what is below it."""

    importers: str
    forbidden: tuple[str, ...]
    unless: tuple[str, ...] = ()


LOW = ("ganneal.registry", "ganneal.steps", "ganneal.weights", "ganneal.schemes", "ganneal.moments", "ganneal.plan")
"""The game itself: pure Python, these modules and the standard library only."""

LEVELS = (
    "clocks logits machine moments randomness ranks registry steps stop storage weights wording",
    "data divergences optim schemes",
    "losses metrics plan task",
    "augment models push",
    "chain normalization regularizers",
    "experiment inference theory",
    "checks evaluation experiments",
    "engine report",
    "training",
    "comparison",
    "reproduction",
    "cli",
    "__main__",
)
"""Folders and modules of the top, from the ground up: each imports only what stands on an earlier line."""

RULES = [
    *(
        Rule(
            f"ganneal.{importer}",
            tuple(f"ganneal.{other}" for line in LEVELS[level:] for other in line.split() if other != importer),
        )
        for level, line in enumerate(LEVELS)
        for importer in line.split()
    ),
    Rule(
        "*",
        ("ganneal.experiments",),
        unless=("ganneal.cli", "ganneal.experiments", "ganneal.reproduction", "ganneal.__init__"),
    ),
]


def is_within(module: str, pattern: str) -> bool:
    return fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*")


def imported(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Every module, or name in one, that ``source`` may import: at the top, in functions, for types only."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                base = module.split(".")
                package = base[: len(base) - level + is_package] if level else []
                origin = ".".join([*package, *([origin] if origin else [])])
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(target)), *_]
            ):
                if name in ("import_module", "__import__"):
                    yield target


@cache
def imports_of(name: str) -> list[str]:
    path = SOURCES[name]
    return list(imported(path.read_text(encoding="utf-8"), name, path.stem == "__init__"))


def violations(rule: Rule, module: str, targets: list[str]) -> list[str]:
    # named apart, or a pattern for the package's own __init__ would match every module below it
    importer = "ganneal.__init__" if module == "ganneal" else module
    if not is_within(importer, rule.importers) or any(is_within(importer, exempt) for exempt in rule.unless):
        return []
    return [t for t in targets if any(is_within(t, forbidden) for forbidden in rule.forbidden)]


@for_each("rule", RULES, ids=lambda rule: rule.importers)
def test_imports_point_down(rule: Rule) -> None:
    broken = {name: found for name in SOURCES if (found := violations(rule, name, imports_of(name)))}
    assert broken == {}


@for_each("name", LOW)
def test_the_game_imports_itself_and_the_standard_library_only(name: str) -> None:
    def allowed(target: str) -> bool:
        return target.partition(".")[0] in sys.stdlib_module_names or any(is_within(target, low) for low in LOW)

    assert [target for target in imports_of(name) if not allowed(target)] == []


@for_each(
    ("module", "is_package", "source"),
    [
        ("ganneal.losses", False, "import ganneal.engine"),
        ("ganneal.losses", False, "from ganneal import engine"),
        ("ganneal.losses", False, "from ganneal.engine.loop import apply"),
        ("ganneal.losses", False, "from . import engine"),
        ("ganneal.losses", False, "from .engine import loop"),
        ("ganneal.data.sources.toys", False, "from ...engine import loop"),
        ("ganneal.data", True, "from ..engine import loop"),
        ("ganneal.data", True, "def f():\n    import ganneal.engine as e"),
        ("ganneal.models.mlp", False, "if TYPE_CHECKING:\n    from ganneal.training.session import train"),
        ("ganneal.task", False, "from importlib import import_module\nimport_module('ganneal.cli')"),
        ("ganneal.storage.run_directory", False, "from ganneal.experiment import Experiment"),
        ("ganneal.engine.run", False, "from ganneal.experiments.digits import digits_nats"),
        ("ganneal.inference.loading", False, "from ganneal.engine.run import Run"),
        ("ganneal.evaluation.stored", False, "from ganneal.engine.run import Cursor"),
        ("ganneal.report.page", False, "from ..engine import loop"),
        ("ganneal.comparison.study", False, "import ganneal.experiments"),
    ],
)
def test_an_import_that_points_up_is_found(module: str, is_package: bool, source: str) -> None:
    targets = list(imported(source, module, is_package))
    assert any(violations(rule, module, targets) for rule in RULES)


@for_each(
    ("module", "is_package", "source"),
    [
        ("ganneal", True, "from ganneal import experiments"),
        ("ganneal.cli.train", False, "import ganneal.experiments"),
        ("ganneal.experiments", True, "from . import digits"),
        ("ganneal.engine.loop", False, "from ganneal.engine.run import Run"),
        ("ganneal.engine.loop", False, "from .run import Run"),
        ("ganneal.training.session", False, "from ganneal.engine import loop"),
        ("ganneal.losses", False, "from ganneal.runs import anything"),
    ],
)
def test_an_import_that_points_down_is_allowed(module: str, is_package: bool, source: str) -> None:
    targets = list(imported(source, module, is_package))
    assert not any(violations(rule, module, targets) for rule in RULES)


TOP = sorted(path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.glob("*.py"))
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def test_every_folder_and_module_of_the_top_has_a_level() -> None:
    assert sorted(name for line in LEVELS for name in line.split()) == sorted({*TOP, *FOLDERS} - {"__init__"})


def test_the_top_stays_small_enough_to_read() -> None:
    assert len(TOP) <= 20 and len(FOLDERS) <= 20


def test_the_tree_of_the_readme_is_that_of_the_package() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    tree = readme[readme.index("    src/ganneal/") :]
    tree = tree[: tree.index("\n    tests/")]
    named = [word for line in tree.splitlines()[1:] for word in line.strip().partition("  ")[0].split()]
    folders = {word.removesuffix("/") for word in named if word.endswith("/")}
    modules = {word.removesuffix(".py") for word in named if word.endswith(".py")}
    assert folders == set(FOLDERS)
    assert modules == set(TOP) - {"__init__", "__main__"}


@pytest.mark.runs
def test_drawing_imports_few_modules() -> None:
    script = """
import json, sys
import ganneal.inference
assert ganneal.inference.load and ganneal.inference.TrainedGenerator
print(json.dumps([name for name in sys.modules if name.startswith("ganneal")]))
"""
    found = in_a_fresh_interpreter(script)
    assert len(found) <= 80
    unwanted = ("regularizers", "data.sources", "engine", "training", "chain", "push", "augment", "optim")
    assert [name for name in found if name.startswith(tuple(f"ganneal.{each}" for each in unwanted))] == []
