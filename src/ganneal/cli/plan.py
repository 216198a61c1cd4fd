"""`ganneal plan`: what a schedule does, in figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT
from ganneal.moments import MomentDecays
from ganneal.plan import plan_as_text
from ganneal.registry import nearest
from ganneal.schemes import SCHEMES, Scheme
from ganneal.weights import WEIGHTS


@dataclass(frozen=True)
class PlanCommand(Command):
    """Print one round of a schedule, its update counts, cost and step sizes."""

    parts = {"scheme": ("scheme", SCHEMES), "scheme.weights": ("weight rule", WEIGHTS)}
    opens = "scheme or experiment"

    name: Annotated[str, ARGUMENT]
    """A scheme or an experiment."""
    scheme: Scheme
    g_cost: float = 1.0
    """Cost of one generator update over that of one discriminator update."""
    batch_size: int = 64
    """Real images of one discriminator update, and samples of one pass."""
    beta1: float = 0.0
    """Decay of the generator's average gradient, for the Adam steps."""
    beta2: float | None = None
    """Decay of its average squared gradient (smoothing of RMSProp). None stands for a memory much longer than a
    round."""

    def __post_init__(self) -> None:
        if not self.g_cost > 0:
            raise ValueError(f"g_cost must be above 0, got {self.g_cost}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")
        for name in ("beta1", "beta2"):
            if (value := getattr(self, name)) is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}; Adam's are 0.5 and 0.999.")

    @property
    def moments(self) -> MomentDecays | None:
        """Moment decays of the generator's optimizer; None without --beta2."""
        return None if self.beta2 is None else MomentDecays(self.beta1, self.beta2)

    @classmethod
    def begun(cls, first: str) -> "PlanCommand":
        """The plan of the scheme of that name, or of the experiment of that name."""
        # A scheme is planned without torch, which experiments need.
        if first in SCHEMES:
            return cls(first, SCHEMES[first])
        from ganneal.experiments import EXPERIMENTS

        if first not in EXPERIMENTS:
            raise ValueError(f"unknown scheme or experiment {first!r}. {nearest(first, SCHEMES | EXPERIMENTS)}")
        experiment = EXPERIMENTS[first]()
        # An optimizer without moving averages, as SGD, has no decays to take over.
        own = getattr(experiment.g_optimizer, "moments", None)
        decays = {} if own is None else {"beta1": own.beta1, "beta2": own.beta2}
        return cls(first, experiment.scheme, batch_size=experiment.batch_size, **decays)

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Some fields of schemes."""
        return {
            "--scheme.levels N": "Levels of a nested scheme (N_d).",
            "--scheme.steps N": "Functional steps of a scheme that pushes samples.",
            "--scheme.d-steps N": "Discriminator updates per level.",
            "--scheme.weights NAME": " | ".join(WEIGHTS),
            "--scheme.weights.first X, --scheme.weights.last X": "Weights of the first and the last level.",
        }

    def __call__(self, typed: str) -> None:
        """Print."""
        if self.name in SCHEMES:
            print(plan_as_text(self.scheme, self.g_cost, self.batch_size, moments=self.moments))
            return
        from ganneal.experiments import EXPERIMENTS
        from ganneal.training.forewarning import forewarning

        planned = replace(EXPERIMENTS[self.name](), scheme=self.scheme, batch_size=self.batch_size)
        print(plan_as_text(self.scheme, self.g_cost, self.batch_size, planned.generator_reals, self.moments))
        if warning := forewarning(planned):
            print(f"\nwarning: {warning}")
