"""The page on losses names every registered one, in order."""

import re
from pathlib import Path

from ganneal.losses import LOSSES

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


def test_the_table_has_every_registered_loss() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE) == list(LOSSES)
