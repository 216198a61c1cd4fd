"""The players' passes recorded once and replayed, where launching small kernels takes longer than running them.

What is recorded are `passes`: functions of tensors alone, a schedule's weight a 0-dim one, so that moves of every
weight are one recording; their backward is recorded with them. Draws, augmentations, penalties, optimizers and the
average stay outside, as they are: a penalty differentiates twice, which nothing recorded can.

Two ways: ``"compile"`` is `torch.compile` with its own CUDA graphs on a GPU, ``"graph"`` the kernels as they are in a
CUDA graph. Results are those of the plain passes up to rounding.
"""

import warnings
from collections.abc import Callable
from copy import copy
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from ganneal.engine.passes import Pass, Passes, Sight
from ganneal.experiment import Experiment
from ganneal.models import ModelPair
from ganneal.task import Condition

COMPILE: dict[str, Any] = {"mode": "reduce-overhead"}
"""Arguments of `torch.compile`."""


class Recording:
    """One pass, recorded when it is first called with tensors of given shapes."""

    def __init__(self, module: Pass, how: Literal["compile", "graph"]):
        module.become_recorded()
        self.module = module
        self.compiled = torch.compile(module, **COMPILE) if how == "compile" else None
        self.graphs: dict[tuple[torch.Size, ...], Any] = {}

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        self.module.settle()  # an unrecorded pass may have moved them
        # A number would become a constant of the recording: every weight of a schedule would need its own.
        inputs = tree_map(self._as_tensor, inputs)
        with torch.autocast(self.module.random.device.type, enabled=False), warnings.catch_warnings():
            # what compiles looks for a gradient at its inputs, some of which are no leaves
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
            call = self._graph(inputs) if self.compiled is None else self.compiled
            outputs = call(*inputs)
        return tuple(output.clone() for output in outputs)  # the next replay writes over them

    def _as_tensor(self, value: Any) -> Any:
        if not isinstance(value, int | float):
            return value
        # Of floats, for whole weights too: a rule of one's own may give 1 and then 0.5.
        return torch.full((), float(value), device=self.module.random.device)

    def _graph(self, inputs: tuple[Any, ...]) -> Any:
        shapes = tuple(tensor.shape for tensor in tree_leaves(inputs))
        if shapes not in self.graphs:
            # Making a graph runs the pass several times first, which moves batch-norm statistics and u: put back below.
            buffers = list(self.module.buffers())
            kept = [buffer.clone() for buffer in buffers]
            # The graph reads its inputs from the examples' memory for ever: copies, which no caller writes to.
            examples = tree_map(lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad), inputs)
            # A shallow copy shares parameters and buffers; torch replaces `forward` on the module that it is given, and
            # another shape needs it as it was.
            self.graphs[shapes] = torch.cuda.make_graphed_callables(
                copy(self.module), examples, allow_unused_input=True
            )
            with torch.no_grad():
                for buffer, before in zip(buffers, kept, strict=True):
                    if not torch.equal(buffer, before):  # the warm-up's passes have moved it
                        buffer.copy_(before)  # no other: a graph made before may still need it as it was
        return self.graphs[shapes]


def passes_of(
    experiment: Experiment, pair: ModelPair, random: torch.Generator, sight: Callable[[Condition], Sight]
) -> Passes:
    """The passes of a run, recorded as its ``capture`` says."""
    how = experiment.capture
    record = None if how == "none" else lambda module: Recording(module, how)
    return Passes(experiment, pair, random, sight, record)
