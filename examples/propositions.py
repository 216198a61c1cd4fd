"""The tables of docs/notes/theory.md, measured.

    python examples/propositions.py            # writes the tables into docs/notes/theory.md; about 15 s of a core

They go between the marks of the page. The exit status is 1 where a statement does not hold.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganneal.theory.langevin import noise_ratio
from ganneal.theory.normals import kl
from ganneal.theory.propositions import PROPOSITIONS, Statement, annealed
from ganneal.theory.propositions.chains import WEIGHT_RULES, divergences
from ganneal.theory.propositions.optimal import DATA
from ganneal.theory.propositions.vector_fields import ETAS, accumulated_error

PAGE = Path(__file__).parents[1] / "docs" / "notes" / "theory.md"
MARKS = {name: (f"<!-- {name}, by examples/propositions.py -->", f"<!-- end of {name} -->") for name in
         ("statements", "chains", "step sizes", "noise ratios")}  # fmt: skip


def shown(statement: Statement, value: float) -> str:
    """A measured figure; rounding errors, which differ between machines, as such."""
    small = statement.at_most is not None and 0 < statement.at_most <= 1e-9
    return "rounding" if small and statement.holds(value) else f"{value:.3g}"


def row(name: str) -> str:
    """One measured statement; slow ones train a network."""
    statement = PROPOSITIONS[name]
    value = statement.measure()
    holds = "yes" if statement.holds(value) else "NO"
    return f"| {name} | {statement.says} | {shown(statement, value)} | {statement.bound} | {holds} |"


def statements(names: Sequence[str]) -> str:
    """The statements as Markdown."""
    head = "| check | statement | measured | bound | holds |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *map(row, names)])


def chains() -> str:
    """Where ideal pushes take the model of setting S1 under each weight rule."""
    head = "| weights | final mean | final std | KL | falls at every push |\n| --- | --- | --- | --- | --- |"
    rows = []
    for name, rule in WEIGHT_RULES.items():
        path = annealed(rule)
        values = divergences(path)
        falls = all(after < before for before, after in zip(values, values[1:], strict=False))
        end = path[-1]
        rows.append(
            f"| {name} | {end.mean:.6f} | {end.std:.6f} | {kl(DATA, end):.6f} | "
            f"{'yes' if falls else f'no, up to {max(values):.1f}'} |"
        )
    return "\n".join([head, *rows])


def step_sizes() -> str:
    """The error of T4.3 at halved step sizes."""
    head = "| step size | " + " | ".join(f"{eta:g}" for eta in ETAS) + " |\n| --- |" + " --- |" * len(ETAS)
    return f"{head}\n| relative error | " + " | ".join(f"{accumulated_error(eta):.2g}" for eta in ETAS) + " |"


def noise_ratios() -> str:
    """The ratio of neighbouring noise levels for RGB images of three sizes."""
    sides = (32, 64, 256)
    head = "| image | " + " | ".join(f"{side} px, d = {3 * side**2:,}" for side in sides) + " |\n" + "| --- " * 4 + "|"
    return f"{head}\n| γ | " + " | ".join(f"{noise_ratio(3 * side**2):.4f}" for side in sides) + " |"


def printed(page: str, name: str) -> str:
    """What ``page`` has between the marks of ``name``."""
    begin, end = MARKS[name]
    return page.partition(begin)[2].partition(end)[0].strip()


def written(page: str, tables: Mapping[str, str], marks: Mapping[str, tuple[str, str]]) -> str:
    """``page`` with ``tables`` between their ``marks``."""
    for name, table in tables.items():
        begin, end = marks[name]
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the propositions of docs/notes/theory.md.")
    parser.add_argument("--page", type=Path, default=PAGE)
    page = parser.parse_args(arguments).page
    table = statements(list(PROPOSITIONS))
    tables = {"statements": table, "chains": chains(), "step sizes": step_sizes(), "noise ratios": noise_ratios()}
    page.write_text(written(page.read_text(), tables, MARKS))
    print(table)
    return 1 if "| NO |" in table else 0


if __name__ == "__main__":
    sys.exit(main())
