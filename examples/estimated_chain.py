"""A chain of pushes in the plane by discriminators that are trained on the way, as in training but without a fit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.losses import LOSSES
from ganneal.regularizers import centered_gp, line_points
from ganneal.theory.pushes import pushes

Points = Float[Tensor, "n 2"]
CHAIN_BATCH, CHAIN_WIDTH = 256, 64


class EstimatedChain(NamedTuple):
    """Where the pushes led, and by what."""

    samples: Points
    """After the last push."""
    norms: tuple[float, ...]
    """Mean length of the discriminator's gradient at the samples, before each push."""
    discriminators: tuple[nn.Module, ...]
    """A copy for each push."""


def _network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (
            nn.Linear(2, CHAIN_WIDTH),
            nn.Softplus(),
            nn.Linear(CHAIN_WIDTH, CHAIN_WIDTH),
            nn.Softplus(),
            nn.Linear(CHAIN_WIDTH, 1),
        )
    return nn.Sequential(*layers, nn.Flatten(0))


def estimated_chain(
    draw: Callable[[int, torch.Generator], Points],
    start: Points,
    step_sizes: Sequence[float],
    *,
    updates: int = 20,
    center: float | None = None,
    coefficient: float = 1.0,
    seed: int = 0,
) -> EstimatedChain:
    """Train a discriminator on real points and ``start``, push, and go on from there; one network, one optimizer.

    It has the logistic loss, Adam with lr 2e-3, batches of 256 and two hidden layers of 64 softplus units.

    Args:
        draw: How many real points, and the generator to draw them with.
        start: The model's points before the first push, float32.
        step_sizes: eta_m w_m of each push.
        updates: Discriminator updates before each push.
        center: Of a penalty on the norm of the discriminator's gradient on lines between both; None for no penalty.
        coefficient: Of that penalty.
    """
    random, network, samples = torch.Generator().manual_seed(seed), _network(seed), start
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    norms: list[float] = []
    stored: list[nn.Module] = []
    for step_size in step_sizes:
        for _ in range(updates):
            real, fake = (
                draw(CHAIN_BATCH, random),
                samples[torch.randint(len(samples), (CHAIN_BATCH,), generator=random)],
            )
            loss = LOSSES["nonsaturating"].discriminator(network(real), network(fake)).mean()
            if center is not None:
                between = line_points(real, fake, torch.rand(CHAIN_BATCH, generator=random))
                loss = loss + coefficient * centered_gp(network, between, center=center).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        copy = _network(seed)
        copy.load_state_dict(network.state_dict())
        (push,) = pushes(samples, [copy], [step_size])
        samples = push.samples
        norms.append(push.norms.mean().item())
        stored.append(copy)
    return EstimatedChain(samples, tuple(norms), tuple(stored))
