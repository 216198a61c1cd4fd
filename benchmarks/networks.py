"""What a move of either player costs with each family of networks: images a second, share of the matmul rate, memory.

    python benchmarks/networks.py [--repeats 5] [--precision float32 bf16] [--networks sngan biggan]

Small sizes at 32 px RGB, batch 32, one thread, images of noise, the loss that each network was published with. A move
is the engine's: the generator's pass, the discriminator's on both sides, gradients, the optimizer's step; for
functional gradients a batch from the pool, the push of a pool of one batch and the fit to it. Each is compared, in
alternating turns, with the same move written by hand (`bare.py`). Operations are counted on one of the engine's by
torch's counter, which sees convolutions and matrix products only; the rate they are compared with is that of a 2048 x
2048 matrix product in the same precision, measured just after each network. Memory is what the process reached above
what it held before the players were made, the hand-written moves left out.
"""

import argparse
import multiprocessing
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import torch
from bare import BareMoves, Operations, turns

from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import cifar10_cts
from ganneal.losses import Hinge, RelativisticPaired
from ganneal.models import DCGAN, DDGAN, R3GAN, SNDCGAN, SNGAN, BigGAN, DCGANExt
from ganneal.optim import RMSProp
from ganneal.regularizers import Generated, GradientPenalty, Reals, Sum
from ganneal.schemes import FunctionalGradient
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    Pool,
    PushPool,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.task import TASKS

BATCH = 32
SIDE = 2_048
"""Of the matrices whose product is the measure."""
BOTH = Sum((GradientPenalty(center=0.0, points=Reals()), GradientPenalty(center=0.0, points=Generated())))
NETWORKS: dict[str, dict[str, Any]] = {
    "dcgan, width 32": {"model": DCGAN(width=32)},
    "sn-dcgan, width 16": {"model": SNDCGAN(width=16)},
    "sngan, widths 32": {"model": SNGAN(g_width=32, d_width=32), "loss": Hinge()},
    "biggan, width 8, 10 classes": {"model": BigGAN(width=8), "loss": Hinge(), "task": TASKS["labelled"]},
    "r3gan, width 64, R1 and R2": {"model": R3GAN(), "loss": RelativisticPaired(), "regularizer": BOTH},
    "ddgan, width 16": {
        "model": DDGAN(width=16, attention=16, latent_size=16, style_size=32, d_width=8, d_time_size=32),
        "task": TASKS["denoising"],
    },
    "cfg, dcgan-ext, width 32": {
        "model": DCGANExt(width=32),
        "scheme": FunctionalGradient(step_size=0.25, pool_size=BATCH, fakes="pool"),
        "d_optimizer": RMSProp(),
        "g_optimizer": RMSProp(),
    },
}
BEFORE: tuple[Step, ...] = (DrawPool(BATCH), StoreDiscriminator(0.25))
"""What the moves of functional gradients need."""


def moves_of(run: Run, bare: BareMoves) -> dict[str, tuple[Step, Callable[[], None]]]:
    """Each move, as the engine's step and written by hand."""
    if run.experiment.sampler == "generator":
        return {
            "D": (UpdateDiscriminator(), bare.update_discriminator),
            "G": (UpdateGenerator(), bare.update_generator),
        }
    for each in (run, bare.run):
        for step in BEFORE:
            engine.apply(step, each)
    return {
        "D": (UpdateDiscriminator(fakes=Pool()), bare.update_discriminator_from_pool),
        "push": (PushPool(0.25), bare.push),
        "fit": (FitGenerator(), bare.fit),  # last: the stored discriminator's push is of the generator before it
    }


class Row(NamedTuple):
    """One move of one network."""

    network: str
    move: str
    images_per_second: float
    against_bare: float
    """Time of the engine's move over that of the one written by hand."""
    gflop: float
    """Of the move."""
    rate: float
    """Operations a second, of 1e9."""
    megabytes: float
    """Peak of the process, all of the network's moves together."""


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median processor time, which with one thread is the time on a machine that does nothing else."""
    call()
    taken = []
    for _ in range(repeats):
        started = process_time()
        call()
        taken.append(process_time() - started)
    return median(taken)


def held() -> float:
    """The most memory this process has had so far, in megabytes; Linux."""
    # not getrusage: what it says includes the process that started this one
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def build(name: str, precision: Any) -> Run:
    """A run of a network, on images of noise."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (512, 3, 32, 32), generator=random, dtype=torch.uint8).numpy()
    labels = torch.randint(10, (512,), generator=random).numpy()
    experiment: Experiment = replace(
        cifar10_cts(), batch_size=BATCH, precision=precision, threads=1, records=Records(log_every=10**9)
    )
    return Run(replace(experiment, **NETWORKS[name]), Dataset(pixels, labels, 10))


def measure(name: str, precision: Any, repeats: int) -> tuple[float, list[Row]]:
    """The rate of matrix products, and all moves of one network, in a process of its own."""
    torch.set_num_threads(1)
    before, reached, rows = held(), 0.0, []
    run = build(name, precision)
    run.cursor.seek(1, 0)  # a round in which lengths are not measured, as seven of eight
    bare = BareMoves(build(name, precision), penalised="regularizer" in NETWORKS[name])
    for title, (step, by_hand) in moves_of(run, bare).items():

        def move(step: Step = step) -> None:
            engine.apply(step, run)
            run.meters.values.clear()

        with Operations() as operations:
            move()
        reached = max(reached, held())
        taken, ratio = turns(move, by_hand, repeats)
        gflop = operations.flop / 1e9
        rows.append(Row(name, title, BATCH / taken, ratio, gflop, gflop / taken, 0.0))
    rate = matmul_rate(torch.float32 if precision == "float32" else torch.bfloat16)
    return rate, [row._replace(megabytes=reached - before) for row in rows]


def matmul_rate(dtype: torch.dtype) -> float:
    """Operations a second of one thread's matrix product, of 1e9."""
    torch.set_num_threads(1)
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / seconds(lambda: a @ b, 5) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "bf16"), nargs="+", default=("float32", "bf16"))
    parser.add_argument("--networks", nargs="+", default=[""], help="those whose names begin so")
    options = parser.parse_args()
    names = [name for name in NETWORKS if name.startswith(tuple(options.networks))]
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, 1 thread, batch {BATCH}")
    for precision in options.precision:
        print(f"\n{precision}")
        print("| network | move | images/s | over the bare move | GFLOP a move | GFLOP/s | of the matmul rate | MB |")
        print("| --- " * 8 + "|")
        for name in names:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rate, rows = pool.apply(measure, (name, precision, options.repeats))
            for row in rows:
                print(
                    f"| {row.network} | {row.move} | {row.images_per_second:,.0f} | {row.against_bare:.2f} | "
                    f"{row.gflop:.1f} | {row.rate:.0f} | {row.rate / rate:.0%} | {row.megabytes:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
