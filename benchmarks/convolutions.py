"""Where a DCGAN spends its time: its bf16 convolutions by direction, beside the matrix product of the same size. And
grouped convolutions, forward and backward, in both precisions, and as the networks make them under autocast.

python benchmarks/convolutions.py [--threads 1]
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.models.parts.fir import convolve_grouped

BATCH = 64
LAYERS = ((3, 64, 32), (64, 128, 16), (128, 256, 8))
"""(channels in, channels out, size) of the 4x4 stride-2 convolutions of the 32-px discriminator."""
GROUPED = ((64, 64, 16), (64, 32, 16), (64, 16, 16), (64, 1, 16), (16, 1, 32))
"""(channels, channels of a group, size) of 3x3 convolutions; the first has one group, and is made as any other."""


def milliseconds(call: Callable[[], object], repeats: int = 25) -> float:
    taken = []
    for _ in range(repeats + 5):
        started = perf_counter()
        call()
        taken.append(perf_counter() - started)
    return 1e3 * median(taken[5:])


def grouped() -> None:
    """Milliseconds of grouped convolutions with both gradients."""
    print(f"milliseconds of grouped 3x3 convolutions forward and backward, batch {BATCH}; (of the float32 one)")
    for channels, each, size in GROUPED:
        layer = nn.Conv2d(channels, channels, 3, padding=1, groups=channels // each, bias=False)
        layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.randn(BATCH, channels, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()

        def both(convolution: Callable[[Tensor], Tensor], mixed: bool, x=x, layer=layer) -> object:
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                y = convolution(x.bfloat16() if mixed else x)
            return torch.autograd.grad(y, (x, layer.weight), torch.ones_like(y))

        plain = milliseconds(lambda f=both, c=layer: f(c, False))
        bf16 = milliseconds(lambda f=both, c=layer: f(c, True))
        ours = milliseconds(lambda f=both, c=layer: f(partial(convolve_grouped, c), True))
        print(
            f"{channels:>4} channels, {each} a group, at {size} px: float32 {plain:.1f}, bf16 {bf16:.1f} "
            f"({bf16 / plain:.1f}), as in the networks {ours:.1f} ({ours / plain:.1f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    torch.set_num_threads(parser.parse_args().threads)
    print(f"GFLOP/s in bf16, channels last, batch {BATCH}, {torch.get_num_threads()} threads; (matrix product)")
    for inputs, outputs, size in LAYERS:
        half = size // 2
        gflop = 2 * BATCH * half**2 * inputs * outputs * 16 / 1e9
        x = torch.randn(BATCH, inputs, size, size).bfloat16().contiguous(memory_format=torch.channels_last)
        weight = torch.randn(outputs, inputs, 4, 4).bfloat16().contiguous(memory_format=torch.channels_last)
        gradient = torch.randn_like(F.conv2d(x, weight, stride=2, padding=1))
        columns, matrix = (
            torch.randn(BATCH * half**2, 16 * inputs).bfloat16(),
            torch.randn(16 * inputs, outputs).bfloat16(),
        )
        rows = torch.randn(BATCH * half**2, outputs).bfloat16()

        def backward(wanted: list[bool], g=gradient, x=x, w=weight) -> object:
            return torch.ops.aten.convolution_backward(g, x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, wanted)

        figures = {
            "forward": (lambda x=x, w=weight: F.conv2d(x, w, stride=2, padding=1), lambda a=columns, b=matrix: a @ b),
            "input gradient": (lambda f=backward: f([True, False, False]), lambda a=rows, b=matrix: a @ b.T),
            "weight gradient": (lambda f=backward: f([False, True, False]), lambda a=columns, b=rows: a.T @ b),
        }
        shown = [
            f"{name} {gflop / milliseconds(convolution) * 1e3:5.0f} ({gflop / milliseconds(product) * 1e3:5.0f})"
            for name, (convolution, product) in figures.items()
        ]
        print(f"{inputs:>4} -> {outputs:<4} at {size:>2} px: {', '.join(shown)}")
    grouped()


if __name__ == "__main__":
    main()
