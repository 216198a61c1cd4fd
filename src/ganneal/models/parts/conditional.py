"""Class-conditional parts: batch norm whose scale and shift follow a condition, and the projection discriminator."""

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
