"""Conjugate-gradient steps for a player of a game: a `torch.optim.Optimizer` with seven rules for beta.

Each player has an instance of its own. There is no line search and no restart: the learning rate is the step size.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor

from ganneal.optim.beta_rules import BETA_RULES, Products, bounded_beta, rule_name

BetaScope = Literal["tensor", "global"]
Compat = Literal["published"] | None

# Inner products of these are taken in float32: in bf16 a sum of ones stops growing at 256.
_LOW_PRECISION = (torch.float16, torch.bfloat16)


@dataclass
class _Members:
    """Tensors of one group that have a direction to go on from, as parallel lists that kernels walk together."""

    options: dict[str, Any]
    parameters: list[Tensor]
    gradients: list[Tensor]
    """Gradients that the step follows and beta compares, with weight decay."""
    stored: list[Tensor]
    """Gradients that the next step will compare with: the same, but for ``compat="published"``."""
    previous: list[Tensor]
    directions: list[Tensor]


class ConjugateGradient(torch.optim.Optimizer):
    r"""Descent along :math:`d_n = -g_n + \beta_n d_{n-1}`, beginning with :math:`d_0 = -g_0`.

    .. code-block:: text

        g_n     -> the gradient given to the n-th step, with weight decay; the loss may weigh it (see below)
        alpha_n -> lr              c -> beta_coeff        kappa -> beta_max (beta_max=0.5)       mu -> mu
        x_{n+1} = x_n + alpha_n d_n,      beta_n = c * clip(rule(g_n, g_{n-1}, d_{n-1}), beta_min, beta_max)

    beta compares the gradients as they are given. Under a loss weight that changes between two steps (nested annealed
    training) it compares the *weighted* gradients: every rule is unchanged by a constant weight, and a step from weight
    v to w multiplies FR's ratio by :math:`(w/v)^2` before the cap. Gradients that ranks have averaged give every rank
    the same beta. Clip gradients before the step and beta compares the clipped ones.

    Args:
        params: Tensors, or groups that may each set any of the options below.
        lr: Step size, >= 0; descends unless ``maximize``.
        beta_rule: FR, PRP, HS, DY, HZ, FR_PRP or HS_DY.
        beta_coeff: c, the factor on the bounded rule, >= 0.
        mu: HZ's factor, > 0 (2 in the paper).
        beta_max: Upper bound of the rule, > 0; None for none, as for quadratics under exact line search.
        beta_min: Lower bound of the rule, <= beta_max. None, as published, leaves PRP, HS, DY and HZ free to be far
            below 0; 0 keeps descent on the safe side, and -beta_max satisfies the theorem's assumption.
        beta_scope: One beta for each "tensor", as published code does, or one from the inner products of all tensors
            whose groups say "global", the paper's single vector.
        restart_tol: beta is 0 where the last direction is at most this times as long as the gradient; 0 turns it off.
            In one dimension HS's exact direction is 0 and rounding would decide what follows.
        weight_decay: Added to the gradient times the parameter, >= 0.
        maximize: Ascend: the same walk as descending the negative.
        foreach: False walks tensor by tensor; None and True use torch's multi-tensor kernels.
        compat: "published" reproduces the public toy code: the first step ascends, beta enters the stored direction
            twice, what is stored lacks weight decay.
    Raises:
        ValueError: For an option out of range, named with its value.
        RuntimeError: For sparse or complex gradients.
    References:
        Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023.

    >>> x = torch.nn.Parameter(torch.tensor([3.0, -4.0]))
    >>> optimizer = ConjugateGradient([x], lr=0.1, beta_rule="PRP")
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     x.square().sum().backward()
    ...     optimizer.step()
    >>> bool(x.norm() < 1e-6)
    True
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]],
        lr: float = 1e-3,
        *,
        beta_rule: str = "FR",
        beta_coeff: float = 1.0,
        mu: float = 2.0,
        beta_max: float | None = 0.5,
        beta_min: float | None = None,
        beta_scope: BetaScope = "tensor",
        restart_tol: float = 1e-12,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = None,
        compat: Compat = None,
    ) -> None:
        defaults = dict(
            lr=lr,
            beta_rule=beta_rule,
            beta_coeff=beta_coeff,
            mu=mu,
            beta_max=beta_max,
            beta_min=beta_min,
            beta_scope=beta_scope,
            restart_tol=restart_tol,
            weight_decay=weight_decay,
            maximize=maximize,
            foreach=foreach,
            compat=compat,
        )
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of tensors that start with plain descent; its options are checked like the constructor's."""
        # torch's constructor comes through here for its own groups too, so options are checked in this place alone.
        check_options(self.defaults | param_group)
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every tensor that has a gradient; the others keep their state. Returns the closure's value."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:  # all of them before the first is touched
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _check_gradient(parameter.grad)
        members = [part for group in self.param_groups for part in self._gather(group)]
        # Before the first of these walks, as each overwrites the directions and gradients that a global beta compares.
        shared = _sums([part for part in members if part.options["beta_scope"] == "global"])
        for part in members:
            _walk(part, shared if part.options["beta_scope"] == "global" else _products(part, _needed(part.options)))
        return loss

    def _gather(self, group: dict[str, Any]) -> list[_Members]:
        """The tensors of ``group`` that go on, by what kernels can walk together; first steps are made here."""
        parts: dict[object, list[tuple[Tensor, ...]]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            gradient, stored = _followed(parameter, group)
            state = self.state[parameter]
            if not state:
                _start(parameter, gradient, stored, group, state)
                continue
            state["step"] += 1
            # Kernels over many tensors want them on one device; without them each tensor is a part of its own.
            together = parameter if group["foreach"] is False else parameter.device
            row = (parameter, gradient, stored, state["prev_grad"], state["direction"])
            parts.setdefault(together, []).append(row)
        return [_Members(group, *map(list, zip(*rows, strict=True))) for rows in parts.values()]


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what :class:`ConjugateGradient` does not allow, naming the option."""
    lr, mu, beta_max, beta_min = (options[name] for name in ("lr", "mu", "beta_max", "beta_min"))
    if not (isfinite(lr) and lr >= 0):
        raise ValueError(f"lr must be a finite number >= 0, got {lr}; use maximize=True to ascend.")
    rule_name(options["beta_rule"])
    for name in ("beta_coeff", "restart_tol", "weight_decay"):
        if not (isfinite(options[name]) and options[name] >= 0):
            raise ValueError(f"{name} must be a finite number >= 0, got {options[name]}.")
    if not (isfinite(mu) and mu > 0):
        raise ValueError(f"mu must be a finite number > 0, got {mu}; the paper's is 2.")
    if beta_max is not None and not beta_max > 0:
        raise ValueError(f"beta_max must be > 0, or None for no upper bound, got {beta_max}.")
    if beta_min is not None and not beta_min <= (0.0 if beta_max is None else beta_max):
        allowed = "0" if beta_max is None else f"beta_max={beta_max}"
        raise ValueError(f"beta_min must be <= {allowed}, or None for no lower bound, got {beta_min}.")
    if options["beta_scope"] not in ("tensor", "global"):
        raise ValueError(f"beta_scope must be 'tensor' or 'global', got {options['beta_scope']!r}.")
    if options["compat"] not in (None, "published"):
        raise ValueError(f"compat must be None or 'published', got {options['compat']!r}.")


def _check_gradient(gradient: Tensor) -> None:
    if gradient.layout != torch.strided:
        raise RuntimeError(
            f"ConjugateGradient needs dense gradients, got one of layout {gradient.layout}; "
            f"use sparse=False in the embedding, or torch.optim.SparseAdam for it."
        )
    if gradient.is_complex():
        raise RuntimeError(f"ConjugateGradient needs real gradients, got {gradient.dtype}; use torch.view_as_real.")


def _followed(parameter: Tensor, group: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The gradient to follow, and the one to store for the next step."""
    gradient = parameter.grad
    assert gradient is not None
    if group["maximize"]:
        # A new tensor, as below: .grad belongs to the caller.
        gradient = -gradient
    decayed = gradient.add(parameter, alpha=group["weight_decay"]) if group["weight_decay"] else gradient
    return decayed, gradient if group["compat"] == "published" else decayed


def _start(parameter: Tensor, gradient: Tensor, stored: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
    """The first step: plain descent, but in the public toy code, which goes up by the raw gradient."""
    state["step"] = torch.tensor(1.0)  # on the CPU: counting asks nothing of the device
    # A copy: gradients that are zeroed in place would make the previous gradient equal to the new one, and every rule
    # but FR give 0.
    state["prev_grad"] = torch.empty_like(parameter).copy_(stored)
    state["direction"] = torch.empty_like(parameter).copy_(stored).neg_()
    if group["compat"] == "published":
        parameter.add_(stored, alpha=group["lr"])
    else:
        parameter.add_(gradient, alpha=-group["lr"])


def _walk(members: _Members, products: Products) -> None:
    """One step of all tensors of ``members``, and their state for the next."""
    options = members.options
    rule = BETA_RULES[rule_name(options["beta_rule"])]
    beta = bounded_beta(rule, products, options["beta_max"], options["beta_min"], options["mu"], options["beta_coeff"])
    if options["restart_tol"]:
        # |d| <= tol |g|, squared on both sides, which saves the roots.
        beta = torch.where(products["dd"] <= options["restart_tol"] ** 2 * products["gg"], 0.0, beta)
    device = members.parameters[0].device
    # 0-dim tensors on the parameters' device: the kernels multiply by them and nobody reads them.
    betas = list(beta.to(device, non_blocking=True).expand(len(members.parameters)).unbind())
    # d_n = beta_n d_{n-1} - g_n, then x_{n+1} = x_n + lr d_n
    torch._foreach_mul_(members.directions, betas)
    torch._foreach_sub_(members.directions, members.gradients)
    torch._foreach_add_(members.parameters, members.directions, alpha=options["lr"])
    if options["compat"] == "published":
        # The public code keeps beta_n d_n - g_n in place of d_n: beta enters twice, and g_n lacks weight decay.
        torch._foreach_mul_(members.directions, betas)
        torch._foreach_sub_(members.directions, members.stored)
    torch._foreach_copy_(members.previous, members.stored)


def _needed(options: dict[str, Any]) -> set[str]:
    guard = ("gg", "dd") if options["restart_tol"] else ()
    return {*BETA_RULES[rule_name(options["beta_rule"])].reads, *guard}


def _sums(parts: list[_Members]) -> Products:
    """The inner products of all tensors of ``parts`` together, each of shape ``[1]``."""
    needed = {name for part in parts for name in _needed(part.options)}
    products = [_products(part, needed) for part in parts]
    home = parts[0].parameters[0].device if parts else None
    # The same names for all parts, so that there is a total for whichever rule reads it.
    return {name: torch.stack([one[name].sum().to(home) for one in products]).sum(0, keepdim=True) for name in needed}


def _products(members: _Members, needed: set[str]) -> Products:
    """The inner products named in ``needed``, one entry for each tensor."""
    vectors = {
        "g": [_flat(t, like) for t, like in zip(members.gradients, members.parameters, strict=True)],
        "p": [_flat(t, like) for t, like in zip(members.previous, members.parameters, strict=True)],
        "d": [_flat(t, like) for t, like in zip(members.directions, members.parameters, strict=True)],
    }
    # y is formed, and not g.g - g.p taken: near a minimum that difference would cancel.
    if any("y" in name for name in needed):
        vectors["y"] = list(torch._foreach_sub(vectors["g"], vectors["p"]))
    pairs = {name: zip(vectors[name[0]], vectors[name[1]], strict=True) for name in needed}
    return {name: torch.stack([torch.dot(a, b) for a, b in pair]) for name, pair in pairs.items()}


def _flat(tensor: Tensor, like: Tensor) -> Tensor:
    """``tensor`` as a vector in the memory order of ``like``: a view where both have it; at least float32."""
    # A channels-last weight is walked in its own order of memory: flattening it in the logical order would copy it in
    # every step. All vectors of a tensor take the same order, so that inner products are the same.
    order = sorted(range(like.ndim), key=like.stride, reverse=True)
    flat = tensor.permute(order).reshape(-1)
    return flat.float() if flat.dtype in _LOW_PRECISION else flat
