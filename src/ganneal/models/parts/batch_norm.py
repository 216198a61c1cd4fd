"""Batch norm of a generator that draws: its running statistics, standing ones, or those of the batch at hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from ganneal.models.parts.freezing import frozen

Statistics = Literal["running", "standing", "batch"]
STANDING_PASSES = 32
STANDING_SEED = 0


def batch_norms(module: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch norms in ``module`` that keep statistics."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    # The others always run on the batch: there is nothing to replace.
    return [norm for norm in norms if norm.track_running_stats]


@contextmanager
def on_the_batch(module: nn.Module) -> Iterator[None]:
    """Every batch norm of ``module`` on the statistics of what passes it; buffers are as they were afterwards."""
    norms = batch_norms(module)
    before = [norm.training for norm in norms]
    # In train mode a pass moves the running statistics; drawing must leave them as they were.
    with frozen(module, keep_buffers=True):
        for norm in norms:
            norm.train()
        try:
            yield
        finally:
            for norm, training in zip(norms, before, strict=True):
                norm.training = training


@torch.no_grad()
def keep_standing_statistics(
    generator: nn.Module, draw: Callable[[torch.Generator], Tensor], *, passes: int = STANDING_PASSES
) -> None:
    """Put the standing statistics of ``generator`` in the place of its running ones.

    They are the averages of the batch means and of the biased batch variances over ``passes`` passes in which batch
    norm runs on the batch.

    Args:
        draw: Makes one batch of samples with ``generator``; is given the random generator of the passes, always the
            same one.
    Raises:
        ValueError: ``generator`` has no batch norm.

    References:
        Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019, appendix D.
    """
    norms = batch_norms(generator)
    if not norms:
        raise ValueError(
            "statistics must be left out for a generator without batch norm, got 'standing': there are none to compute."
        )
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def look(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        axes = [axis for axis in range(given[0].dim()) if axis != 1]
        # Batch norm divides by the biased variance in training, and stores the unbiased one: only the former makes an
        # image of the batch.
        variance, mean = torch.var_mean(given[0].double(), axes, correction=0)
        seen[norm].append((mean, variance))

    random = torch.Generator().manual_seed(STANDING_SEED)
    # What enters a norm is measured, as its own running update forgets by momentum.
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        # Later layers must see maps normalised by the batch, as in training, while earlier ones are measured.
        with on_the_batch(generator):
            for _ in range(passes):
                draw(random)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, statistics in seen.items():
        means, variances = (torch.stack(part).mean(0) for part in zip(*statistics, strict=True))
        norm.get_buffer("running_mean").copy_(means)
        norm.get_buffer("running_var").copy_(variances)
        norm.get_buffer("num_batches_tracked").fill_(passes)
