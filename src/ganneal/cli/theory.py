"""`ganneal theory`: the statements about ideal players, measured, and their figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import Typed


@dataclass(frozen=True)
class TheoryCommand(Command):
    """List the statements about ideal players, measure some, or draw the figures of the theory."""

    names: Annotated[tuple[str, ...], Typed("argument", value="NAME")] = ()
    """Statements to measure, as T2.2; all measures every one, in about 15 s. Left out, they are listed."""
    figures: Path | None = None
    """Folder for score-field.png and langevin.png, which take about 35 s."""
    steps: int | None = None
    """Training steps of the network in each figure; left out, 6000 and 4000."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}.")

    def __call__(self, typed: str) -> None:
        """List, measure or draw."""
        from ganneal.registry import lookup
        from ganneal.theory.propositions import PROPOSITIONS

        names = tuple(PROPOSITIONS) if self.names == ("all",) else self.names
        chosen = {name: lookup("statement", PROPOSITIONS, name) for name in names}
        width = max(map(len, PROPOSITIONS))
        for name, statement in chosen.items():
            value = statement.measure()
            verdict = "holds" if statement.holds(value) else "DOES NOT HOLD"
            print(f"{name:<{width}}  {value:<9.3g} {statement.bound:<14} {verdict:<5}  {statement.says}", flush=True)
        if self.figures is not None:
            write_figures(self.figures, self.steps)
        elif not chosen:
            print("\n".join(f"{name:<{width}}  {statement.says}" for name, statement in PROPOSITIONS.items()))
            print("\nganneal theory NAME measures one, ganneal theory all every one.")


def write_figures(folder: Path, steps: int | None = None) -> None:
    """Write every figure to ``folder``, and print what it shows in numbers."""
    import io

    from ganneal.storage.atomic import write_bytes
    from ganneal.theory.figures import FIGURES

    for name, figure_of in FIGURES.items():
        drawn = figure_of() if steps is None else figure_of(steps)
        picture = io.BytesIO()
        drawn.figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
        path = folder.expanduser() / f"{name}.png"
        write_bytes(path, picture.getvalue())
        print(f"{drawn.says}\n\npicture: {path}")
