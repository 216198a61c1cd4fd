"""The page on losses names every registered one, in order."""

import re
from pathlib import Path

from ganneal.losses import LOSSES

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


def test_the_table_has_every_registered_loss() -> None:
    losses = PAGE.read_text().partition("\n## Divergences\n")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", losses, re.MULTILINE) == list(LOSSES)
