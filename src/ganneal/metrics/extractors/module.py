"""Any network as an extractor."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganneal.metrics.extractors.protocol import Extracted, Precision, RawSamples
from ganneal.metrics.resize import TO_SIGNED, Resize, Scaling, network_input
from ganneal.registry import check_at_least_one


@contextmanager
def exact_float32() -> Iterator[None]:
    """float32 means float32: no TF32 on GPUs, no bf16 products on CPUs, whatever the program chose for training."""
    backends: Any = torch.backends  # whose submodules make these settings up at run time
    if not hasattr(backends.cudnn, "conv"):  # before PyTorch 2.9
        with _legacy_exact_float32():
            yield
        return
    cuda, cudnn, mkldnn = backends.cuda, backends.cudnn, backends.mkldnn
    # cuDNN's both, as PyTorch refuses to answer `cudnn.allow_tf32` where they differ
    operations = (cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.conv, mkldnn.matmul)
    chosen = [operation.fp32_precision for operation in operations]
    try:
        for operation in operations:
            operation.fp32_precision = "ieee"
        yield
    finally:
        # Put back even where a network fails: training goes on in the arithmetic it chose.
        for operation, precision in zip(operations, chosen, strict=True):
            operation.fp32_precision = precision


@contextmanager
def _legacy_exact_float32() -> Iterator[None]:
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Inference in ``precision``, outside of any autocast the caller is in."""
    with (
        torch.inference_mode(),
        exact_float32(),
        # Entered also to switch autocast off, should the caller be in it: values must not depend on where they are
        # measured.
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values of ``state``, in the order of the names."""
    # In the order of names, as a state dict's own order depends on how the module was written.
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        # As bytes, since NumPy has no bfloat16.
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class ModuleExtractor:
    """A network with what it needs before it: resize, scaling, channels, batches, arithmetic.

    ``module`` maps a float32 batch to features [n, d], or to a pair of features and logits [n, k]. It is copied, so
    that training goes on without changing what is measured, and called on one sample of zeros to learn d and k.

    Args:
        shape: Of one sample; (C, H, W) for 8-bit images, (D,) for points, which reach the module as they are.
        channels: What the module takes; grey images are repeated to it. None takes any.
        sha256: Of the weights' canonical file; left out, it is computed from the state dict.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        shape: tuple[int, ...],
        layer: str = "features",
        resize: Resize | None = None,
        scaling: Scaling = TO_SIGNED,
        channels: int | None = None,
        batch_size: int = 64,
        precision: Precision = "float32",
        sha256: str | None = None,
    ):
        check_shape(name, shape, channels)
        check_at_least_one(batch_size=batch_size)
        if precision not in ("float32", "bf16"):
            raise ValueError(f"precision must be 'float32' or 'bf16', got {precision!r}.")
        self.name, self.layer, self.shape, self.batch_size = name, layer, shape, batch_size
        self.precision: Precision = precision
        # Of the file where there is one, so that records name what can be downloaded; else of the tensors.
        self.sha256 = sha256 or weights_sha256(module.state_dict())
        self._resize, self._scaling, self._channels = resize, scaling, channels
        # A copy: the caller may train or move the module that was given, and features must stay what their hash says.
        self._module = deepcopy(module).float().eval().requires_grad_(False)
        if self.is_images:
            # faster on CPUs, and on GPUs in bf16; the stub of `to` lacks this form
            self._module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        # Buffers count too: the random network has no parameters.
        self._device = next(iter(self._module.state_dict().values()), torch.empty(0)).device
        # One black image tells the number of features and whether there are logits.
        probe = torch.zeros(1, *shape, dtype=torch.uint8 if self.is_images else torch.float32)
        features, logits = self._batch(probe)
        self._empty = Extracted(features[:0], None if logits is None else logits[:0])

    @property
    def is_images(self) -> bool:
        """True if samples are images rather than points."""
        return len(self.shape) == 3

    @property
    def dimensions(self) -> int:
        return self._empty.features.shape[1]

    @property
    def resize(self) -> str:
        return "none" if self._resize is None else str(self._resize)

    @property
    def input_scaling(self) -> str:
        return str(self._scaling) if self.is_images else "none"

    def to(self, device: torch.device | str) -> "ModuleExtractor":
        """Move the network; returns the extractor itself. Features come back to the CPU all the same."""
        self._device = torch.device(device)
        self._module.to(self._device)
        return self

    def __call__(self, samples: RawSamples) -> Extracted:
        check_samples(self.name, self.shape, samples)
        if len(samples) == 0:
            return self._empty
        parts = [self._batch(batch) for batch in samples.split(self.batch_size)]
        logits = [part.logits for part in parts if part.logits is not None]
        return Extracted(torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None)

    def _batch(self, samples: RawSamples) -> Extracted:
        samples = samples.to(self._device)
        with arithmetic(self.precision, self._device):
            if self.is_images:
                inputs = network_input(samples, self._resize, self._scaling, self._channels)
                # In the order of the weights, or each convolution would bring its input into it by itself.
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            else:
                inputs = samples.float()
            given = self._module(inputs)
        features, logits = given if isinstance(given, tuple) else (given, None)
        return Extracted(_plain(features), None if logits is None else _plain(logits))


def _plain(values: Tensor) -> Tensor:
    """An ordinary float32 tensor on the CPU; one made in inference mode may not be saved for a gradient."""
    # The clone is made outside inference mode, whose tensors autograd refuses.
    return values.float().cpu().clone()


def check_shape(name: str, shape: tuple[int, ...], channels: int | None) -> None:
    """Refuse what no network of ``channels`` input channels takes.

    Raises:
        ValueError: ``shape`` is not (C, H, W) with C = ``channels`` or 1, nor (D,) for one that takes points.
    """
    if len(shape) not in (1, 3) or (channels is not None and len(shape) != 3):
        taken = "(C, H, W)" if channels is not None else "(C, H, W) or (D,)"
        raise ValueError(f"shape must be {taken} for {name}, got {shape}; for points use the extractor 'points'.")
    if channels is not None and shape[0] not in (1, channels):
        allowed = "1" if channels == 1 else f"1 or {channels}"
        raise ValueError(f"shape must have {allowed} channels for {name}, got {shape}; convert the images first.")


def check_samples(name: str, shape: tuple[int, ...], samples: Tensor) -> None:
    """Refuse samples of another shape or kind than the extractor was built for.

    Raises:
        ValueError: The shape of a sample is not ``shape``, images are not uint8, or points not floating point.
    """
    if samples.shape[1:] != shape:
        raise ValueError(
            f"samples must have shape [n, {', '.join(map(str, shape))}] for this {name}, got {list(samples.shape)}; "
            f"build another for other samples."
        )
    if len(shape) == 3 and samples.dtype != torch.uint8:
        raise ValueError(
            f"samples must be uint8 images for {name}, got {samples.dtype}; use ganneal.storage.pictures.to_uint8."
        )
    if len(shape) == 1 and not samples.is_floating_point():
        raise ValueError(f"samples must be floating-point points for {name}, got {samples.dtype}; convert them first.")
