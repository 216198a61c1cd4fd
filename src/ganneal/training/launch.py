"""Starting several processes for one run, through lightning-fabric, which is imported only when more than one is asked
for. It starts them itself, or finds those that torchrun or SLURM have started."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from ganneal.checks import ThisMachine, check
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
        ValueError: Nothing is started for an experiment that cannot be right, or not on this machine.
    """
    check(experiment, ThisMachine())
    if experiment.ranks == 1:
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


def _fabric(experiment: Experiment) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric")
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
        return Fabric(
            accelerator=experiment.device,
            devices=experiment.devices,
            num_nodes=experiment.nodes,
            strategy=DDPStrategy(timeout=PATIENCE),
        )
