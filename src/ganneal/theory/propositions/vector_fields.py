"""Proposition 4: the generator moves of nested annealed training and of annealed CFG follow one vector field.

Both have the form E[Jᵀ (positive scalar) grad D]. They are equal for generator losses linear in D(G(z)), and else with
the scalar a(t) of the loss in place of the weight; accumulated over frozen discriminators they agree to first order in
the step size. Discriminators, optimizer steps and norms differ.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganneal.losses import LOSSES, Loss
from ganneal.push import DELTAS, Push
from ganneal.theory.propositions.networks import LATENTS, critics, generator, random_points
from ganneal.theory.pushes import pushes
from ganneal.theory.scores import input_gradients
from ganneal.weights import Geometric, Weights

NUM_POINTS = 64
WEIGHT = 0.3
ETAS = (0.2, 0.1, 0.05, 0.025)
NUM_LEVELS = 5


def pull(loss: Loss, logits: Tensor, real: Tensor | None = None, *, weight: float = 1.0) -> Tensor:
    """a(t) = -batch d(mean loss)/dt: how hard each fake of raw output t is moved along grad D.

    >>> pull(LOSSES["nonsaturating"], torch.zeros(2), weight=0.5).tolist()
    [0.25, 0.25]
    """
    logits = logits.detach().clone().requires_grad_()
    return -torch.autograd.grad(loss.generator(logits, real, weight=weight).sum(), logits)[0]


def relative_error(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """L2 norm of the difference over that of ``other``, all tensors together."""
    flat = [torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (one, other)]
    return ((flat[0] - flat[1]).norm() / flat[1].norm()).item()


def _gradients(loss: Tensor, network: nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(network.parameters()))


def _fit_gradient(network: nn.Module, z: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    # One step of regression: the gradient at x = G(z) is J'(x - target), the chain rule with the push in the place of
    # the loss.
    return _gradients(0.5 * (network(z) - target.detach()).square().sum(1).mean(), network)


def _chain_gradient(
    network: nn.Module, z: Tensor, critics: Sequence[nn.Module], weights: Sequence[float], eta: float
) -> list[Tensor]:
    """The gradient of one fit to samples that the annealed chain moved, over its step size ``eta``."""
    target = pushes(network(z).detach(), critics, [eta * w for w in weights])[-1].samples
    # Moves, and so the gradient of a fit to them, are in proportion to eta.
    return [gradient / eta for gradient in _fit_gradient(network, z, target)]


def loss_gradient_error(loss: Loss, weight: float = WEIGHT) -> float:
    """T4.1, T4.2: the gradient of ``loss`` in the generator against that of one fit to x + a(D(x)) grad D(x).

    Relative, over small random networks. Relativistic losses see real samples, the same on both sides.
    """
    network, (critic,), z = generator(), critics(1), random_points(NUM_POINTS, LATENTS)
    # Of other points than the fakes, and constants to both sides.
    real = critic(random_points(NUM_POINTS, seed=3)).detach()
    own = loss.generator(critic(network(z)), real if loss.needs_real else None, weight=weight).mean()
    direct = _gradients(own, network)
    x = network(z).detach()
    a = pull(loss, critic(x), real if loss.needs_real else None, weight=weight)
    return relative_error(_fit_gradient(network, z, x + a[:, None] * input_gradients(critic, x)), direct)


def pushed_loss_error(loss: Loss) -> float:
    """T4.2: the gradient of ``loss`` against that of one fit to samples that training's push moved down it."""
    network, (critic,), z = generator(), critics(1), random_points(NUM_POINTS, LATENTS)
    direct = _gradients(loss.generator(critic(network(z))).mean(), network)
    target = Push(delta=DELTAS["loss"])(critic, network(z).detach(), 1.0, loss)
    return relative_error(_fit_gradient(network, z, target), direct)


def linear_loss_error() -> float:
    """T4.1: for a linear loss a is the weight, so that the fit is to x + w grad D(x), nothing else known."""
    network, (critic,), z = generator(), critics(1), random_points(NUM_POINTS, LATENTS)
    loss = LOSSES["wgan"].generator(critic(network(z)), weight=WEIGHT).mean()
    x = network(z).detach()
    push = pushes(x, [critic], [WEIGHT])[-1].samples
    return relative_error(_fit_gradient(network, z, push), _gradients(loss, network))


def accumulated_error(eta: float, levels: int = NUM_LEVELS, weights: Weights | None = None) -> float:
    """T4.3: the annealed chain's fit gradient over eta against the sum of single-step gradients with w_m, relative.

    Discriminators are frozen. The error is of first order in eta: one evaluates all grad D_m at G(z), the other along
    the moving x.
    """
    of = (weights or Geometric(1, 0.01))((1,) * levels, 0)
    network, frozen, z = generator(), critics(levels), random_points(NUM_POINTS, LATENTS)
    nested = torch.stack([-w * critic(network(z)).mean() for w, critic in zip(of, frozen, strict=True)]).sum()
    return relative_error(_chain_gradient(network, z, frozen, of, eta), _gradients(nested, network))


def convergence_order() -> float:
    """T4.3: the order in eta of the error, log2 of its ratio at the two smallest of `ETAS`."""
    # At the smallest two, where the higher orders are least.
    errors = [accumulated_error(eta) for eta in ETAS[-2:]]
    return torch.tensor(errors[0] / errors[1]).log2().item()


def cycle_error(levels: int = 4, eta: float = 1e-7) -> float:
    """T4.3: a whole NATS cycle, j single steps at level j, against a chain with weights j w_j; relative, eta small."""
    weights = Geometric(1, 0.01)(range(1, levels + 1), 0)
    network, frozen, z = generator(), critics(levels), random_points(NUM_POINTS, LATENTS)
    # Level j of a cycle makes j updates of weight w_j.
    chained = _chain_gradient(network, z, frozen, [j * w for j, w in enumerate(weights, start=1)], eta)
    steps = [
        -w * critic(network(z)).mean()
        for j, (w, critic) in enumerate(zip(weights, frozen, strict=True), start=1)
        for _ in range(j)
    ]
    return relative_error(chained, _gradients(torch.stack(steps).sum(), network))
