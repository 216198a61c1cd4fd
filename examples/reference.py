"""Write docs/reference.md: every command, registered name and public name with the first line of its docstring.

python examples/reference.py [--page PAGE]
"""

import argparse
import ast
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from inspect import getdoc
from pathlib import Path
from typing import Any

from ganneal.cli import COMMANDS
from ganneal.cli.configure import EXPERIMENT_PARTS
from ganneal.divergences import DIVERGENCES
from ganneal.experiments import EXPERIMENTS
from ganneal.inference.export import FORMATS
from ganneal.metrics.measures import METRICS
from ganneal.reproduction import SCALES, TABLES
from ganneal.theory.games import GAMES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ganneal"
PAGE = ROOT / "docs" / "reference.md"
MODULES = (
    ("", "The library", "`import ganneal`; nothing heavy is imported before it is used."),
    ("steps", "Steps", "The moves that the engine makes."),
    ("schemes", "Schemes", "Functions from the number of a round to its steps ([Schedules](schedules.md))."),
    ("weights", "Weights", "Rules for the weight of each level of a nested scheme."),
    ("plan", "Plans", "The moves of a scheme, counted without training."),
    ("moments", "Moments", "Steps of an optimizer that divides its gradient by its size."),
    ("losses", "Losses", "Two functions of the discriminator's raw output ([Losses](losses.md))."),
    ("divergences", "Divergences", "f-divergences for the loss `hybrid` ([Divergences](losses.md#divergences))."),
    ("regularizers", "Regularizers", "Penalties and constraints ([Regularizers](regularizers.md))."),
    ("normalization", "Normalizations", "Changes of the discriminator itself."),
    ("augment", "Augmentations", "Random changes of what enters the discriminator."),
    (
        "optim",
        "Optimizers",
        "Optimizers, learning-rate rules, and the EMA of the generator ([Optimizers](optimizers.md)).",
    ),
    ("models", "Models", "Network families ([Networks](networks.md))."),
    ("data", "Data", "Sources of real samples ([Data](data.md))."),
    ("task", "Tasks", "Rules for what the players see of data and latents."),
    ("experiments", "Experiments", "Functions that return an `Experiment`, by name on the command line."),
    ("stop", "Stopping", "Rules that end a run."),
    ("metrics", "Metrics", "Functions of the features of samples ([Measuring a generator](evaluation.md))."),
    ("metrics.extractors", "Extractors", "Networks that turn samples into features."),
    ("inference.export", "Exported files", "Generators that run without ganneal ([Exporting a generator](export.md))."),
    ("evaluation.stored", "Evaluation", "Measurements of runs and files on disk."),
    (
        "comparison",
        "Comparison",
        "Several experiments under several seeds with one budget ([Comparing fairly](comparing.md)).",
    ),
    ("reproduction", "Reproduction", "Published tables as runs ([Published tables](reproduction.md))."),
    ("report", "Report", "The HTML page."),
    ("theory.games", "Games", "Small games with a known equilibrium ([Small games](theory.md#small-games))."),
    ("theory.propositions", "Propositions", "Statements of the theory, measured ([Theory](notes/theory.md))."),
)
"""Module, title and a sentence, in the order of the page."""

REGISTRIES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("Experiments", "`ganneal train NAME`", EXPERIMENTS),
    *(
        (f"{kind.capitalize()}s", f"`--{path.replace('_', '-')} NAME`", EXPERIMENT_PARTS[path][1])
        for path, kind in (
            ("scheme", "scheme"),
            ("scheme.weights", "weight rule"),
            ("loss", "loss"),
            ("loss.h", "increasing function"),
            ("regularizer", "regularizer"),
            ("normalization", "normalization"),
            ("augmentation", "augmentation"),
            ("augmentation.probability", "probability rule"),
            ("model", "model"),
            ("data", "data source"),
            ("task", "task"),
            ("push.delta", "factor of a push"),
            ("d_optimizer", "optimizer"),
            ("d_optimizer.rule", "learning-rate rule"),
            ("records.extractor", "extractor"),
        )
    ),
    ("Divergences", "`--loss hybrid --loss.g-divergence NAME`", DIVERGENCES),
    ("Metrics", "`ganneal evaluate RUN --metrics NAME`", METRICS),
    ("Formats", "`ganneal export RUN --format NAME`", FORMATS),
    ("Games", "`ganneal games NAME`", GAMES),
    ("Tables", "`ganneal reproduce NAME --scale SCALE`", TABLES),
    ("Scales", "`ganneal reproduce TABLE --scale NAME`", SCALES),
)
"""What is named on the command line: title, where, and the registry."""

HEAD = """# Reference

This page lists the commands, the names on the command line, and every public name of the library. Each has the first
line of its docstring. `help(NAME)` in Python shows the rest: shapes, units, errors and sources. `python
examples/reference.py` writes the page.
"""


@dataclass(frozen=True)
class Entry:
    """A public name, how it is called, and the first line of its docstring; empty where it has none."""

    name: str
    call: str
    line: str


@cache
def source(module: str) -> ast.Module:
    """The syntax tree of ``ganneal.module``."""
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def public(module: str) -> list[str]:
    """The names that a module offers: its ``__all__``, or what it defines without an underscore."""
    tree = source(module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and "__all__" in map(ast.unparse, node.targets):
            return ast.literal_eval(node.value)
    return [name for node in tree.body for name in _defined(node) if not name.startswith("_")]


def _defined(node: ast.stmt) -> list[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _imported(tree: ast.Module) -> dict[str, str]:
    """Name -> the module below ganneal that it comes from, however deep the import stands."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: (node.module or "").removeprefix("ganneal").removeprefix(".")
        for node in nodes
        for alias in node.names
        if (node.module or "").partition(".")[0] == "ganneal"
    }


def entry(module: str, name: str) -> Entry:
    """What the source says of ``name``, followed through the modules that pass it on."""
    tree = source(module)
    for place, node in enumerate(tree.body):
        if name in _defined(node):
            after = tree.body[place + 1] if place + 1 < len(tree.body) else None
            return Entry(name, _call(node, name, tree), _first_line(_docstring(node, after)))
    origin = _imported(tree)[name]
    is_module = not origin and any((PACKAGE / there).exists() for there in (name, f"{name}.py"))
    return Entry(name, name, _first_line(ast.get_docstring(source(name)))) if is_module else entry(origin, name)


def _docstring(node: ast.stmt, after: ast.stmt | None) -> str | None:
    """Of a class or function its own; of a constant the string below it."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return ast.get_docstring(node)
    match after:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return None


def _first_line(docstring: str | None) -> str:
    """Its first paragraph as one line of a table."""
    paragraph = " ".join((docstring or "").strip().split("\n\n")[0].split())
    return re.sub(r":math:`([^`]*)`", r"`\1`", paragraph).replace("``", "`").replace("|", "\\|")


def _call(node: ast.stmt, name: str, tree: ast.Module) -> str:
    """The name with its parameters, or with the fields of a dataclass, and their defaults."""
    if isinstance(node, ast.FunctionDef):
        return f"{name}({', '.join(_parameters(node.args))})"
    if isinstance(node, ast.ClassDef) and _is_dataclass(node):
        shown = (_with_default(field, default) for field, default in _fields(node, tree).items())
        return f"{name}({', '.join(shown)})"
    return name


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _fields(node: ast.ClassDef, tree: ast.Module) -> dict[str, ast.expr | None]:
    """Names and defaults of the fields of a dataclass, those of its bases in the same module first."""
    found: dict[str, ast.expr | None] = {}
    bases = [ast.unparse(base) for base in node.bases]
    for base in tree.body:
        if isinstance(base, ast.ClassDef) and base.name in bases and _is_dataclass(base):
            found |= _fields(base, tree)
    own = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return found | {ast.unparse(field.target): field.value for field in own}


def _parameters(arguments: ast.arguments) -> list[str]:
    """As in a signature, without annotations."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults]
    shown = [_with_default(one.arg, default) for one, default in zip(plain, defaults, strict=True)]
    shown += [f"*{arguments.vararg.arg}"] if arguments.vararg else ["*"] if arguments.kwonlyargs else []
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [*shown, *(_with_default(one.arg, default) for one, default in keyword)]


def _with_default(name: str, default: ast.expr | None) -> str:
    return name if default is None else f"{name}={ast.unparse(default)}"


def described(part: Any) -> str:
    """How a registered part is set, and what its class says, or what a function or a text of its own does."""
    told = getattr(part, "title", None) or getattr(part, "text", None)
    if isinstance(told, str):
        return told
    if isinstance(part, type) or not is_dataclass(part) or hasattr(part, "symbol"):
        return _first_line(getdoc(part))
    return f"`{part}`. {_first_line(getdoc(type(part)))}"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Names and what they are."""
    return "\n".join(["| name | |", "| --- | --- |", *(f"| `{name}` | {said} |" for name, said in rows), ""])


def text() -> str:
    """The page."""
    parts = [HEAD, "## Commands\n", table([(f"ganneal {name}", said) for name, said in COMMANDS.items()])]
    for title, where, registry in REGISTRIES:
        parts += [f"## {title}\n\n{where}\n", table([(name, described(part)) for name, part in registry.items()])]
    for module, title, sentence in MODULES:
        where = f"ganneal.{module}" if module else "ganneal"
        entries = [entry(module, name) for name in public(module) if not name.startswith("__")]
        parts += [f"## {title}: `{where}`\n\n{sentence}\n", table([(one.call, one.line) for one in entries])]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Write the reference of public names.")
    parser.add_argument("--page", type=Path, default=PAGE)
    page = parser.parse_args(arguments).page
    page.write_text(text(), encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
