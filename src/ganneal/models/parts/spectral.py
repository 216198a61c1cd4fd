"""Spectral normalisation of one layer's weight, kept while its network is frozen."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


class SpectralWeight(nn.Module):
    """A weight divided by its largest singular value, from one power iteration a pass.

    With u kept: v = n(u W), u' = n(v W^T), sigma = v W^T u'^T, in at least float32; u becomes u' in train mode.

    While ``held``, as `frozen` has it, u stays and the result for a weight without gradients is computed once until
    the weight or u is another: passes of a frozen network cost no power iteration. Recorded code computes it in each.
    """

    u: Tensor

    def __init__(self, weight: Tensor, axis: int, eps: float):
        super().__init__()
        self.axis, self.eps, self.held = axis, eps, False
        # u is kept between passes: weights change little in a move, so one iteration from the last u follows the
        # largest singular value.
        self.register_buffer("u", torch.randn(1, weight.shape[axis], dtype=weight.dtype, device=weight.device))
        self._kept: tuple[Tensor, tuple[int, int], Tensor, Tensor] | None = None

    def forward(self, weight: Tensor) -> Tensor:
        if not self.held or weight.requires_grad or _is_recording(weight):
            self._kept = None
            return self.normalized(weight)
        # Changes in place raise the version: those of a state dict by themselves, those of an optimizer in the engine.
        content = (weight.data_ptr(), weight._version)
        if (kept := self._kept) is None or kept[0] is not weight or kept[1] != content or kept[2] is not self.u:
            kept = self._kept = (weight, content, self.u, self.normalized(weight))
        return kept[3]

    def normalized(self, weight: Tensor) -> Tensor:
        """``weight`` over its singular value, by one power iteration."""
        # bf16 would resolve the singular value to 1 in 256 only.
        with torch.autocast(weight.device.type, enabled=False):
            # A convolution's weight as a matrix of outputs by everything else; a transposed one has its outputs in the
            # second place.
            matrix = weight.movedim(self.axis, 0).flatten(1)
            # No gradient passes through u and v: Algorithm 1 differentiates sigma = v W^T u as if both were constant.
            with torch.no_grad():
                v = F.normalize(self.u @ matrix, dim=1, eps=self.eps)
                u = F.normalize(v @ matrix.T, dim=1, eps=self.eps)
            if self.training and not self.held:
                self.u = u  # another tensor, not a change in place: earlier passes' graphs keep theirs
            return weight / (v @ matrix.T @ u.T).view(())  # a graph to the weight through both


def _is_recording(weight: Tensor) -> bool:
    """True during compilation or the capture of a CUDA graph, which will be replayed with other weights."""
    return torch.compiler.is_compiling() or (weight.is_cuda and torch.cuda.is_current_stream_capturing())


def spectral_norm(layer: nn.Module, eps: float) -> None:
    """Divide the weight of a convolution, linear layer or embedding by its largest singular value from now on.

    The matrix has a row for each output channel, or for each class of an embedding.
    """
    weight = layer.weight
    assert isinstance(weight, Tensor)
    axis = 1 if isinstance(layer, TRANSPOSED) else 0
    # unsafe: torch would otherwise run one more pass to compare shapes, which moves u.
    register_parametrization(layer, "weight", SpectralWeight(weight, axis, eps), unsafe=True)
