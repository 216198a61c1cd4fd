"""Everything that is written from the ledger: the page of all tables, the page with the answer, and their figures."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from ganneal.reproduction.answer import ANSWER_FILE, answer_page
from ganneal.reproduction.evidence_figures import CONTENT, SCALE_SHOWN, content_hash_of, draw, figure_contents
from ganneal.reproduction.page import reproduction_page
from ganneal.reproduction.results import Entry
from ganneal.reproduction.table import Table
from ganneal.storage.atomic import write_bytes


def write_documents(tables: Mapping[str, Table], ledger: Mapping[str, Mapping[str, Entry]], page: Path) -> None:
    """Write ``page`` of all ``tables``, and the answer and the figures beside it.

    Args:
        ledger: Entries by scale and name of the row.
    """
    shown = ledger.get(SCALE_SHOWN, {})
    # The figures come first, so that a page never names one that is not there.
    figures = figure_contents(tables, shown)
    for name, content in figures.items():
        file = page.with_name(name)
        # Drawn anew only where its numbers changed: another version of matplotlib makes other bytes of the same figure.
        if drawn_content(file) != content_hash_of(content):
            write_bytes(file, draw(content))
    write_bytes(page, reproduction_page(tables, ledger).encode())
    write_bytes(page.with_name(ANSWER_FILE), answer_page(tables, shown, list(figures)).encode())


def drawn_content(file: Path) -> str | None:
    """The hash of what the figure at ``file`` shows; None where there is no such figure."""
    if not file.exists():
        return None
    with Image.open(file) as image:
        return image.info.get(CONTENT)
