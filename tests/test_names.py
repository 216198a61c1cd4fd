"""Each public name of the package means one thing: no two modules define a class, function or constant of one name."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import ganneal

PACKAGE = Path(ganneal.__file__).parent


def bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that ``statements`` of a module define; imports define none, so that re-exports do not count."""
    for node in statements:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If(body=body, orelse=other) | ast.Try(body=body, orelse=other):
                yield from bound([*body, *other])
            case _:
                pass


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    """Public names that two or more of ``sources``, by module, define."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, source in sources.items():
        for name in {*bound(ast.parse(source).body)}:
            if not name.startswith("_"):
                places[name].append(module)
    return {name: modules for name, modules in places.items() if len(modules) > 1}


def test_no_public_name_is_defined_twice() -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert defined_twice(sources) == {}


def test_a_second_definition_is_found_wherever_a_module_makes_it() -> None:
    first = "class A: ...\ndef b(): ...\nC = D = 1\nE: int = 2\nF, (G, _h) = 1, (2, 3)\nif C:\n    J = 1\n"
    second = "A = 1\nclass b: ...\ndef C(): ...\nD, E = 1, 2\nF = G = _h = 3\ntry:\n    J = 1\nfinally:\n    C"
    assert sorted(defined_twice({"x.py": first, "y.py": second})) == ["A", "C", "D", "E", "F", "G", "J", "b"]
    elsewhere = "from x import A, b as C\ndef f(b=1):\n    C = 1\nclass K:\n    A = 1\n"
    assert defined_twice({"x.py": first, "z.py": elsewhere}) == {}
