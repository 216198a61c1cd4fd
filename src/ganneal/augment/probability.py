"""Rules for the probability of a random change: a schedule, or adapted to the discriminator's overfitting."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ganneal import ranks as collective
from ganneal.augment.protocol import AugmentState
from ganneal.clocks import Counters
from ganneal.losses.outputs import LOG_RATIO, Output
from ganneal.optim.lr_rules import Constant, LRRule


@runtime_checkable
class Probability(Protocol):
    """The probability of each change, in [0, 1]. Subclass it: all but `now` have the bodies of one without state."""

    def init_state(self) -> AugmentState:
        """State at the start of a run."""
        return {}

    @property
    def reads_boundary(self) -> bool:
        """True if the rule needs a loss whose output has a boundary between real and fake."""
        return False

    @abstractmethod
    def now(self, state: AugmentState, counters: Counters) -> Tensor | float:
        """The probability at this point of training."""
        ...

    def observe(self, real_logits: Tensor, state: AugmentState, output: Output = LOG_RATIO) -> None:
        """Take note of the discriminator's outputs on augmented reals; ``output`` is their meaning under the loss."""


@dataclass(frozen=True)
class Scheduled(Probability):
    """``highest`` times the factor of ``rule``."""

    highest: float = 0.5
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        if not 0 <= self.highest <= 1:
            raise ValueError(f"highest must be a probability in 0..1, got {self.highest}.")

    def now(self, state: AugmentState, counters: Counters) -> float:
        return self.highest * self.rule.at(counters.read(self.rule.clock, own="d_updates"))


@dataclass(frozen=True)
class Adaptive(Probability):
    """Raised while the discriminator's sign on reals, r = E[sign D(x)], is above ``target``, lowered while below.

    Every ``every`` real images the probability moves by their number over ``speed``; from 0 to 1 takes ``speed`` images
    at least. Above 0.8 the changes would leak into the generator's samples.

    References:
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, sec. 3.1 and Fig. 3.
    """

    target: float = 0.6
    speed: int = 500_000
    every: int = 256
    limit: float = 0.8
    boundary: float | None = None
    """Output between real and fake. None takes the loss's own: 0 for log-odds and hinge, 0.5 for least squares with
    targets 0 and 1. Wasserstein and relativistic losses have none."""

    def __post_init__(self) -> None:
        if not -1 < self.target < 1:
            raise ValueError(f"target must be a mean sign between -1 and 1, got {self.target}; 0.6 is the paper's.")
        for name in ("speed", "every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 real image, got {getattr(self, name)}.")
        if not 0 < self.limit <= 1:
            raise ValueError(f"limit must be a probability above 0, at most 1, got {self.limit}.")

    @property
    def reads_boundary(self) -> bool:
        return self.boundary is None

    def init_state(self) -> AugmentState:
        # Tensors on the device: reading the signs into Python would wait for the GPU in every update.
        return {"probability": torch.zeros(()), "signs": torch.zeros(()), "count": 0}

    def now(self, state: AugmentState, counters: Counters) -> Tensor:
        return state["probability"]

    @torch.no_grad()
    def observe(self, real_logits: Tensor, state: AugmentState, output: Output = LOG_RATIO) -> None:
        boundary = output.boundary if self.boundary is None else self.boundary
        assert boundary is not None  # refused before anything is trained
        # Of all ranks: each alone would adapt to its own part of the batch, and their probabilities would drift apart.
        real_logits = collective.gather(real_logits)
        # The paper's r_t: the share of reals that D calls real, minus the share that it calls fake.
        state["signs"] = (real_logits - boundary).sign().float().sum() + state["signs"]
        state["count"] += len(real_logits)
        if state["count"] < self.every:
            return
        count, signs = state["count"], state["signs"]
        # A fixed speed towards either side: p goes from 0 to 1 in ``speed`` real images, whatever the distance from the
        # target.
        step = (signs / count - self.target).sign() * (count / self.speed)
        state["probability"] = (step + state["probability"]).clamp(0.0, self.limit)
        state["signs"], state["count"] = torch.zeros_like(signs), 0
