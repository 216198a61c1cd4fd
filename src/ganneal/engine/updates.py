"""Shared parts of every move: gradients over micro-batches, the optimizer's step and the measured columns."""

import itertools
from functools import reduce

import torch
from torch import Tensor, nn

from ganneal.clocks import Clock
from ganneal.engine.run import Run
from ganneal.models.parts.batch_norm import batch_norms
from ganneal.optim import OptimizerConfig
from ganneal.steps import Step

MEASURED_ROUNDS = 8
"""One round of so many is measured: lengths of gradients and of the generator's steps, losses by level. A step's length
costs a copy of the weights."""

Gradients = list[Tensor | None]


def accumulate(total: Gradients | None, loss: Tensor, parameters: list[nn.Parameter], parts: int) -> Gradients:
    """Add the gradients of one micro-batch of ``parts`` to ``total``; a parameter the loss does not reach has None."""
    # Gradients of these parameters alone: the other player's are never computed, nor left in its `.grad`. An unused one
    # stays None, since Adam would move a parameter with a gradient of zeros by its momentum.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    if total is None:  # of several, copied: the next replay of a recorded pass writes over its gradients
        return [each if each is None or parts == 1 else each.clone() for each in gradients]
    return [a if b is None else b if a is None else a + b for a, b in zip(total, gradients, strict=True)]


@torch.no_grad()
def averaged(gradients: Gradients | None, parameters: list[nn.Parameter], run: Run) -> Gradients:
    """``gradients`` averaged over ranks in one reduction, and with them the players' running statistics in place.

    They come back in the memory order of their ``parameters``.
    """
    assert gradients is not None
    if run.ranks.count == 1:
        return gradients
    # Each rank has moved its running statistics by its own part of the batch; their mean keeps all ranks equal.
    norms = [norm for player in (run.generator, run.discriminator) for norm in batch_norms(player)]
    statistics = [norm.get_buffer(name) for norm in norms for name in ("running_mean", "running_var")]
    # Statistics travel with the gradients in one vector: one exchange a move.
    reached = [(own, gradient) for own, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    # Room in the layout of the parameters, whatever that of the gradients: numbers are added place by place.
    flat, parts = _side_by_side(statistics + [own for own, _ in reached])
    torch._foreach_copy_(parts, statistics + [gradient for _, gradient in reached])
    run.ranks.average_(flat)
    if statistics:
        torch._foreach_copy_(statistics, parts[: len(statistics)])  # in place: the buffers of the players themselves
    means = iter(parts[len(statistics) :])
    return [None if gradient is None else next(means).to(gradient.dtype) for gradient in gradients]


def _side_by_side(tensors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One vector with room for all of ``tensors``, and views of it of their shapes and memory orders."""
    ends = list(itertools.accumulate(tensor.numel() for tensor in tensors))
    flat = tensors[0].new_empty(ends[-1], dtype=reduce(torch.promote_types, {tensor.dtype for tensor in tensors}))
    starts = [end - tensor.numel() for end, tensor in zip(ends, tensors, strict=True)]
    return flat, [flat.as_strided(t.shape, t.stride(), start) for t, start in zip(tensors, starts, strict=True)]


def rate(config: OptimizerConfig, run: Run, own: Clock) -> float:
    """The learning rate of a player's next step."""
    return config.lr * config.rule.at(run.counters.read(config.rule.clock, own))  # a rule is a factor of the base rate


def optimize(optimizer: torch.optim.Optimizer, lr: float, parameters: list[nn.Parameter], gradients: Gradients) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and gradient.stride() != parameter.stride():
            # fused optimizers walk both in memory order: a gradient in another layout would go to the wrong weights
            gradient = torch.empty_like(parameter).copy_(gradient)
        parameter.grad = gradient
    for group in optimizer.param_groups:  # set at each step: the rate is a function of the run's clocks, not of calls
        group["lr"] = lr
    optimizer.step()
    for parameter in parameters:  # no gradient outlives its move: the other player's move must never find one
        parameter.grad = None
    # Fused steps leave this counter as it was, and a held spectral norm asks it whether its weight has changed. A
    # replayed pass in between runs no Python that would say so.
    torch.autograd.graph.increment_version(parameters)


def optimize_generator(step: Step, run: Run, optimizer: torch.optim.Optimizer, lr: float, gradients: Gradients) -> None:
    """One optimizer step of the generator, whose length is metered in measured rounds."""
    # The length is that of the step and not of lr times gradient: under Adam the two have little in common.
    before = [p.detach().clone() for p in run.g_parameters] if is_measured(run) else None
    optimize(optimizer, lr, run.g_parameters, gradients)
    if before is not None:
        run.round_steps.append(distance(before, run.g_parameters))
        log(step, run, "g_step", run.round_steps[-1])
    run.counters.g_updates += 1


def is_measured(run: Run) -> bool:
    return run.cursor.round % MEASURED_ROUNDS == 0


def log(step: Step, run: Run, name: str, value: Tensor) -> None:
    """Meter ``value``; in measured rounds of several levels under its level too."""
    run.meters.add(name, value)
    if is_measured(run) and run.cursor.levels > 1:
        # Kept as a tensor on its device: reading it here would make every step wait for the kernels before it.
        run.meters.add(f"level{step.level}/{name}", value)


@torch.no_grad()
def gradient_norm(gradients: Gradients) -> Tensor:
    """Euclidean length of all gradients together."""
    present = [gradient for gradient in gradients if gradient is not None]
    # The norm of the tensors' norms is that of the long vector, without concatenating millions of numbers.
    return torch.stack(torch._foreach_norm(present)).norm()


@torch.no_grad()
def distance(before: list[Tensor], after: list[nn.Parameter]) -> Tensor:
    """Euclidean length of the step between two sets of weights."""
    current: list[Tensor] = list(after)
    return torch.stack(torch._foreach_norm(torch._foreach_sub(current, before))).norm()
