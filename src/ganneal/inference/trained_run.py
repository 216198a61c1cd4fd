"""A trained run on disk: its card, its weights, and networks built from both, never far larger than the weights."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganneal.inference.generator import TrainedGenerator
from ganneal.models import MODELS, ModelPair
from ganneal.models.parts.batch_norm import Statistics
from ganneal.storage.encoding import decode
from ganneal.storage.weight_files import StateDict
from ganneal.task import TASKS

MOST_LARGER = 64
"""Upper limit on the size of the networks that a card may describe, as a multiple of the weights beside it."""
FREE_PARAMETERS = 2**27
"""Numbers allowed beyond that: a discriminator may be far larger than a tiny generator, and a `Pair` builds both
players of the family that it takes one from."""
FAR_LARGER = "its networks are far larger than the weights beside it; restore the card."


class _NoLargerTensor(TorchFunctionMode):
    """Refuses to make a tensor of more than ``most`` numbers, before it is asked for.

    The hook on parameters sees one only when its memory is taken already.
    """

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # The functions by which layers ask for memory; a forged card could name a network of terabytes.
        if func in (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn):
            sizes = (kwargs or {}).get("size", args)  # one tuple, or numbers one after the other
            if prod(sizes[0] if sizes and isinstance(sizes[0], Sequence) else sizes) > self.most:
                raise ValueError(FAR_LARGER)
        return func(*args, **(kwargs or {}))


@contextmanager
def _like(weights: StateDict) -> Iterator[None]:
    """Refuse to build networks far larger than ``weights``, before memory is touched for what is beyond them."""
    most = MOST_LARGER * sum(tensor.numel() for tensor in weights.values()) + FREE_PARAMETERS
    # Of tensors too: a card of a million tiny layers takes few numbers, and hours.
    most_tensors = MOST_LARGER * (len(weights) + 1)
    count, tensors, thread = 0, 0, threading.get_ident()

    def counted(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, tensors
        # The hook is the whole process's: networks that other threads build meanwhile do not count.
        if parameter is not None and threading.get_ident() == thread:
            count, tensors = count + parameter.numel(), tensors + 1
            if count > most or tensors > most_tensors:
                raise ValueError(FAR_LARGER)

    hook = register_module_parameter_registration_hook(counted)
    try:
        with _NoLargerTensor(most):
            yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class TrainedRun:
    """A trained run on disk: its card, and its networks by the name of their file."""

    path: Path
    source: Path
    """The file of the card."""
    card: dict[str, Any]
    files: tuple[str, ...]
    """The names of the files of weights that are there."""
    weights: Callable[[str], StateDict]

    @contextmanager
    def named(self) -> Iterator[None]:
        """Whatever a card leads to that does not fit the weights beside it names the file that it is in."""
        try:
            yield
        except FileNotFoundError:
            raise  # it names a file already
        except ValueError as error:
            if str(self.path) in str(error):  # so does this one
                raise
            raise ValueError(f"the run that {self.source} describes: {error}") from error
        except Exception as error:  # a part built with another's fields raises almost any type
            raise ValueError(
                f"{self.source} does not describe the weights beside it ({type(error).__name__}: {error}); restore "
                f"it, or use another run directory."
            ) from error

    def part(self, name: str, registries: Sequence[Mapping[str, Any]]) -> Any:
        """The part ``name`` of the experiment, of a type in ``registries``."""
        # Only registered types: a card names classes, and none but these is ever made from it.
        types = {type(part) for registry in registries for part in registry.values()}
        found = decode(self.card["experiment"][name], types)
        if type(found) not in types:
            raise ValueError(f"{name} must be a part with its type, got {found!r}.")
        return found

    def own_statistics(self) -> Statistics | None:
        """The run's own setting for batch norm of the averaged generator."""
        rule = self.card["experiment"].get("averaging", {}).get("statistics")
        return "standing" if rule == "recompute" else None

    @property
    def batch_size(self) -> int:
        """Samples of one generator update."""
        experiment = self.card["experiment"]  # as JSON: parts that are not needed here are never built
        return experiment.get("g_batch_size") or experiment["batch_size"]

    def pair(self, generator: str) -> ModelPair:
        """Players of the right shapes, hardly larger than the weights of ``generator`` whatever the card says."""
        # Building draws initial weights that are replaced at once; the caller's random numbers stay as they were.
        with torch.random.fork_rng(devices=[]), _like(self.weights(generator)):
            model = self.part("model", (MODELS,))
            return model.build(tuple(self.card["data"]["shape"]), self.card["data"]["num_classes"])

    def alone(self, *, averaged: bool = True) -> TrainedGenerator:
        """The averaged generator, or the generator as trained.

        Raises:
            ValueError: The run keeps no generator without averaging, as those of the zoo.
        """
        name = "generator" if averaged else "generator-raw"
        if name not in self.files:
            raise ValueError(
                f"the run at {self.path} keeps no generator without averaging; leave --raw (sampler 'raw') out to draw "
                f"from the averaged one."
            )
        pair = self.pair(name)
        pair.generator.load_state_dict(self.weights(name))
        return TrainedGenerator(pair.generator, pair, self.part("task", (TASKS,)), self.card, averaged=averaged)
