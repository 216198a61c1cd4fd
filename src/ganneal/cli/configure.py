"""Make an experiment of words on the command line; shared by the commands that train."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ganneal.augment import AUGMENTATIONS, PROBABILITIES
from ganneal.cli.options import Parts, options_on, parse, peek, switch_parts
from ganneal.data import DATASETS
from ganneal.experiment import Budget, Experiment
from ganneal.experiments import RECIPES, Choice, Recipe
from ganneal.experiments.automatic import USUAL_LENGTH, Asked
from ganneal.experiments.fitting import fitted_to
from ganneal.experiments.named import surroundings
from ganneal.losses import EVERY_LOSS, MONOTONE
from ganneal.metrics.extractors import EXTRACTORS
from ganneal.models import MODELS, Model, Pair
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import LR_RULES, OPTIMIZERS
from ganneal.push import DELTAS
from ganneal.registry import lookup
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import SCHEMES
from ganneal.task import TASKS
from ganneal.weights import WEIGHTS

EXPERIMENT_PARTS: Parts = {
    "scheme": ("scheme", SCHEMES),
    "scheme.weights": ("weight rule", WEIGHTS),
    "loss": ("loss", EVERY_LOSS),
    "loss.h": ("increasing function", MONOTONE),
    "regularizer": ("regularizer", REGULARIZERS),
    "regularizer.rule": ("rule", LR_RULES),
    "normalization": ("normalization", NORMALIZATIONS),
    "augmentation": ("augmentation", AUGMENTATIONS),
    "augmentation.probability": ("probability rule", PROBABILITIES),
    "model": ("model", MODELS),
    "model.generator": ("model", MODELS),
    "model.discriminator": ("model", MODELS),
    "data": ("data source", DATASETS),
    "task": ("task", TASKS),
    "push.delta": ("factor of a push", DELTAS),
    "d_optimizer": ("optimizer", OPTIMIZERS),
    "d_optimizer.rule": ("learning-rate rule", LR_RULES),
    "g_optimizer": ("optimizer", OPTIMIZERS),
    "g_optimizer.rule": ("learning-rate rule", LR_RULES),
    "records.extractor": ("extractor", EXTRACTORS),
    "records.held_out": ("data source", DATASETS),
}


@dataclass(frozen=True)
class ModelOption:
    """The networks, as an option of their own."""

    model: Model


def with_families(model: Model, arguments: Sequence[str]) -> tuple[Model, list[str]]:
    """``model`` with the families that ``arguments`` name, and the arguments that named none.

    ``--model`` replaces it whole. ``--model.discriminator`` puts another family's discriminator against its generator,
    ``--model.generator`` the other way round: a `Pair` where it is none yet.
    """
    players = {path: EXPERIMENT_PARTS[path] for path in ("model.generator", "model.discriminator")}
    # The whole family first, wherever it was typed: both players are then taken from it.
    options, rest = switch_parts(ModelOption(model), arguments, {"model": EXPERIMENT_PARTS["model"]})
    named = {path.partition(".")[2] for path in players for each in rest if each.partition("=")[0] == f"--{path}"}
    if not all(isinstance(getattr(options.model, player, None), Model) for player in named):
        # As a `Pair` of the family with itself, whose sides can be exchanged one by one.
        options = ModelOption(Pair(options.model, options.model))
    options, rest = switch_parts(options, rest, players)
    return options.model, rest


def named_recipe(arguments: Sequence[str]) -> str | None:
    """The recipe that ``arguments`` name, if any."""
    return peek(arguments, "--recipe")


@dataclass(frozen=True)
class RecipeOption:
    """The recipe, as an option of its own."""

    recipe: Recipe | None = None


def configure(
    experiment: Experiment, arguments: Sequence[str], name: str, chosen: Mapping[str, Choice] | None = None
) -> Experiment:
    """``experiment``, which is called ``name``, with the parts and fields named in ``arguments`` changed.

    A recipe comes before the parts, and a part before its fields, wherever they stand. Networks of a recipe, and all
    networks for images at a path, get the sizes that suit the machine.

    Args:
        chosen: What was chosen for images at a path; None for named experiments.
    Raises:
        ValueError: An argument names no part and no field, or a value that does not fit.
    """
    option, rest = switch_parts(RecipeOption(), arguments, {"recipe": ("recipe", RECIPES)})
    if option.recipe is not None:
        experiment = replace(option.recipe(experiment), name=f"{experiment.name}-{named_recipe(arguments)}")
    # Before the other parts, since --model.generator is an option only once the model is a pair.
    model, rest = with_families(experiment.model, rest)
    experiment = replace(experiment, model=model)
    called = f"train {shlex.quote(name)}"
    if chosen is not None or option.recipe is not None:
        # The images and the device first: the sizes of networks follow from them, and may be given too. For images at
        # a path it is the device that was chosen when the run began: a run may go on on another one.
        seen = parse(experiment, options_on(rest, "data", "device"), called, EXPERIMENT_PARTS)
        experiment = fitted_to(experiment, surroundings(seen, chosen))
    return parse(experiment, rest, called, EXPERIMENT_PARTS)


@dataclass(frozen=True)
class BudgetOption:
    """The budget, as an option of its own."""

    budget: Budget = Budget(num_real=USUAL_LENGTH)


def asked_by(*arms: Sequence[str], limits: Mapping[str, float] | None = None) -> Asked:
    """Read what the arguments of a run, or of ``arms`` on one path, fix before the rest is chosen.

    Args:
        limits: The budget by its clocks, where the arguments do not say it.
    """
    if limits is None:
        given = [word for arguments in arms for word in options_on(arguments, "budget")]
        budget = parse(BudgetOption(), given, "train PATH").budget
        limits = {clock: limit for clock, limit in asdict(budget).items() if limit is not None}
    tasks = {peek(arguments, "--task") for arguments in arms}
    return Asked(
        networks=lambda recipe: [named_model(arguments, recipe) for arguments in arms],
        limits=limits,
        plain=tasks <= {None, "unconditional"},
        device=next((device for arguments in arms if (device := peek(arguments, "--device"))), None),
    )


def named_model(arguments: Sequence[str], recipe: str) -> Model:
    """The networks that ``arguments`` name with ``--model``, else those of the recipe they name, or of ``recipe``."""
    model = lookup("recipe", RECIPES, named_recipe(arguments) or recipe).model
    return with_families(model, arguments)[0]
