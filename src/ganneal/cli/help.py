"""The help of a command, from the dataclass of its options: the fields with their values, defaults and docstrings."""

import ast
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from inspect import getdoc, getsource
from itertools import pairwise
from textwrap import dedent, fill
from typing import Any, Literal, get_args, get_origin, get_type_hints

HELP_WIDTH = 120
COLUMN = 22
"""Columns of what is typed; its meaning begins below it where it is longer."""

Rows = Mapping[str, str]
"""What is typed -> what it means."""


def aligned_table(rows: Rows) -> str:
    """Aligned rows, wrapped to the terminal."""
    width = min(shutil.get_terminal_size((HELP_WIDTH, 50)).columns, HELP_WIDTH)
    column = min(max(map(len, rows), default=0), COLUMN)
    lines = []
    for typed, meaning in rows.items():
        head = f"  {typed:<{column}}  "
        if len(typed) > column:
            lines.append(head.rstrip())
            head = " " * (column + 4)
        # A broken `--per-` could not be copied as the option it is.
        lines.append(
            fill(meaning, width, initial_indent=head, subsequent_indent=" " * (column + 4), break_on_hyphens=False)
        )
    return "\n".join(line.rstrip() for line in lines)


def help_of(
    kind: type,
    command: str,
    *,
    usage: Sequence[str] = (),
    sections: Mapping[str, str] | None = None,
    parts: Mapping[str, Any] | None = None,
    more: Rows | None = None,
) -> str:
    """The help of ``command``, whose options are the dataclass ``kind``.

    Args:
        usage: The ways to call it, where they are others than its positional arguments say.
        sections: Title -> text of what comes before the options.
        parts: The fields that take a registered name.
        more: Options that are no fields.
    """
    arguments, options = _arguments(kind), {**_options(kind, parts or {}), **(more or {})}
    ways = usage or [" ".join([*arguments, "[options]"])]
    calls = "usage: " + "\n       ".join(f"ganneal {command} {way}".rstrip() for way in ways)
    named = {"arguments": aligned_table(arguments)} if any(arguments.values()) else {}
    shown = {**named, **(sections or {}), "options": aligned_table({**options, "-h, --help": "Print this."})}
    return "\n\n".join([calls, getdoc(kind) or "", *(f"{title}:\n{text}" for title, text in shown.items())])


def _docstrings(kind: type) -> dict[str, str]:
    """The text below each field of ``kind``, in one line."""
    found: dict[str, str] = {}
    for own in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        [statement] = ast.parse(dedent(getsource(own))).body
        assert isinstance(statement, ast.ClassDef)
        for field, text in pairwise(statement.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                    found[name] = " ".join(said.split())
    return found


def _fields(kind: type, *, positional: bool) -> Iterator[tuple[str, Any, str, Any]]:
    """Name on the command line, annotation, docstring and default of each field."""
    hints, docstrings = get_type_hints(kind, include_extras=True), _docstrings(kind)
    for field in fields(kind):
        settings = getattr(hints[field.name], "__metadata__", ())
        if positional != any("Positional" in repr(setting) for setting in settings):
            continue
        spelled = [s for s in settings if hasattr(s, "aliases")]
        name = next((s.name for s in spelled if s.name), field.name)
        aliases = "".join(f", {alias}" for s in spelled for alias in s.aliases or ())
        yield name + aliases, hints[field.name], docstrings.get(field.name, ""), field.default


def _arguments(kind: type) -> Rows:
    return {_value(hint, name): said for name, hint, said, _ in _fields(kind, positional=True)}


def _options(kind: type, parts: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, hint, said, default in _fields(kind, positional=False):
        option = f"--{name}".replace("_", "-")
        if is_dataclass(default) and name not in parts:
            inner = _options(type(default), {})
            found |= {f"{option}.{row[2:]}": text or said for row, text in inner.items()}
        elif default is not MISSING or name in parts:
            found |= _row(option, hint, said, default, parts.get(name, ("", ()))[1])
    return found


def _row(option: str, hint: Any, said: str, default: Any, registered: Iterable[str]) -> dict[str, str]:
    """The row of a field; ``registered`` are the names that it takes, if it holds a part or several."""
    choices = " | ".join(registered) or _choices(hint)
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    plain = default in (None, MISSING, "", ()) or isinstance(default, bool) or is_dataclass(default)
    words = [f"{choices}." if choices else "", said, "" if plain else f"(default {shown})"]
    name = option.partition(", ")[0].rpartition(".")[2].lstrip("-")
    value = "NAME" + "..." * isinstance(default, tuple) if registered else _value(hint, name)
    return {f"{option} {value}".rstrip(): " ".join(filter(None, words))}


def _bare(hint: Any) -> Any:
    """``hint`` without what is said of it and without None."""
    while hasattr(hint, "__metadata__"):
        hint = hint.__origin__
    inner = [one for one in get_args(hint) if one is not type(None)]
    return _bare(inner[0]) if type(None) in get_args(hint) and len(inner) == 1 else hint


def _choices(hint: Any) -> str:
    bare = _bare(hint)
    return " | ".join(get_args(bare)) if get_origin(bare) is Literal else ""


def _value(hint: Any, name: str) -> str:
    """What stands for the value: N, X, NAME, or the field's own name; nothing for a switch."""
    bare = _bare(hint)
    for setting in getattr(hint, "__metadata__", ()):
        if getattr(setting, "metavar", None):
            return "X" if bare is float else setting.metavar
    if get_origin(bare) is Literal:
        values = get_args(bare)
        return values[0] if len(values) == 1 else "NAME"
    if get_origin(bare) is tuple:
        inner = get_args(bare)
        return f"{_value(inner[0], name)}..." if inner[-1] is ... else " ".join(_value(one, name) for one in inner)
    return {bool: "", int: "N", float: "X"}[bare] if bare in (bool, int, float) else name.upper().replace("_", "-")
