"""Nearest upsampling and a 3x3 convolution behind it, made as one transposed convolution."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PAIRS = ((0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0))
"""Which of a kernel's three taps meet one input pixel, for each of the four output pixels that it reaches."""


class UpConvolution(nn.Conv2d):
    """Twice the size by nearest neighbours, then a 3x3 convolution: the same function in 4/9 of the multiplications.

    An input pixel x meets the taps w0, w1, w2 in the outputs 2x - 1 to 2x + 2 as w2, w1 + w2, w0 + w1, w0. These sums
    are the taps of a transposed convolution with stride 2; results differ by rounding.
    """

    taps: Tensor

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False):
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        # After doubling, two of three taps meet the same input pixel, so their weights can be added beforehand: 4x4
        # taps do for 2x2 outputs what 9 taps do for each.
        pairs = torch.tensor(PAIRS, dtype=torch.float32)
        self.register_buffer("taps", torch.kron(pairs, pairs), persistent=False)

    def forward(self, input: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ _ _"]:
        weight = self.weight  # read once: a spectral norm makes it anew at each reading
        kernel = (weight.flatten(2) @ self.taps.T.to(weight.dtype)).unflatten(2, (4, 4))  # 9 taps to 16
        # torch keeps the weight of a transposed convolution as [inputs, outputs, ...].
        return F.conv_transpose2d(input, kernel.transpose(0, 1), self.bias, stride=2, padding=1)
