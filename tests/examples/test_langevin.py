"""The sampling example: what it writes, and where."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example with few samples and steps."""
    spec = spec_from_file_location("langevin_example", ROOT / "examples" / "langevin.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"COUNT": 50, "STEPS": 2}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_the_table_and_the_picture_are_written_beside_the_page(example: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{example.BEGIN}\nold\n{example.END}\nbelow\n")
    assert example.main(["--page", str(page), "--steps", "2"]) == 0
    lines = page.read_text().splitlines()
    assert lines[0] == "above" and lines[-1] == "below" and "old" not in lines
    assert [line.split(" | ")[0] for line in lines if line.startswith("| exact") or line.startswith("| learned")] == [
        "| exact scores",
        "| learned scores",
    ]
    with Image.open(tmp_path / "langevin.png") as picture:
        assert picture.size == (768, 400) and len(picture.convert("L").getcolors() or ()) > 10


def test_samples_start_at_the_first_level_and_are_given_after_each(example: ModuleType) -> None:
    still = example.sampled(lambda x, stds: torch.zeros_like(x))
    assert len(still) == len(example.LEVELS) and all(x.shape == (50, 2) for x in still)
    assert still[0].std() > 0.8 * example.LEVELS[0]
