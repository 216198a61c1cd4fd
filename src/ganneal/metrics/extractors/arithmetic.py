"""Arithmetic that feature values depend on: switched for one computation, then put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ganneal.metrics.extractors.protocol import Precision


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
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        yield
