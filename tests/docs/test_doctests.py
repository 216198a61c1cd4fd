"""Every example in a docstring runs.

Docstrings are read from the source, not from the imported objects: the shape checker replaces functions by
wrappers whose examples `doctest` would silently skip.
"""

import ast
import doctest
import io
from importlib import import_module
from pathlib import Path

import pytest
from tests.for_each import for_each

import ganneal

PACKAGE = Path(ganneal.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def examples(path: Path) -> list[doctest.DocTest]:
    """One test per docstring with examples, without a namespace."""
    tests = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node, clean=False)
        if docstring is None or ">>>" not in docstring:
            continue
        name = module_name(path) if isinstance(node, ast.Module) else f"{module_name(path)}.{node.name}"
        line = node.body[0].lineno - 1
        tests.append(doctest.DocTestParser().get_doctest(docstring, {}, name, str(path), line))
    return tests


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.stem != "__main__" and examples(path)]


@pytest.mark.runs
@for_each("path", MODULES, ids=module_name)
def test_examples_print_what_they_say(path: Path) -> None:
    try:
        module = import_module(module_name(path))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ganneal":
            raise
        pytest.skip(f"{module_name(path)} needs {error.name}")
    for test in examples(path):
        test.globs = dict(vars(module))
        report = io.StringIO()
        failed = doctest.DocTestRunner(verbose=False).run(test, out=report.write).failed
        assert failed == 0, report.getvalue()


def test_an_example_that_prints_something_else_is_found() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 1


def test_the_pure_modules_have_examples() -> None:
    assert {"ganneal.weights", "ganneal.schemes", "ganneal.plan", "ganneal.losses", "ganneal.registry"} <= {
        module_name(path) for path in MODULES
    }
