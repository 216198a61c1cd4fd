"""Every Python block of the README and the documentation runs, in order, in one namespace per file."""

import re
from pathlib import Path

import pytest

from ganneal.data import DATASETS
from ganneal.divergences import DIVERGENCES
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import LOSSES
from ganneal.models import MODELS
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import SCHEMES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.fixture
def registries_restored():
    registries = (DATASETS, DIVERGENCES, EXPERIMENTS, LOSSES, MODELS, REGULARIZERS, SCHEMES)
    kept = [dict(registry) for registry in registries]
    yield
    for registry, before in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registries_restored: None):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "documentation"}
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
