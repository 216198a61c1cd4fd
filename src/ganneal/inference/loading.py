"""A trained generator from disk: the run's card, and the weights beside it. It needs no training code.

>>> import ganneal
>>> images = ganneal.load("runs/demo").sample(16, seed=0)  # doctest: +SKIP
"""

from pathlib import Path
from typing import get_args

from ganneal.inference import zoo
from ganneal.inference.generator import SamplerName, TrainedGenerator
from ganneal.inference.trained_run import TrainedRun
from ganneal.models.parts.batch_norm import Statistics
from ganneal.storage.json_files import CARD, read_description
from ganneal.storage.run_directory import RunDirectory
from ganneal.storage.weight_files import players_of, pushes_of, read_weights

SAMPLERS = (*get_args(SamplerName), None)


def load(
    path: str | Path,
    *,
    checkpoint: str = "last",
    sampler: SamplerName | None = None,
    statistics: Statistics | None = None,
) -> TrainedGenerator:
    """The trained generator of the run at ``path``, or ``"zoo:NAME"`` for one that ships with ganneal.

    Args:
        checkpoint: "last" is ``final/``, or the newest checkpoint where that is newer; "best" is ``best/``, the weights
            at the best evaluation during training; a number is the snapshot kept after so many real images.
        sampler: "generator" is the averaged generator alone; "raw" the generator as trained, without averaging;
            "pushed" the one that was trained by functional gradients with the pushes of the stored discriminators. None
            takes the one that the run was followed by.
        statistics: What batch norm runs on: "running", as kept in training; "standing", averaged over 32 passes of
            training's batch, as BigGAN is sampled; "batch", that of the samples drawn together. None is "standing"
            for the average of a run with ``averaging.statistics="recompute"``, else "running".
    Raises:
        FileNotFoundError: ``path`` holds no run, or one without these weights yet.
        ValueError: The run keeps no such snapshot or no generator without averaging, uses a part that is not
            registered, stored no discriminators and should push, or has no batch norm and is given ``statistics``; or
            the zoo has no generator of that name.
    """
    for name, value, allowed in (
        ("sampler", sampler, SAMPLERS),
        ("statistics", statistics, (*get_args(Statistics), None)),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(repr(a) for a in allowed if a)}, got {value!r}.")
    found = trained_run(path, checkpoint)
    with found.named():
        # As the run was followed and scored: the pushes where its scheme stores discriminators.
        match sampler or found.card.get("sampler"):
            case "pushed":
                # Imported here: most runs need no losses, divergences or augmentations to be drawn from.
                from ganneal.inference.pushing import followed

                generator, own = followed(found), None
            case "raw":
                generator, own = found.alone(averaged=False), None
            case _:
                generator, own = found.alone(), found.own_statistics()
        if (chosen := statistics or (own if generator.statistics else None)) is None:
            return generator
        return generator.with_statistics(chosen, found.batch_size)


def load_pushed(path: str | Path, *, count: int = 15, step_size: float = 1.0) -> TrainedGenerator:
    """The last weights of the run at ``path`` with the pushes of its stored discriminators, of any run at all.

    A run that stored none is given ``count`` pushes of its discriminator as it is now, each of ``step_size``: where
    that would take the samples. They are for looking at; what a run is scored by is `load`'s.

    Raises:
        FileNotFoundError: ``path`` holds no run, or one without a checkpoint yet.
        ValueError: The run uses a part that is not registered.
    """
    from ganneal.inference.pushing import followed, probed

    found = trained_run(path)
    with found.named():
        return followed(found) if found.card.get("pushes") else probed(found, count, step_size)


def trained_run(path: str | Path, checkpoint: str = "last") -> TrainedRun:
    """The weights that `load` takes, with their card, before any network is built.

    Raises:
        FileNotFoundError: ``path`` holds no run, or one without these weights.
        ValueError: The run keeps no such snapshot, or the zoo has no generator of that name.
    """
    directory = RunDirectory(zoo.run_path(path))
    # A run that goes on, or was stopped, has a checkpoint newer than final/: then its weights are the last.
    if checkpoint == "last" and (state := directory.newer_state()) is not None:
        card = read_description(directory.description) | {"counters": state.get("counters", {})} | pushes_of(state)
        players = players_of(state)
        return TrainedRun(directory.path, directory.description, card, tuple(players), lambda name: players[name])
    folder = directory.weights(checkpoint)
    if (folder / CARD).exists():
        return weights_in(folder)
    if checkpoint != "last":
        raise FileNotFoundError(
            f"no best weights at {folder}; a run that evaluates (--records.evaluate-count) keeps the best."
        )
    raise FileNotFoundError(
        f"no trained run at {directory.path}: neither final/{CARD} nor a checkpoint; {_way_out(directory.path)}"
    )


def weights_in(folder: Path) -> TrainedRun:
    """The weights in ``folder`` with the card beside them."""
    card = read_description(folder / CARD)
    # Weights are read when they are asked for: a generator to draw from needs one file of three.
    files = tuple(sorted(file.stem for file in folder.glob("*.safetensors")))
    return TrainedRun(
        folder.parent, folder / CARD, card, files, lambda n: read_weights(folder / f"{n}.safetensors", card)
    )


def _way_out(path: Path) -> str:
    """Advice for ``path``, which holds no run."""
    # People give final/, best/ or a snapshot, where the run above them is meant.
    named = {path.parent: " with --checkpoint best" if path.name == "best" else ""}
    if path.parent.name == "snapshots":
        named[path.parent.parent] = f" with --checkpoint {path.name.lstrip('0')}"
    for run, option in named.items():
        if RunDirectory(run).description.exists():
            return f"it lies in a run, give {run}{option}."
    return "give the directory that `ganneal train` wrote, or train longer."
