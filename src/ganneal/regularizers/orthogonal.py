"""Orthogonal regularization of the players' own weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.clocks import Clock, Counters
from ganneal.logits import upcast
from ganneal.models.parts.conditional import SharedEmbedding
from ganneal.models.parts.spectral import TRANSPOSED
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.regularizers.protocol import (
    Context,
    GeneratorContext,
    Regularizer,
    RegularizerState,
    check_coefficients,
    coefficient_now,
)


def correlation(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, ""]:
    r"""Half the squared inner products of different rows, :math:`\frac{1}{2} \|W W^T \odot (1 - I)\|_F^2`.

    >>> correlation(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).item()
    121.0
    """
    lengths = matrix.square().sum(1)
    if len(matrix) <= matrix.shape[1]:
        # The diagonal is left out: lengths of rows are free, only their angles count (Brock et al., 2019, Eq. 3).
        products = matrix @ matrix.T
        return 0.5 * (products - torch.diag_embed(lengths)).square().sum()
    # the same by way of the columns: W W^T of a linear layer to 24576 channels would not fit
    # ||W W^T||_F = ||W^T W||_F, and the squared lengths are the diagonal that is left out.
    return 0.5 * ((matrix.T @ matrix).square().sum() - lengths.square().sum())


def weight_matrices(player: nn.Module) -> Iterator[Float[Tensor, "rows columns"]]:
    """Every weight of two axes or more with a row for each output channel; a shared class vector is left out.

    Of a normalised layer it is the weight as it is trained, before it is divided.
    """
    shared, transposed = (
        {parameter for module in player.modules() if isinstance(module, kinds) for parameter in module.parameters()}
        for kinds in (SharedEmbedding, TRANSPOSED)
    )
    for parameter in player.parameters():
        # Tensors hash by identity: this asks for the parameter itself and compares no values.
        if parameter.dim() >= 2 and parameter not in shared:
            # torch keeps the weight of a transposed convolution as [inputs, outputs, ...].
            yield upcast(parameter).movedim(1 if parameter in transposed else 0, 0).flatten(1)


@dataclass(frozen=True)
class Orthogonal(Regularizer):
    r"""Different output channels kept orthogonal: :math:`\frac{\lambda}{2} \|W W^T \odot (1 - I)\|_F^2` of each weight.

    Its gradient is :math:`2 \lambda (W W^T \odot (1 - I)) W`, which the authors' code adds to that of the loss. The
    paper writes the coefficient before the squared norm without the half.

    Symbols: lambda -> ``g_coefficient``, ``d_coefficient``.

    References:
        Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019, Eq. 3.
    """

    g_coefficient: float = 1e-4
    d_coefficient: float = 0.0
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_coefficients(g_coefficient=self.g_coefficient, d_coefficient=self.d_coefficient)

    @property
    def needs_generator_updates(self) -> bool:
        return self.g_coefficient > 0

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        return self._term(context.player, context.counters, self.d_coefficient, own="d_updates")

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Float[Tensor, ""] | None:
        return self._term(context.player, context.counters, self.g_coefficient, own="g_updates")

    def _term(
        self, player: nn.Module | None, counters: Counters, coefficient: float, own: Clock
    ) -> Float[Tensor, ""] | None:
        strength = coefficient_now(counters, coefficient, self.rule, own)
        if strength == 0:
            return None
        if player is None:
            raise ValueError("regularizer Orthogonal needs the network that moves, got none; give the context player=.")
        # Summed over layers, not averaged: each layer's gradient is then that of the authors' code, which works layer
        # by layer.
        return strength * torch.stack([correlation(matrix) for matrix in weight_matrices(player)]).sum()
