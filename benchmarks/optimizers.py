"""A conjugate-gradient step against `torch.optim.Adam(foreach=True)` on the parameters of the DCGAN.

    python benchmarks/optimizers.py [--threads 2] [--repeats 40] [--width 64] [--device cpu]

Gradients are noise, another set for each step out of a few made before. The optimizers take turns, so that a machine
whose speed drifts slows all; a figure is the median over turns of the ratio to Adam's time in the same turn.
"""

import argparse
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from ganneal.models import DCGAN
from ganneal.optim import BETA_RULES, ConjugateGradient

STEPS, GRADIENT_SETS = 3, 3
BASE = "Adam(foreach)"


def players(width: int, device: str) -> list[nn.Parameter]:
    """The parameters of both players for 32-px colour images, in the layout that the engine keeps."""
    pair = DCGAN(width=width).build((3, 32, 32))
    modules = (pair.generator, pair.discriminator)
    moved = [module.to(device).to(memory_format=torch.channels_last) for module in modules]  # type: ignore[call-overload]
    return [parameter for module in moved for parameter in module.parameters()]


def contenders(width: int, device: str) -> dict[str, torch.optim.Optimizer]:
    made: dict[str, torch.optim.Optimizer] = {
        BASE: torch.optim.Adam(players(width, device), 2e-4, (0.5, 0.999), foreach=True),
        "Adam(fused)": torch.optim.Adam(players(width, device), 2e-4, (0.5, 0.999), fused=True),
    }
    for rule in BETA_RULES:
        made[f"CG {rule}"] = ConjugateGradient(players(width, device), 1e-4, beta_rule=rule)
    made["CG HZ global"] = ConjugateGradient(players(width, device), 1e-4, beta_rule="HZ", beta_scope="global")
    return made


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def seconds_a_step(optimizer: torch.optim.Optimizer, gradients: list[list[Tensor]], device: str) -> float:
    parameters, taken = parameters_of(optimizer), 0.0
    for step in range(STEPS):
        for parameter, gradient in zip(parameters, gradients[step % GRADIENT_SETS], strict=True):
            parameter.grad = gradient
        started = perf_counter()
        optimizer.step()
        if device != "cpu":
            torch.accelerator.synchronize()
        taken += perf_counter() - started
    return taken / STEPS


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    tensors = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    optimizers = contenders(options.width, options.device)
    like = parameters_of(optimizers[BASE])
    gradients = [[torch.randn_like(p) * 1e-2 for p in like] for _ in range(GRADIENT_SETS)]
    for optimizer in optimizers.values():  # makes the state
        seconds_a_step(optimizer, gradients, options.device)
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    for _ in range(options.repeats):
        for name, optimizer in optimizers.items():
            times[name].append(seconds_a_step(optimizer, gradients, options.device))
    count = sum(p.numel() for p in like)
    print(
        f"torch {torch.__version__}, {options.threads} threads, {options.device}: {count:,} parameters in {len(like)}"
    )
    base = state_bytes(optimizers[BASE])
    for name, optimizer in optimizers.items():
        ratio = median(own / adams for own, adams in zip(times[name], times[BASE], strict=True))
        memory = state_bytes(optimizer) / base
        print(f"{name:<14} {median(times[name]) * 1e3:7.2f} ms   {ratio:5.2f} x Adam(foreach)   state {memory:.3f} x")


if __name__ == "__main__":
    main()
