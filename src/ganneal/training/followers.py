"""The ranks of a run that write nothing: they make the same moves as the first and do what it decides."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from ganneal.data import Dataset
from ganneal.data.identity import Identity, data_changes, identify
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment
from ganneal.ranks import Ranks
from ganneal.storage.encoding import difference
from ganneal.training.interruption import Interruption


class Decision(NamedTuple):
    """The first rank's decision on a log row."""

    stop: bool = False
    skip_fit: bool = False
    roll_back: bytes | None = None
    """The state, as `to_bytes` writes it, to take players, optimizers and regularizer from."""


def to_bytes(state: dict[str, Any]) -> bytes:
    """A state of tensors and plain types for another process, wherever its tensors live."""
    # In torch's own format: the receiver takes tensors and plain types from it and nothing that could run.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes) -> dict[str, Any]:
    """The state that `to_bytes` wrote, on the CPU."""
    # To the CPU first: the tensors lay on another process's device.
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


@contextmanager
def broadcasting(ranks: Ranks) -> Iterator[list[Any]]:
    """Work of the first rank that the others await in `receive`: the value it puts into the list reaches them.

    An error in it ends their processes quietly, so that it is said once.
    """
    told: list[Any] = []
    try:
        yield told
    except BaseException:
        # The others wait in `receive`: without a word they would wait until the timeout of half an hour.
        ranks.tell((True, None))
        raise
    ranks.tell((False, told[0] if told else None))


def receive(ranks: Ranks) -> Any:
    """The value that the first rank broadcasts; ends this process where that one has ended."""
    over, value = ranks.tell()
    if over:
        raise SystemExit(0)
    return value


def initial_state(experiment: Experiment, data: Identity, state: dict[str, Any]) -> bytes:
    """The experiment, the data and the state that every other rank begins with; `follow` reads it."""
    return to_bytes({"identity": json.dumps(experiment.identity()), "data": json.dumps(data.as_dict()), "state": state})


def follow(experiment: Experiment, ranks: Ranks) -> Run:
    """The part of a rank that is not the first in a run; returns once everything is written.

    Raises:
        ValueError: This process was given another experiment than the first, or reads other data.
    """
    with Interruption() as interruption:
        begun = from_bytes(receive(ranks))
        if changes := difference(json.loads(begun["identity"]), json.loads(json.dumps(experiment.identity()))):
            raise ValueError(
                f"every process of a run needs the same experiment, but rank {ranks.rank} differs from the first: "
                f"{'; '.join(changes)}; give these settings on the command line."
            )
        run = Run(experiment, _same_data(experiment, Identity.of(json.loads(begun["data"])), ranks), ranks)
        # Taken from the first rank and not computed again: weights from another run or a checkpoint are read once.
        run.load_state_dict(begun["state"])
        # The same moves as the first rank makes, by the same loop; only its rows are written.
        for _ in engine.training_rows(run, interruption):
            decision: Decision = receive(ranks)
            if decision.roll_back is not None:
                run.roll_back(from_bytes(decision.roll_back))
            if decision.skip_fit:
                run.skip_fit()
            if decision.stop:
                break
        gather_unlogged(run, interruption)
        receive(ranks)
    return run


def _same_data(experiment: Experiment, first: Identity, ranks: Ranks) -> Dataset:
    """The data as this process reads them, perhaps on another machine, which must be those of the first."""
    dataset = experiment.data.load()
    here = f"in rank {ranks.rank}"
    if changes := data_changes(first, identify(dataset), "in the first process", here):
        raise ValueError(
            f"every process of a run needs the same data, but rank {ranks.rank} reads other data than the first: "
            f"{'; '.join(changes)}; copy the data of the first machine to this one."
        )
    return dataset


def gather_unlogged(run: Run, interruption: Interruption) -> int | None:
    """After the loop, on every rank: gather what is metered and not logged yet. The signal that came to any of them."""
    run.meters.gather(run.ranks)
    # The greatest, as None is sent as 0: a signal to one rank is one to all.
    signum = run.ranks.greatest(interruption.signum or 0)
    return int(signum) or None
