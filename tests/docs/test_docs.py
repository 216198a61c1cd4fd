"""Every Python block of the README and the documentation runs, in order, in one namespace per file; names are there."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from tests.for_each import for_each

from ganneal.cli import COMMANDS
from ganneal.cli.configure import EXPERIMENT_PARTS
from ganneal.divergences import DIVERGENCES
from ganneal.experiments import EXPERIMENTS
from ganneal.metrics.measures import METRICS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")
USER_PAGES = [
    page for page in PAGES if page.parent.name != "notes" and page.name not in ("reference.md", "reproduction.md")
]
"""The pages to read; the others are notes of the project, and lists to look things up in."""


@pytest.fixture
def registries_restored():
    registries = [DIVERGENCES, EXPERIMENTS, METRICS, *(registry for _, registry in EXPERIMENT_PARTS.values())]
    kept = [dict(registry) for registry in registries]
    yield
    for registry, before in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]


@pytest.mark.runs
@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registries_restored: None):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "documentation"}
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, str(page), "exec"), namespace)


@for_each("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_every_page_is_in_the_navigation():
    navigation = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(navigation) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES[1:])


def test_the_pages_to_read_stay_few_and_short():
    words = sum(len(page.read_text(encoding="utf-8").split()) for page in USER_PAGES)
    assert len(USER_PAGES) <= 28 and words <= 26_000


def prose(page: Path) -> list[str]:
    """The paragraphs and list items of a page, without code, tables and headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    paragraphs = [p for p in re.split(r"\n\s*\n|\n(?=- |\d+\. )", text) if not re.match(r"    |\||#|!|<", p)]
    return [" ".join(p.split()) for p in paragraphs]


OPENING = re.compile(r"(?:^(?:- |\d+\. )?|[.:;] )((?:Of|What|Those|Whether) [^?]*?)(?:[.:;]|$)")


def test_sentences_begin_with_their_subject():
    found = [f"{page.name}: {one}" for page in USER_PAGES for text in prose(page) for one in OPENING.findall(text)]
    assert not found, "give them a subject and a verb"
    assert OPENING.findall("It runs. Of coverage nothing is said. What is it?") == ["Of coverage nothing is said"]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return import_module("reference")


@pytest.mark.runs
def test_every_public_name_is_documented(reference: ModuleType):
    entries = [(m, reference.entry(m, name)) for m, _, _ in reference.MODULES for name in reference.public(m)]
    bare = [f"ganneal.{module}.{one.name}" for module, one in entries if not one.line and one.name != "__version__"]
    assert not bare, f"give them docstrings; a constant's stands below it: {bare}"
    parts = [registry for _, _, registry in reference.REGISTRIES]
    missing = [
        path for path, (_, registry) in EXPERIMENT_PARTS.items() if not any(registry is shown for shown in parts)
    ]
    assert not missing, f"add their registries to examples/reference.py: {missing}"


def test_the_reference_is_what_the_source_says(reference: ModuleType):
    kept = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert kept == reference.text(), "run `python examples/reference.py`"


def test_a_public_name_without_a_docstring_is_found(reference: ModuleType, tmp_path: Path, monkeypatch):
    (tmp_path / "bare.py").write_text('A = 1\nB = 2\n"""Two."""\n\n\ndef c(x, *, y=1): ...\n')
    monkeypatch.setattr(reference, "PACKAGE", tmp_path)
    found = [reference.entry("bare", name) for name in reference.public("bare")]
    assert [(one.call, one.line) for one in found] == [("A", ""), ("B", "Two."), ("c(x, *, y=1)", "")]


def test_every_command_has_a_page():
    pages = "".join(page.read_text() for page in PAGES if page.name not in ("reference.md", "log.md"))
    assert [name for name in COMMANDS if f"ganneal {name}" not in pages] == []
