"""A training that is only prepared: its settings, first round, data and players, or why it would be refused."""

from dataclasses import fields, is_dataclass
from typing import Any

from ganneal.engine.run import Run
from ganneal.evaluation.run_data import KnownData, check_apart, check_identity, found_again
from ganneal.experiment import Experiment
from ganneal.plan import plan_as_text
from ganneal.storage.run_directory import RunDirectory
from ganneal.training.forewarning import about_classes, forewarnings, to_use_classes
from ganneal.training.initial_weights import take_weights


def dry_run(
    experiment: Experiment,
    directory: RunDirectory,
    command: str,
    *,
    accept_changed_data: bool = False,
    own_images: bool = False,
) -> tuple[bool, str]:
    """Check that ``experiment`` can start in ``directory``, and return every setting with its first round as text.

    Its data are read and its players are built; nothing is written.

    Args:
        command: What would train, for advice.
        accept_changed_data: Whether to go on where the data are not those that the run began with.
        own_images: Whether a person should be told of classes that are not used.
    """
    starts, found = _started(experiment, directory, accept_changed_data, command, own_images)
    first = plan_as_text(
        experiment.scheme,
        batch_size=experiment.batch_size,
        g_reals=experiment.generator_reals,
        moments=getattr(experiment.g_optimizer, "moments", None),
    )
    # A refusal stands at both ends, as two pages of settings lie between them.
    parts = [] if starts else [found]
    parts += [outline(experiment), f"run directory: {directory.path}", f"first round:\n{first}", found]
    return starts, "\n".join(["\n\n".join(parts), *(f"warning: {warning}" for warning in forewarnings(experiment))])


def outline(value: Any, name: str = "", indent: int = 0) -> str:
    """A configuration as an indented outline."""
    label = "  " * indent + (f"{name}: " if name else "")
    if not is_dataclass(value) or isinstance(value, type):
        return f"{label}{value}"
    inner = [outline(getattr(value, field.name), field.name, indent + 1) for field in fields(value)]
    return "\n".join([f"{label}{type(value).__name__}", *inner])


def _started(
    experiment: Experiment, directory: RunDirectory, accept: bool, command: str, own_images: bool
) -> tuple[bool, str]:
    """The findings on data and players of an experiment that can start, or the reason why it cannot."""
    try:
        check_identity(directory, experiment, command)
        experiment = found_again(experiment, directory)
        check_apart(experiment, directory)
        # Built as training builds it, so that a refusal by data, model or regularizer shows here as it would there.
        run = Run(experiment)
        KnownData(directory, command=command).compared("data", experiment.data, run.data.dataset, accept=accept)
        # A run that has a checkpoint goes on from it, whatever it began with.
        begins = experiment.init_from is not None and not directory.list_checkpoints()
        taken = f"{take_weights(run, experiment.init_from or '').line}\n" if begins else ""
    except (ValueError, FileNotFoundError) as error:
        return False, f"it would be refused: {error}"
    generator, discriminator = (
        sum(p.numel() for p in player.parameters()) for player in (run.generator, run.discriminator)
    )
    dataset = run.data.dataset
    how_to = to_use_classes(command, directory) if own_images else None
    classes = about_classes(dataset, bool(run.pair.num_classes), how_to)
    said = "" if classes is None else f"{classes}\n"
    return True, (
        f"data: {len(dataset):,} samples of shape {dataset.shape}\n{said}{taken}"
        f"parameters: generator {generator:,}, discriminator {discriminator:,}"
    )
