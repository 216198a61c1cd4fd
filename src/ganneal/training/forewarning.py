"""Warnings about an experiment before it is trained, from measurements of earlier runs."""

import torch

from ganneal.data import Dataset
from ganneal.data.classes import classes_in_words
from ganneal.experiment import Experiment
from ganneal.losses import output_of
from ganneal.machine import processor_computes_bfloat16
from ganneal.metrics.extractors import EfficientNetLite0
from ganneal.models import MLP, Projected
from ganneal.optim import Adam
from ganneal.plan import plan
from ganneal.steps import UpdateDiscriminator, UpdateGenerator
from ganneal.storage.run_directory import RunDirectory
from ganneal.wording import with_options

LONG = 2.5
"""Nominal Adam steps of the generator per discriminator update, in rates of the latter, from which toys collapsed."""


def forewarnings(experiment: Experiment) -> list[str]:
    """Warnings about ``experiment`` on this machine."""
    found = (forewarning, slow_precision, flattering_features, projected_away)
    return [warning for about in found if (warning := about(experiment)) is not None]


def projected_away(experiment: Experiment) -> str | None:
    """A warning in words where the scheme undoes the weights that the run starts from, or None."""
    if experiment.init_from is None or not getattr(experiment.scheme, "projected_start", False):
        return None
    return (
        "The scheme first fits the generator to random projections, which undoes the weights of --init-from: give "
        "--scheme.no-projected-start too."
    )


def about_classes(dataset: Dataset, used: bool, how_to: str | None = None) -> str | None:
    """The classes that a run is trained on, classes that it leaves aside, or a warning of labels that are no classes.

    Args:
        used: Whether the players take classes.
        how_to: The command that would train on them; None says nothing of classes that are left aside.
    Returns:
        One line, or None where there is nothing to say.
    """
    if used:
        return classes_in_words(dataset)
    if dataset.unusable:
        return f"warning: labels are not used: {dataset.unusable}"
    if how_to is None or dataset.num_classes < 2:
        return None
    return f"{classes_in_words(dataset)}; they are not used. To train on them: {how_to}"


def to_use_classes(command: str, directory: RunDirectory) -> str:
    """``command``, which trains without classes in ``directory``, changed into one that trains on them elsewhere."""
    return with_options(command, {"--task": "labelled", "--out": f"{directory.path}-labelled"})


def sees_photographs(experiment: Experiment) -> bool:
    """True if the discriminator looks through EfficientNet-Lite0."""
    return isinstance(getattr(experiment.model, "discriminator", experiment.model), Projected)


def flattering_features(experiment: Experiment) -> str | None:
    """A warning in words where samples are measured by the network that the discriminator looks through, or None."""
    if not (sees_photographs(experiment) and isinstance(experiment.records.extractor, EfficientNetLite0)):
        return None
    return (
        "The discriminator sees features of EfficientNet-Lite0, and distances in the same features favour its "
        "generator. Measure with another network, such as --records.extractor cifar-cnn."
    )


def slow_precision(experiment: Experiment) -> str | None:
    """A warning in words where a CPU is to emulate bfloat16, or None."""
    if experiment.precision != "bf16" or torch.device(experiment.device).type != "cpu":
        return None
    if processor_computes_bfloat16() is not False:  # None: where it cannot be told, nothing is said
        return None
    return (
        "This processor has no arithmetic for bfloat16: precision bf16 is slower than float32 here, for convolutions "
        "several times. Use float32 (--precision float32 of train and compare)."
    )


def forewarning(experiment: Experiment) -> str | None:
    """A warning in words where the generator goes further per discriminator update than perceptrons stood, or None.

    The length is `Plan.nominal_steps_per_d_update` times the generator's base learning rate over the discriminator's.
    Only what was measured is judged: perceptrons, under Adam on both sides, with a logistic discriminator. The digits'
    convolutional players, for one, train at a length of 30.
    """
    ours, theirs, scheme = experiment.g_optimizer, experiment.d_optimizer, experiment.scheme
    moves = {type(step) for step in scheme(0)}
    measured = isinstance(experiment.model, MLP) and isinstance(ours, Adam) and isinstance(theirs, Adam)
    measured = measured and output_of(experiment.loss).log_ratio
    if not measured or not theirs.lr or not {UpdateDiscriminator, UpdateGenerator} <= moves:
        return None
    # In learning rates: Adam's step is about one rate whatever the gradient, so the plan alone tells how far the
    # generator goes.
    steps = plan(scheme).nominal_steps_per_d_update
    length = steps * ours.lr / theirs.lr
    if length < LONG * (1 - 1e-9):  # however 2.5 is rounded
        return None
    return (
        f"Per discriminator update the generator goes {length:.2f} Adam learning rates of the discriminator: on eight "
        f"and on 25 Gaussians, at 0.001, 20 of 24 runs at 2.5 or more fell to one mode or none, and none of 60 at 1.4 "
        f"or less. A generator's rate of {theirs.lr / steps:.2g}, a larger --scheme.d-steps or a smaller "
        f"--scheme.levels shortens it (docs/schedules.md)."
    )
