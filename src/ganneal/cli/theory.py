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
    """Statements to measure, such as T2.2, or all, which takes about 15 s. Default: list them."""
    figures: Path | None = None
    """Folder for score-field.png and langevin.png, which take about 35 s."""
    steps: int | None = None
    """Training steps of the network in each figure. Default: 6000 and 4000."""

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
            # At once, since some statements train a network for ten seconds.
            print(f"{name:<{width}}  {value:<9.3g} {statement.bound:<14} {verdict:<5}  {statement.says}", flush=True)
        if self.figures is not None:
            from ganneal.theory.figures import write_figures

            for said in write_figures(self.figures, self.steps):
                print(said)
        elif not chosen:
            print("\n".join(f"{name:<{width}}  {statement.says}" for name, statement in PROPOSITIONS.items()))
            print("\nganneal theory NAME measures one, ganneal theory all every one.")
