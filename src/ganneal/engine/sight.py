"""What a discriminator sees in training: samples and what their condition holds, augmented alike."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganneal.regularizers import Change, unchanged
from ganneal.regularizers.shared_draws import Shared
from ganneal.task import Condition, Task


class Sight:
    """Samples and their condition as a discriminator sees them; every call makes the same random changes to both."""

    def __init__(
        self, task: Task, augmented: Callable[[Tensor], Tensor], random: torch.Generator, condition: Condition
    ):
        self.task, self.condition = task, condition
        self.augmented = Shared(augmented, random)

    def __call__(self, samples: Tensor, change: Change = unchanged) -> tuple[Tensor, Condition]:
        """``samples`` after ``change``, then augmented, and the condition with its own samples treated alike."""
        shown = self.augmented(change(samples))
        return shown, self.task.changed(self.condition, lambda beside: self.augmented(change(beside)))
