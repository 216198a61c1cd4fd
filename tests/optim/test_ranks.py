"""Conjugate gradients on two processes: averaged gradients give every rank the walk of the whole batch."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from ganneal.optim import BETA_RULES, ConjugateGradient

STEPS = 6


def walk(rule: str, scope: str, rank: int, ranks: int) -> Tensor:
    """Least squares on this rank's share of eight samples."""
    random = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(8, n, generator=random, dtype=torch.float64) for n in (4, 2))
    weight, bias = (torch.nn.Parameter(torch.zeros(n, dtype=torch.float64).squeeze()) for n in ((2, 4), (2,)))
    optimizer = ConjugateGradient([{"params": [weight, bias], "beta_scope": scope}], 0.1, beta_rule=rule)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (inputs[rank::ranks] @ weight.T + bias - targets[rank::ranks]).square().mean()
        loss.backward()
        for parameter in (weight, bias):
            assert parameter.grad is not None
            if ranks > 1:
                dist.all_reduce(parameter.grad)
                parameter.grad /= ranks
        optimizer.step()
    return torch.cat([weight.detach().flatten(), bias.detach()])


def on_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    ends = {(rule, scope): walk(rule, scope, rank, 2) for rule in BETA_RULES for scope in ("tensor", "global")}
    torch.save(ends, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_walk_as_one_process_does(tmp_path: Path) -> None:
    mp.spawn(on_rank, (str(tmp_path),), nprocs=2)  # type: ignore[attr-defined]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for (rule, scope), end in first.items():
        assert torch.equal(end, second[rule, scope])
        torch.testing.assert_close(end, walk(rule, scope, 0, 1), rtol=1e-9, atol=1e-12)
