"""Starting several processes for one run, through lightning-fabric, which is imported only when more than one is asked
for. It starts them itself, or finds those that torchrun or SLURM have started."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from ganneal.experiment import Experiment
from ganneal.ranks import ALONE, Ranks

PATIENCE = timedelta(minutes=30)
"""A rank that hears nothing from the others for so long gives up; the others wait while the first one evaluates. One
that was killed is noticed at once."""


def leads(experiment: Experiment) -> bool:
    """Whether this process is the first of its run, as far as the environment tells; for what is said before launch."""
    numbers = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return experiment.ranks == 1 or all(number == "0" for number in numbers)


@contextmanager
def launched(experiment: Experiment) -> Iterator[Ranks]:
    """This process's place among those of ``experiment``, started where they are not there yet.

    Outside torchrun and SLURM the program is run again, from its beginning, for each further process.

    Raises:
        ValueError: The environment has started another number of processes, or there are not so many devices.
    """
    if experiment.ranks == 1:
        _check_alone()
        yield ALONE
        return
    fabric = _fabric(experiment)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric")
        fabric.launch()
    # Decisions and states travel as Python objects on the CPU: over NCCL they would have to be copied to the GPU and
    # would wait for its queue.
    control = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo", timeout=PATIENCE)
    yield Ranks(fabric.global_rank, fabric.world_size, fabric.device, control)
    dist.destroy_process_group()


def _check_alone() -> None:
    started = os.environ.get("WORLD_SIZE", "1")
    if "TORCHELASTIC_RUN_ID" in os.environ and started != "1":
        raise ValueError(
            f"devices x nodes must be the number of processes that torchrun has started, {started}, got 1; use "
            f"--devices {os.environ.get('LOCAL_WORLD_SIZE', started)}, with --nodes for several machines."
        )


def _fabric(experiment: Experiment) -> Any:
    device = torch.device(experiment.device)
    if device.type not in ("cpu", "cuda") or device.index is not None:
        raise ValueError(
            f"device must be 'cpu' or 'cuda' for several processes, got {experiment.device!r}; choose among GPUs with "
            f"CUDA_VISIBLE_DEVICES."
        )
    if device.type == "cuda" and torch.cuda.device_count() < experiment.devices:
        raise ValueError(
            f"devices must be at most the GPUs of this machine, {torch.cuda.device_count()}, got {experiment.devices}; "
            f"use --device cpu, or fewer."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric")
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
        return Fabric(
            accelerator=device.type,
            devices=experiment.devices,
            num_nodes=experiment.nodes,
            strategy=DDPStrategy(timeout=PATIENCE),
        )
