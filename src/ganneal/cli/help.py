"""The help of a command, from its fields: what is typed, the docstrings, values to choose from, defaults."""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from inspect import getdoc
from textwrap import fill

from ganneal.cli.command import Command
from ganneal.cli.fields import Option, options_of, parts_in
from ganneal.cli.options import Parts

HELP_WIDTH = 120
COLUMN = 22
"""Columns of what is typed; its meaning begins below it where it is longer."""
HELP_ROW = {"-h, --help": "Print this."}
HELP_ALL_ROW = {"--help-all": "Print every option with its value."}


def aligned_table(rows: Mapping[str, str]) -> str:
    """Aligned rows of what is typed and what it means, wrapped to the terminal."""
    width = _width()
    column = min(max(map(len, rows), default=0), COLUMN)
    lines = []
    for typed, meaning in rows.items():
        head = f"  {typed:<{column}}  "
        if len(typed) > column:
            lines.append(head.rstrip())
            head = " " * (column + 4)
        # A broken `--per-` could not be copied as the option it is.
        text = fill(meaning, width, initial_indent=head, subsequent_indent=" " * (column + 4), break_on_hyphens=False)
        lines.append(text or head)
    return "\n".join(line.rstrip() for line in lines)


def paragraph(text: str) -> str:
    """Indented text, wrapped to the terminal."""
    return fill(text, _width(), initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _width() -> int:
    return min(shutil.get_terminal_size((HELP_WIDTH, 50)).columns, HELP_WIDTH)


def help_asked(command: type[Command], name: str, words: Sequence[str]) -> str | None:
    """The help that the ``words`` after the command's ``name`` ask for, if any."""
    # Anywhere in the line, even as the value of an option: who asks for help wants nothing to run.
    if {"-h", "--help"} & set(words) or ("--help-all" in words and not _is_long(command)):
        return help_of(command, name)
    if "--help-all" in words:
        # Read as if it were called, so that the options of parts named in the line are listed.
        return help_on_all(command.parse([word for word in words if word != "--help-all"], name), name)
    return None


def _is_long(command: type[Command]) -> bool:
    """True if the command takes more options than its help has room for."""
    return bool(command.more() or command.parts)


def help_of(command: type[Command], name: str) -> str:
    """The help of the command called ``name``, on a screen."""
    said = {_value(option): option.said for option in _arguments(command)}
    rows = dict(row for option in options_of(command) for row in _rows(option, command.parts))
    rows |= {**command.more(), **(HELP_ALL_ROW if _is_long(command) else {}), **HELP_ROW}
    arguments = {"arguments": aligned_table(said)} if any(said.values()) else {}
    return _text(command, name, {**arguments, **command.sections(), "options": aligned_table(rows)})


def help_on_all(command: Command, name: str) -> str:
    """Every option of the command called ``name`` with its value, a table for each part."""
    options, parts = command.everything()
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    # A command that hands its options on to an experiment has some of its own as well.
    for option in [] if options is command else options_of(command):
        groups[""].update(_rows(option, {}))
    for option in options_of(options):
        part = option.path[0] if parts_in(getattr(options, option.path[0])) else ""
        groups[part].update(_rows(option, parts, every=True))
    shown = {"options": aligned_table(groups.pop("") | HELP_ROW)}
    for field, rows in groups.items():
        part = getattr(options, field)
        title = f"{field.replace('_', '-')}, {type(part).__name__}: {(getdoc(part) or '').splitlines()[0]}".rstrip(".")
        shown[title] = aligned_table(rows)
    return _text(type(command), name, shown)


def _arguments(command: type[Command]) -> list[Option]:
    return [option for option in options_of(command) if option.typed.place == "argument"]


def _text(command: type[Command], name: str, sections: Mapping[str, str]) -> str:
    # Brackets around what may be left out, as manual pages have them.
    words = [_value(o) if o.default is MISSING else f"[{_value(o)}]" for o in _arguments(command)]
    calls = [f"ganneal {name} {way}".rstrip() for way in command.usage or [" ".join([*words, "[options]"])]]
    usage = "usage: " + "\n       ".join(calls)
    return "\n\n".join([usage, getdoc(command) or "", *(f"{title}:\n{text}" for title, text in sections.items())])


def _rows(option: Option, parts: Parts, *, every: bool = False) -> Iterator[tuple[str, str]]:
    """Rows of a field: what is typed and what it means. ``every`` adds each form of a switch and empty values."""
    # The option that exchanges a part takes a registered name; its fields are rows of their own.
    _, registry = parts.get(".".join(option.path), ("", {}))
    names = tuple(registry)
    if option.typed.place != "option" or not (names or option.plain):
        return
    value, choices = ("NAME", names) if names else (_value(option), option.choices)
    flags = ", ".join(option.flags if every or option.typed.aliases else [option.flag])
    words = [f"{' | '.join(choices)}." * bool(choices), option.said, "" if names else _default(option, every)]
    yield f"{flags} {value}".rstrip(), " ".join(filter(None, words))


def _default(option: Option, every: bool) -> str:
    default = option.default
    # On the short help an empty value and a switch say nothing that the text beside them does not.
    if default is MISSING or not every and (default in (None, "", ()) or isinstance(default, bool)):
        return ""
    return f"(default {' '.join(map(str, default)) if isinstance(default, tuple) else default})"


def _value(option: Option) -> str:
    """Placeholder for the value: N, X, NAME, or the field's own name; nothing for a switch."""
    own = option.typed.value or option.path[-1].upper().replace("_", "-")
    plain = {bool: "", int: "N", float: "X"}
    if option.choices and not option.typed.value:
        own = option.choices[0] if len(option.choices) == 1 else "NAME"
    words = [own if option.typed.value else plain.get(kind, own) for kind in option.kinds]
    return f"{words[0]}..." if option.count is None else " ".join(words)
