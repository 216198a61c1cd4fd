"""Shapes and types are checked in tests: jaxtyping wraps every function of ganneal as it is imported."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import config as shape_checks
from jaxtyping import install_import_hook
from PIL import Image

assert "ganneal" not in sys.modules, "ganneal was imported before its shape checker was installed"
# The numeric tower is PEP 484's reading of `float`, and pyright's: Geometric(1, 0.01) is well typed.
install_import_hook("ganneal", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

# No deadline: the first example pays for imports. Derandomized: the same commit gives the same verdict.
settings.register_profile("ganneal", deadline=None, derandomize=True)
settings.load_profile("ganneal")

REPOSITORY = Path(__file__).resolve().parents[1]

# Here, not in the fixture: test modules copy the environment for the processes they start as they are imported.
CACHE = tempfile.TemporaryDirectory(prefix="ganneal-cache-")
os.environ["GANNEAL_CACHE"] = CACHE.name

# The only place that says where test images and weights lie.
SHARED = REPOSITORY.parent / "shared" / "data"
if SHARED.is_dir():
    os.environ.setdefault("GANNEAL_DATA", str(SHARED))


def pytest_configure(config: pytest.Config) -> None:
    """Remarks on made-up images are no errors where a test does not ask for them; other warnings are."""
    config.addinivalue_line("filterwarnings", "ignore::ganneal.data.messages.Remark")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Long tests go without shape checks, two fifths of their time; quick tests of the same code have them."""
    before = shape_checks.jaxtyping_disable
    shape_checks.jaxtyping_disable = before or item.get_closest_marker("runs") is not None
    try:
        return (yield)
    finally:
        shape_checks.jaxtyping_disable = before


@pytest.fixture(scope="session", autouse=True)
def no_cache_at_home() -> Iterator[None]:
    """What tests compute is cached in a folder of this session, which goes with it; the home directory stays alone."""
    yield
    CACHE.cleanup()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of shared test images and weights; tests that need it are skipped where it is absent."""
    root = Path(os.environ.get("GANNEAL_DATA", SHARED))
    if not root.is_dir():
        pytest.skip(f"no test data at {root}; set GANNEAL_DATA to the folder that holds it")
    return root


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty present folder of a user who has fetched nothing; where `ganneal data fetch` would write is returned."""
    monkeypatch.delenv("GANNEAL_DATA", raising=False)
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache" / "data"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One CPU thread, whose bits do not depend on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's pictures of points are left empty: to draw them takes longer than a small training."""
    monkeypatch.setattr("ganneal.training.session.scatter", lambda *points: Image.new("L", (1, 1)))
