"""What was tried and what became of it, from the files of the two runners: docs/notes/reliability.json and its tables.

python tests/faults/report.py FAULTS.json FUZZ.json... writes it, and puts the tables into docs/notes/reliability.md.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "docs" / "notes" / "reliability.json", ROOT / "docs" / "notes" / "reliability.md"
OUTCOMES = {
    "undisturbed": "same result at once",
    "resumed": "went on",
    "mended": "went on after what it asked for",
}


def summary(faults: dict[str, Any], fuzz: dict[str, Any]) -> dict[str, Any]:
    """Both, without what it takes to go on."""
    readers = {
        name: {"inputs": entry["done"], "seed": entry["seed"], **entry["counts"], "faults": len(entry["faults"])}
        for name, entry in fuzz.items()
    }
    lost = [trial for trial in faults["trials"] if trial["outcome"] == "lost"]
    return {"seed": faults["seed"], "faults": faults["counts"], "lost": lost, "readers": readers}


def tables(found: dict[str, Any]) -> tuple[str, str]:
    """Markdown, a row for each kind of fault, and one for each reader."""
    kinds = [
        [name, count["tried"], *(count.get(key, 0) for key in OUTCOMES), count.get("lost", 0)]
        for name, count in found["faults"].items()
    ]
    total = ["**all**", *(sum(row[column] for row in kinds) for column in range(1, len(OUTCOMES) + 3))]
    readers = [
        [f"`{name}`", entry["inputs"], entry.get("read", 0), entry.get("refused", 0), entry["faults"]]
        for name, entry in found["readers"].items()
    ]
    return (
        _table(["fault", "tried", *OUTCOMES.values(), "lost"], [*kinds, total]),
        _table(["reader", "damaged files", "read all the same", "refused by name", "faults"], readers),
    )


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(f'{v:,}' if isinstance(v, int) else v for v in line)} |" for line in lines)


def main(arguments: list[str]) -> None:
    """Write the results from the files named, and the page from the results."""
    if arguments:
        faults, *fuzz = (json.loads(Path(name).read_text()) for name in arguments)
        every = {name: entry for part in fuzz for name, entry in part.items()}
        RESULTS.write_text(json.dumps(summary(faults, every), indent=1) + "\n")
    page = PAGE.read_text()
    for table in tables(json.loads(RESULTS.read_text())):
        head = re.escape(table.partition("\n")[0])
        page, count = re.subn(rf"^{head}\n(\|.*\n)*", f"{table}\n", page, flags=re.MULTILINE)
        assert count == 1, head
    PAGE.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
