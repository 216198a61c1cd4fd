"""Tasks, which turn data and latents into the two players' inputs. Register your own with ``TASKS["mine"] =
Mine()``."""

from ganneal.task.denoising import Denoising
from ganneal.task.direct import Labelled, Unconditional
from ganneal.task.protocol import Condition, Noisy, RealView, Task

TASKS: dict[str, Task] = {"unconditional": Unconditional(), "labelled": Labelled(), "denoising": Denoising()}
"""Tasks by name."""

__all__ = ["TASKS", "Condition", "Denoising", "Labelled", "Noisy", "Task", "Unconditional", "RealView"]
