"""Between two log rows nothing is read back from the device, which would stop the host until it has caught up."""

from dataclasses import replace
from typing import Any

import torch
from tests.for_each import for_each
from torch.utils._python_dispatch import TorchDispatchMode

from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import ring_cts, ring_ddgan
from ganneal.models import MLP
from ganneal.normalization import Spectral
from ganneal.optim import CG
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import Nested
from ganneal.weights import Geometric


class Reads(TorchDispatchMode):
    """Counts them."""

    WAITING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in self.WAITING
        return func(*args, **(kwargs or {}))


RING = replace(
    ring_cts(),
    model=MLP(width=8, depth=2),
    scheme=Nested(2, weights=Geometric(1, 0.3)),
    batch_size=8,
    records=Records(log_every=10**9),
)


@for_each(
    "experiment",
    [
        replace(RING, regularizer=GradientPenalty(), normalization=Spectral()),
        replace(RING, d_optimizer=CG(), g_optimizer=CG()),
        replace(RING, model=ring_ddgan().model, task=ring_ddgan().task, precision="bf16"),
    ],
    ids=["penalty", "conjugate gradients", "denoising"],
)
def test_no_move_waits_for_the_device(experiment: Experiment) -> None:
    run = Run(experiment)
    with Reads() as reads:
        for round in (0, 1):  # measured, and not
            run.cursor.seek(round, 0)
            for step in experiment.scheme(round):
                engine.apply(step, run)
        run.update_average()
    assert reads.count == 0
    with Reads() as reads:
        run.meters.read()
        assert torch.ones(()).item() == 1.0
    assert reads.count > 1  # the row reads, and is seen to
