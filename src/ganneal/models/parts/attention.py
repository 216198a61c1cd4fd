"""Maps that weight maps: self-attention over pixels as BigGAN has it, FastGAN's skip-layer excitation of channels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CHANNELS_A_KEY = 8
"""Keys and queries have one channel for so many of the image's."""


class SelfAttention(nn.Module):
    """x + scale * attention(x), with a learned scale that starts at 0; keys and values at half the size.

    Softmax of queries times keys, without a temperature; all four maps are 1x1 convolutions without bias.

    References:
        Zhang et al., Self-Attention Generative Adversarial Networks, 2019, Eq. 1-3; pooling as in BigGAN.
    """

    def __init__(self, channels: int):
        super().__init__()
        if channels % CHANNELS_A_KEY:
            raise ValueError(
                f"attention needs a multiple of {CHANNELS_A_KEY} channels, got {channels}; use a larger width, or "
                f"--model.attention None."
            )
        inner = channels // CHANNELS_A_KEY
        self.query, self.key = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        query = self.query(x).flatten(2).transpose(1, 2)  # [batch, pixels, channels / 8]
        # Every pixel asks, every 2x2 block answers: a quarter of the products, as in BigGAN's code.
        key, value = (F.max_pool2d(part(x), 2).flatten(2) for part in (self.key, self.value))
        # No division by the root of the keys' size, unlike in transformers.
        weights = (query @ key).softmax(dim=2)  # [batch, pixels, pixels / 4]
        attended = (weights @ value.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        # The scale is 0 at first: the network starts as a convolutional one and finds out how much it needs.
        return x + self.scale.to(x.dtype) * self.out(attended)


class SkipExcitation(nn.Module):
    """Maps times a gate for each of their channels, which is made of a ``source`` of another size.

    The source is averaged to 4x4 positions; a 4x4 and a 1x1 convolution without bias, SiLU between them and a sigmoid
    follow.

    References:
        Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis, 2021, Eq. 2.
    """

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        first, second = nn.Conv2d(inputs, channels, 4, bias=False), nn.Conv2d(channels, channels, 1, bias=False)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(4), first, nn.SiLU(inplace=True), second, nn.Sigmoid())

    def forward(self, source: Float[Tensor, "batch _ _ _"], maps: Float[Tensor, "batch _ _ _"]) -> Tensor:
        return maps * self.gate(source)  # the gate is [batch, channels, 1, 1]
