"""Class-conditional parts: batch norm whose scale and shift follow a condition, and the projection discriminator."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import checked_labels


class ConditionalBatchNorm(nn.Module):
    """(1 + gain(c)) BN(x) + bias(c), batch norm without weights of its own.

    ``gain`` and ``bias`` map the condition, labels ``[batch]`` or vectors ``[batch, size]``, to ``[batch, channels]``.

    References:
        Dumoulin et al., A Learned Representation for Artistic Style, 2017; de Vries et al., 2017.
    """

    def __init__(self, channels: int, gain: nn.Module, bias: nn.Module, eps: float = 1e-5):
        super().__init__()
        # Statistics are of all classes together; only scale and shift are each class's own.
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.gain, self.bias = gain, bias

    def forward(
        self, x: Float[Tensor, "batch channels height width"], condition: Tensor
    ) -> Float[Tensor, "batch channels height width"]:
        normed = self.norm(x)
        # [batch, channels, 1, 1] each, whatever the condition is: labels through tables, vectors through linear layers.
        scale, shift = (part(condition)[:, :, None, None].to(normed.dtype) for part in (self.gain, self.bias))
        # (1 + scale) normed + shift, in two passes over memory.
        return torch.addcmul(normed + shift, normed, scale)


class SharedEmbedding(nn.Embedding):
    """One vector for each class, given to all of a generator's conditional norms; never normalised or regularised."""


def class_tables(num_classes: int, channels: int) -> tuple[nn.Embedding, nn.Embedding]:
    """The gain and the bias of each class, as torch starts embeddings."""
    return nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)


class Conditioning(NamedTuple):
    """The inputs that a generator's norms follow."""

    num_classes: int
    shared_size: int = 0
    """Length of the class vector that all norms share; 0 gives each norm a table of its own."""
    chunk: int = 0
    """Latents given to each block, and to the linear layer; 0 gives all of them to the linear layer."""
    eps: float = 1e-5
    """Epsilon of batch norm."""
    tables: Callable[[int, int], tuple[nn.Embedding, nn.Embedding]] = class_tables
    """Makes the tables of a norm."""

    def norm(self, channels: int) -> nn.Module:
        """Batch norm before a convolution of ``channels`` inputs."""
        if self.shared_size or self.chunk:
            inputs = self.shared_size + self.chunk  # c = [class vector, chunk of the latents]
            # Without biases: batch norm's 1 and 0 are in the conditional norm already.
            gain, bias = (nn.Linear(inputs, channels, bias=False) for _ in range(2))
        elif self.num_classes:
            gain, bias = self.tables(self.num_classes, channels)
        else:
            return nn.BatchNorm2d(channels, eps=self.eps)
        return ConditionalBatchNorm(channels, gain, bias, self.eps)


class ProjectionHead(nn.Module):
    """⟨w, h⟩ + b + ⟨E[y], h⟩ of features h; without classes a linear layer.

    References:
        Miyato and Koyama, cGANs with Projection Discriminator, 2018, Eq. 3.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.embedding = nn.Embedding(num_classes, channels) if num_classes else None
        self.linear = nn.Linear(channels, 1)

    def forward(self, features: Float[Tensor, "batch channels"], labels: Tensor | None) -> Float[Tensor, " batch"]:
        logits = self.linear(features).squeeze(1)
        if self.embedding is None:
            return logits
        classes = self.embedding(checked_labels(labels, self.num_classes, features))
        # Miyato and Koyama, 2018: log p(y | x) - log q(y | x) has this form where both are linear in the features.
        return logits + (classes * features).sum(1)
