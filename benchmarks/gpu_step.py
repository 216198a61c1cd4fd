"""Step times of the networks on a device: each move and a NATS round, against the same written by hand."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any, Literal, NamedTuple

import torch
from bare import BareMoves, Operations

from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import cifar10_biggan_cts, cifar10_cts, cifar10_ddgan, cifar10_sngan_cts
from ganneal.models import DCGAN, DDGAN, SNGAN, BigGAN
from ganneal.regularizers import Sum
from ganneal.schemes import Nested
from ganneal.steps import Step, UpdateDiscriminator, UpdateGenerator
from ganneal.weights import Geometric

LEVELS = 5
"""Of a NATS round: 5 updates of the discriminator, 15 of the generator, of five weights."""
TINY_DDGAN = DDGAN(width=16, attention=16, latent_size=16, style_size=32, d_width=8, d_time_size=32)

LAUNCH_BOUND = 0.9
"""From this share of a move's time on, that the host needs to give it to the device, the device waits for the host."""

Networks = dict[str, tuple[Experiment, int]]
Capture = Literal["none", "compile", "graph"]


def networks(smoke: bool) -> Networks:
    """The published networks with a batch size each; penalties are left out, whose steps are few or another matter."""
    dcgan, sngan, biggan, ddgan = cifar10_cts(), cifar10_sngan_cts(), cifar10_biggan_cts(), cifar10_ddgan()
    ddgan = replace(ddgan, regularizer=Sum())
    if smoke:
        return {
            "dcgan-2": (replace(dcgan, model=DCGAN(width=4)), 2),
            "sngan-2": (replace(sngan, model=SNGAN(g_width=4, d_width=4)), 2),
            "biggan-2": (replace(biggan, model=BigGAN(width=2)), 2),
            "ddgan-2": (replace(ddgan, model=TINY_DDGAN), 2),
        }
    return {
        "dcgan-64": (dcgan, 64),
        "dcgan-256": (dcgan, 256),
        "sngan-64": (sngan, 64),
        "biggan-50": (biggan, 50),
        "ddgan-64": (ddgan, 64),
    }


class Clock(NamedTuple):
    """How long ``times`` calls took on the device, and how long until all were given to it, in seconds a call."""

    device: float
    host: float


def clocked(call: Callable[[], object], times: int, device: torch.device) -> Clock:
    """After everything before it is done."""
    if device.type != "cuda":
        started = perf_counter()
        for _ in range(times):
            call()
        taken = (perf_counter() - started) / times
        return Clock(taken, taken)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    started = perf_counter()
    begin.record()
    for _ in range(times):
        call()
    end.record()
    given = perf_counter() - started
    end.synchronize()
    return Clock(begin.elapsed_time(end) / 1e3 / times, given / times)


def matmul_rate(dtype: torch.dtype, device: torch.device, smoke: bool) -> float:
    """Operations a second of a large matrix product of random numbers, the best of a few turns."""
    side = 256 if smoke else 8192
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    clocked(lambda: a @ b, 3, device)
    return 2 * side**3 / min(clocked(lambda: a @ b, 5, device).device for _ in range(5))


def noise_images(count: int) -> Dataset:
    """Random pixels and labels: what they show does not change the time."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=random, dtype=torch.uint8)
    return Dataset(pixels.numpy(), torch.randint(10, (count,), generator=random).numpy(), 10)


def nats_round(smoke: bool) -> tuple[Step, ...]:
    """A round's steps; fewer at toy size."""
    return tuple(Nested(2 if smoke else LEVELS, weights=Geometric())(1))


def moves(run: Run, round: tuple[Step, ...]) -> dict[str, Callable[[], None]]:
    """The engine's moves, and a round of them."""

    def made(*steps: Step) -> Callable[[], None]:
        def make() -> None:
            for step in steps:
                engine.apply(step, run)
            run.meters.values.clear()

        return make

    return {"D": made(UpdateDiscriminator()), "G": made(UpdateGenerator()), "NATS round": made(*round)}


def moves_by_hand(run: Run, round: tuple[Step, ...]) -> dict[str, Callable[[], None]]:
    """The same without the engine; losses are not weighted."""
    bare = BareMoves(run)

    def whole() -> None:
        for step in round:
            bare.update_discriminator() if isinstance(step, UpdateDiscriminator) else bare.update_generator()

    return {"D": bare.update_discriminator, "G": bare.update_generator, "NATS round": whole}


def step_times(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of every network, way and move. Ways that cannot be had on this machine are named with the reason."""
    device = torch.device(options.device)
    data = noise_images(16 if options.smoke else 4_096)
    rates = {
        "float32": matmul_rate(torch.float32, device, options.smoke),
        "bf16": matmul_rate(torch.bfloat16, device, options.smoke),
    }
    figures: dict[str, Any] = {"matmul_tflops": {name: rate / 1e12 for name, rate in rates.items()}, "rows": []}
    figures["failures"] = []
    ways: list[tuple[str, Capture]] = [("float32", "none")]
    ways += [("bf16", capture) for capture in options.captures]
    for capture in sorted({capture for _, capture in ways}, key=["none", "graph", "compile"].index):
        for name, (experiment, batch) in networks(options.smoke).items():
            if options.arms and name.split("-")[0] not in options.arms:
                continue
            for precision, how in ways:
                if how != capture:
                    continue
                chosen = replace(
                    experiment,
                    batch_size=batch,
                    precision=precision,  # type: ignore[arg-type]
                    capture=how,
                    device=options.device,
                    threads=None,
                    records=Records(log_every=10**9),
                )
                try:
                    rows = list(measured(chosen, data, rates[precision], options.smoke))
                except Exception as error:  # one way that fails leaves the others to be measured
                    reason = f"{type(error).__name__}: {' '.join(str(error).splitlines()[:3])}"
                    figures["failures"].append({"network": name, "precision": precision, "capture": how, "why": reason})
                    rows = []
                    print(f"{name} {precision} {how}: {reason}", flush=True)
                for row in rows:
                    figures["rows"].append({"network": name} | row)
                    print(line(figures["rows"][-1]), flush=True)
                yield figures | {"failed": len(figures["failures"])}


def measured(experiment: Experiment, data: Dataset, rate: float, smoke: bool) -> Iterator[dict[str, Any]]:
    """Every move of one network in one way, beside the plain one written by hand, in alternating turns."""
    run, other = Run(experiment, data), Run(replace(experiment, capture="none"), data)
    for each in (run, other):
        each.cursor.seek(1, 0)  # a round in which lengths are not measured, as seven of eight
    round = nats_round(smoke)
    counted = moves(Run(replace(experiment, capture="none"), data), round)
    by_hand = moves_by_hand(other, round)
    turns, warm = (1, 1) if smoke else (7, 5)
    for title, move in moves(run, round).items():
        for call in (move, by_hand[title]):
            clocked(call, warm, run.device)
        once = clocked(move, 1, run.device).device
        times = 1 if smoke else max(2, min(50, int(0.25 / max(once, 1e-6))))
        pairs = [tuple(clocked(call, times, run.device) for call in (move, by_hand[title])) for _ in range(turns)]
        with Operations() as operations:
            counted[title]()
        seconds, host = (median(getattr(ours, part) for ours, _ in pairs) for part in ("device", "host"))
        passes = 1 if title in ("D", "G") else len(round)
        yield {
            "precision": experiment.precision,
            "capture": experiment.capture,
            "move": title,
            "batch": experiment.batch_size,
            "milliseconds": 1e3 * seconds,
            "images_per_second": passes * experiment.batch_size / seconds,
            "over_bare": median(ours.device / bare.device for ours, bare in pairs),
            "bare_milliseconds": 1e3 * median(bare.device for _, bare in pairs),
            "gflop": operations.flop / 1e9,
            "share_of_matmul": operations.flop / seconds / rate,
            "host_share": host / seconds if run.device.type == "cuda" else None,
        }


def line(row: dict[str, Any]) -> str:
    bound = ", launch-bound" if (row["host_share"] or 0.0) > LAUNCH_BOUND else ""
    return (
        f"{row['network']} {row['precision']} {row['capture']} {row['move']}: {row['milliseconds']:.3f} ms, "
        f"{row['images_per_second']:,.0f} images/s, {row['over_bare']:.2f} of the bare moves, "
        f"{row['share_of_matmul']:.1%} of the matmul rate{bound}"
    )
