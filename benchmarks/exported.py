"""Images a second of exported generators beside the original's, on one thread: in PyTorch, ONNX Runtime, torch.export.

    python benchmarks/exported.py [NAME ...] [--batch 64] [--seconds 3]

NAME is a run or zoo:NAME; left out, all of the zoo. Seconds are the processor's, so that others on the machine do not
count; the kinds take turns, and of the turns of each the fastest is shown. Peak differences are of `ganneal export`.
"""

import argparse
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from time import process_time

import torch
from torch import Tensor

import ganneal
from ganneal.inference import zoo
from ganneal.inference.export import FORMATS, program_of, write_export

TURNS = 5


def rate(call: Callable[[], object], count: int, seconds: float) -> float:
    """Images a second of processor time, from calls that make ``count`` each."""
    started, made = process_time(), 0
    while (taken := process_time() - started) < seconds:
        call()
        made += count
    return made / taken


def callers(name: str, batch: int) -> Iterator[tuple[str, str, Callable[[], Tensor]]]:
    """Each kind with what is said of its file and a call that makes one batch."""
    generator = ganneal.load(name)
    program = program_of(generator)
    latents, condition, _ = generator.draw(batch, seed=0)
    inputs = program.made_of(latents, condition)
    original = torch.no_grad()(program.module)
    yield "original", "", lambda: original(*inputs)
    for format, chosen in FORMATS.items():
        with TemporaryDirectory() as folder:
            done = write_export(generator, f"{folder}/exported", format=format)
            run = chosen.runner(done.path.read_bytes())
        largest = max(done.differences.values())
        yield format, f"{done.bytes:>11,} bytes, largest difference {largest:.1e}", lambda run=run: run(inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[f"{zoo.PREFIX}{name}" for name in zoo.names()])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        kinds = list(callers(name, options.batch))
        best = dict.fromkeys((kind for kind, _, _ in kinds), 0.0)
        for _ in range(TURNS):
            for kind, _, call in kinds:
                best[kind] = max(best[kind], rate(call, options.batch, options.seconds / TURNS))
        for kind, said, _ in kinds:
            print(f"{name:<20} {kind:<9} {best[kind]:>9,.0f} images/s  x{best[kind] / best['original']:.2f} {said}")


if __name__ == "__main__":
    main()
