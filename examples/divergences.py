"""The table and the figure of docs/losses.md, from the rows of the library.

    python examples/divergences.py [--page docs/losses.md]

The table goes between the two marks of the page, the figure beside it.
"""

import argparse
import sys
from collections.abc import Sequence
from math import isinf
from pathlib import Path

import torch

from ganneal.divergences import DIVERGENCES, FDivergence

BEGIN, END = "<!-- written by examples/divergences.py -->", "<!-- end of what it writes -->"


def ordered() -> dict[str, FDivergence]:
    """The rows from the most mode-seeking to the most mass-covering."""
    return dict(sorted(DIVERGENCES.items(), key=lambda item: -item[1].tail_weights.mode_seeking))


def _number(value: float) -> str:
    return "∞" if isinf(value) else f"{value:.4g}"


def _pull(left: float) -> str:
    """What becomes of the generator's pull on a fake that is ever more obviously one."""
    return "grows" if left > 2 else "stays" if left == 2 else "vanishes"


def _kind(index: float) -> str:
    return "mode-seeking" if index > 0 else "mass-covering" if index < 0 else "between"


def table() -> str:
    """The rows as Markdown."""
    head = (
        "| name | divergence | tail weights | index | kind | f(0) | lim f(u)/u | pull on hopeless fakes |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = [
        f"| `{name}` | {row.symbol} | {left:g}, {right:g} | {index:g} | {_kind(index)} | {_number(row.at_zero)} | "
        f"{_number(row.at_infinity)} | {_pull(left)} |"
        for name, row in ordered().items()
        for (left, right), index in [(row.tail_weights, row.tail_weights.mode_seeking)]
    ]
    return "\n".join([head, *rows])


def draw(path: Path) -> None:
    """The generator's pull b'(d) and the curvature s(d), coloured by the mode-seeking index."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    d = torch.linspace(-6, 6, 241, dtype=torch.float64)
    colours = pyplot.get_cmap("coolwarm")
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    styles = ("-", "--", ":")
    seen: dict[float, int] = {}
    for name, row in ordered().items():
        index = row.tail_weights.mode_seeking
        style = styles[seen.setdefault(index, 0)]
        seen[index] += 1
        colour = "0.35" if index == 0 else colours((index + 3) / 6)
        for axes, curve in zip(panels, (row.fake_slope(d), row.curvature(d)), strict=True):
            axes.plot(d, curve, style, color=colour, label=f"{name} ({index:+g})" if index else f"{name} (0)")
    for axes, title, low in zip(
        panels,
        ("pull on a fake, b'(d): how hard the generator is moved", "curvature, s(d) = f''(e^d) e^(3d/2)"),
        (1e-3, 1e-2),
        strict=True,
    ):
        axes.set_yscale("log")
        axes.set_ylim(low, 1e3)
        axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.set_xlabel("obvious fakes   ←   d = log(data / model)   →   missed data")
        axes.set_title(title, fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the table and the figure of the divergences.")
    parser.add_argument("--page", type=Path, default=Path("docs/losses.md"))
    page = parser.parse_args(arguments).page
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")
    draw(page.with_name("divergences.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
