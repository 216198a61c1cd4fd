"""Li-CFG's quantity: how far images move for a small change of the latent, against the norm of D's gradient.

Li-CFG claims that a larger norm shrinks the neighbourhood of latents that leads to one image: images move further. A
push moves them by (I + h H) J dz, so that the Hessian H of D decides, and the norm only with it. The claim holds for
exact discriminators where the model is narrower than the data, and is reversed where the model is wider.

References:
    A New Formulation of Lipschitz Constrained With Functional Gradient Learning for GANs, arXiv 2501.11236 (abstract).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganneal.theory.normals import Normal1D
from ganneal.theory.propositions.chains import ideal_chain
from ganneal.theory.propositions.networks import critics, generator, random_points
from ganneal.theory.propositions.optimal import DATA
from ganneal.theory.pushes import pushes
from ganneal.theory.scores import log_ratio, mixture_of

LATENT_STEP = 1e-4
PUSH_STEP_SIZE = 0.1
NORMS = (0.5, 1.0, 2.0)
"""Factors on the discriminator, and so on the norm of its gradient."""
NARROW, WIDE = Normal1D(0.0, 0.4), Normal1D(0.0, 1.3)
"""Models that are narrower and wider than the data of setting S1, whose standard deviation is 0.8."""


def _directions(latents: Tensor, seed: int) -> Tensor:
    """A random vector of length 1 for each of ``latents``."""
    drawn = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed), dtype=latents.dtype)
    return drawn / drawn.norm(dim=1, keepdim=True)


def stretch(sampler: Callable[[Tensor], Tensor], latents: Tensor, *, seed: int = 0) -> float:
    """Mean distance that samples move for a small change of the latent, over the distance of the latents.

    Args:
        sampler: Latents ``[n, k]`` to samples ``[n, ...]``, each by itself.
        latents: Where; each is moved by 1e-4 in a random direction. Use float64.
    """
    with torch.no_grad():
        moved = sampler(latents + LATENT_STEP * _directions(latents, seed)) - sampler(latents)
    # In float64 a step of 1e-4 leaves twelve digits of the difference.
    return moved.flatten(1).norm(dim=1).mean().item() / LATENT_STEP


def pushed_stretch(model: Normal1D, factor: float) -> float:
    """`stretch` of mean + std z after a push by the exact discriminator with gradients longer by ``factor``."""
    exact = log_ratio(mixture_of(DATA), mixture_of(model))

    def pushed(z: Tensor) -> Tensor:
        return pushes(model.mean + model.std * z, [lambda x: factor * exact(x)], [PUSH_STEP_SIZE])[-1].samples

    return stretch(pushed, random_points(64, 1))


def stretch_error() -> float:
    """Largest relative difference of `pushed_stretch` and std |1 + h c (1/std² - 1/std_*²)|, c the factor."""
    errors = []
    for model in (NARROW, WIDE):
        for factor in NORMS:
            closed = ideal_chain(DATA, model, [PUSH_STEP_SIZE * factor])[-1].std
            errors.append(abs(pushed_stretch(model, factor) / closed - 1))
    return max(errors)


def linear_error() -> float:
    """Largest relative change of `stretch` by a push along a constant gradient of length 1 to 100."""
    network, z, along = generator(), random_points(32, 3), torch.tensor([0.6, 0.8], dtype=torch.float64)
    # A gradient that is the same everywhere has no Hessian.
    before = stretch(network, z)

    def after(norm: float) -> float:
        return stretch(lambda z: pushes(network(z), [lambda x: norm * (x @ along)], [1.0])[-1].samples, z)

    return max(abs(after(norm) / before - 1) for norm in (1.0, 10.0, 100.0))


def slope(model: Normal1D) -> float:
    """Change of log2 of `pushed_stretch` where the gradient is twice as long, the least in size over `NORMS`."""
    values = [pushed_stretch(model, factor) for factor in NORMS]
    steps = [torch.tensor(b / a).log2().item() for a, b in zip(values, values[1:], strict=False)]
    # The weakest of the changes: where it keeps its sign and size, all do.
    return min(steps, key=abs)


def chain_rule_error() -> float:
    """A push of a generator's samples moves them by (I + h Hessian of D) J dz: relative difference, random networks."""
    network, (critic,), z = generator(), critics(1), random_points(32, 3)
    moved = stretch(lambda z: pushes(network(z), [critic], [PUSH_STEP_SIZE])[-1].samples, z)
    lengths = []
    for latent, direction in zip(z, _directions(z, 0), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: network(one[None])[0], latent)
        hessian = torch.autograd.functional.hessian(lambda x: critic(x[None])[0], network(latent[None])[0].detach())
        # J dz, which the push x + h grad D takes to (I + h H) J dz.
        across = torch.as_tensor(jacobian) @ direction
        lengths.append((across + PUSH_STEP_SIZE * torch.as_tensor(hessian) @ across).norm())
    return abs(moved / torch.stack(lengths).mean().item() - 1)
