"""One HTML file: templates, style and script put together so that nothing is fetched."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ganneal import __version__
from ganneal.report import words
from ganneal.storage.atomic import write_bytes
from ganneal.wording import number, sentence

DARK = (
    "--paper: #141619; --card: #1c1f24; --ink: #e9e7e2; --muted: #a4a9b2; --rule: #343941; --accent: #8ab4f0; "
    "--good: #6fd3ac; --warning: #e6b566; --alarm: #f4988f; --focus: #9cc2ff; "
    "--s0: #7ab5f5; --s1: #f0a36b; --s2: #63cfa0; --s3: #dd9bd8; --s4: #d5c65c; --s5: #abb0ff; --s6: #f28b9a; "
    "--s7: #7fd0de;"
)
"""Colours of the dark theme, which the style sheet needs twice: for the system's choice and for the reader's."""


def _resource(name: str) -> str:
    return files("ganneal.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ganneal.report"),
        # Names of runs and texts of errors are input of somebody: everything is escaped that is not `Markup`.
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # A name that the template has and the content lacks is an error, not an empty place.
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "number": number,
        "part": words.part,
        "sentence": sentence,
    }
    return environment


def policy(script: str) -> str:
    """The Content-Security-Policy: no network whatsoever, and no script but ``script``."""
    # A hash lets exactly this script run: a script that got in with the name of a run or the text of an error is none.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        f"base-uri 'none'; form-action 'none'"
    )


def render(template: str, live: str = "", **content: Any) -> str:
    """The page of ``template``; everything but our own markup is escaped.

    Args:
        live: A line on top of a page that is served and renewed.
    """
    script = _resource("script.js").strip()
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            live=live,
            # Style and script stand in the page, which so needs no second file and can be sent or kept as one.
            style=Markup(_resource("style.css").replace("/* dark */", DARK)),
            script=Markup(script),
            policy=policy(script),
            version=__version__,
        )
    )


def write_html(html: str, path: Path) -> Path:
    """Put the page at ``path``, atomically."""
    refuse_directory(path)
    write_bytes(path, html.encode("utf-8", "backslashreplace"))  # of file names that are no UTF-8
    return path


def refuse_directory(path: Path) -> None:
    """A ValueError where ``path`` is no place for a page."""
    if path.is_dir():
        raise ValueError(f"out must be a file for the page, got the directory {path}; add a name, as page.html.")
