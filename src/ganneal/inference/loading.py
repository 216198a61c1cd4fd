"""A trained generator from disk: the run's card, and the weights beside it. It needs no training code.

>>> import ganneal
>>> images = ganneal.load("runs/demo").sample(16, seed=0)  # doctest: +SKIP
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganneal.augment import AUGMENTATIONS, PROBABILITIES
from ganneal.chain import Chain
from ganneal.clocks import Counters
from ganneal.inference import zoo
from ganneal.inference.generator import Pushes, Sampler, TrainedGenerator
from ganneal.losses import EVERY_LOSS, MONOTONE
from ganneal.models import MODELS, ModelPair
from ganneal.models.parts.batch_norm import Statistics
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import LR_RULES
from ganneal.push import DELTAS, Push
from ganneal.storage.encoding import decode
from ganneal.storage.json_files import read_description
from ganneal.storage.run_directory import RunDirectory
from ganneal.storage.weight_files import Weights, players_of, pushes_of, read_weights
from ganneal.task import TASKS

MOST_LARGER = 64
"""Times the generator that both players may be together, in tensors and beside some millions in parameters."""
SMALL = 2**24
FAR_LARGER = "its networks are far larger than the weights beside it; restore the card."
SAMPLERS = ("generator", "pushed", None)


class _NoLargerTensor(TorchFunctionMode):
    """Refuses to make a tensor of more than ``most`` numbers, before it is asked for."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn):
            sizes = (kwargs or {}).get("size", args)
            if prod(sizes[0] if sizes and isinstance(sizes[0], Sequence) else sizes) > self.most:
                raise ValueError(FAR_LARGER)
        return func(*args, **(kwargs or {}))


@contextmanager
def _like(weights: Weights) -> Iterator[None]:
    """Refuse to build networks far larger than ``weights``, before memory is touched for what is beyond them."""
    most = MOST_LARGER * sum(tensor.numel() for tensor in weights.values()) + SMALL
    most_tensors = MOST_LARGER * (len(weights) + 1)
    count, tensors, thread = 0, 0, threading.get_ident()

    def counted(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, tensors
        if parameter is not None and threading.get_ident() == thread:
            count, tensors = count + parameter.numel(), tensors + 1
            if count > most or tensors > most_tensors:
                raise ValueError(FAR_LARGER)

    hook = register_module_parameter_registration_hook(counted)
    try:
        with _NoLargerTensor(most):
            yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class _Found:
    """A trained run on disk: its card, and its networks by the name of their file."""

    path: Path
    source: Path
    """The file of the card."""
    card: dict[str, Any]
    weights: Callable[[str], Weights]

    @contextmanager
    def named(self) -> Iterator[None]:
        """Whatever a card leads to that does not fit the weights beside it names the file that it is in."""
        try:
            yield
        except FileNotFoundError:
            raise
        except ValueError as error:
            if str(self.path) in str(error):
                raise
            raise ValueError(f"the run that {self.source} describes: {error}") from error
        except Exception as error:  # a part built with another's fields raises almost any type
            raise ValueError(
                f"{self.source} does not describe the weights beside it ({type(error).__name__}: {error}); restore "
                f"it, or use another run directory."
            ) from error

    def part(self, name: str, registries: Sequence[Mapping[str, Any]]) -> Any:
        """The part ``name`` of the experiment, of a type in ``registries``."""
        types = {type(part) for registry in registries for part in registry.values()}
        found = decode(self.card["experiment"][name], types)
        if type(found) not in types:
            raise ValueError(f"{name} must be a part with its type, got {found!r}.")
        return found

    def own_statistics(self) -> Statistics | None:
        """What batch norm of the averaged generator runs on where the run says so."""
        rule = self.card["experiment"].get("averaging", {}).get("statistics")  # runs of before had no such field
        return "standing" if rule == "recompute" else None

    @property
    def batch_size(self) -> int:
        """Samples of one generator update."""
        experiment = self.card["experiment"]
        return experiment.get("g_batch_size") or experiment["batch_size"]

    def pair(self, generator: str) -> ModelPair:
        """Players of the right shapes, hardly larger than the weights of ``generator`` whatever the card says."""
        with torch.random.fork_rng(devices=[]), _like(self.weights(generator)):
            model = self.part("model", (MODELS,))
            return model.build(tuple(self.card["data"]["shape"]), self.card["data"]["num_classes"])

    def alone(self) -> TrainedGenerator:
        """The averaged generator."""
        pair = self.pair("generator")
        pair.generator.load_state_dict(self.weights("generator"))
        return TrainedGenerator(pair.generator, pair, self.part("task", (TASKS,)), self.card)

    def followed(self) -> TrainedGenerator:
        """The generator as trained, followed by the pushes.

        Raises:
            ValueError: The run stored no discriminators.
        """
        if not self.card.get("pushes"):
            raise ValueError(
                f"sampler 'pushed' needs stored discriminators, and the run at {self.path} has none; use "
                f"sampler='generator', or a scheme as 'cfg'."
            )
        weights = self.weights("stored-discriminators")

        def own(level: int) -> Weights:
            return {k.removeprefix(f"{level}."): v for k, v in weights.items() if k.startswith(f"{level}.")}

        sizes = {int(level): step_size for level, step_size in self.card["pushes"].items()}
        return self._with_pushes("generator-pushed", sizes, own)

    def probed(self, count: int, step_size: float) -> TrainedGenerator:
        """The generator as trained, followed by ``count`` pushes of the discriminator it has now."""
        weights = self.weights("discriminator")
        return self._with_pushes("generator-raw", dict.fromkeys(range(1, count + 1), step_size), lambda _: weights)

    def _with_pushes(
        self, generator: str, sizes: Mapping[int, float], discriminator: Callable[[int], Weights]
    ) -> TrainedGenerator:
        pair = self.pair(generator)
        for player in (pair.generator, pair.discriminator):  # as in training, for the same bits
            player.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pair.generator.load_state_dict(self.weights(generator))
        augmentation = self.part("augmentation", (AUGMENTATIONS, PROBABILITIES, LR_RULES))
        pushes = Pushes(
            self._chain(pair, sizes, discriminator),
            augmentation,
            self.card.get("augmentation_state", augmentation.init_state()),
            Counters(**self.card["counters"]),
        )
        return TrainedGenerator(pair.generator, pair, self.part("task", (TASKS,)), self.card, pushes)

    def _chain(self, pair: ModelPair, sizes: Mapping[int, float], weights: Callable[[int], Weights]) -> Chain:
        experiment = self.card["experiment"]
        with torch.random.fork_rng(devices=[]):
            discriminator = self.part("normalization", (NORMALIZATIONS,)).apply(pair.discriminator)
        processes = experiment.get("devices", 1) * experiment.get("nodes", 1)
        together = experiment["batch_size"] // (experiment["accumulate"] * processes)
        push = self.part("push", ({"": Push()}, DELTAS))
        chain = Chain(push, self.part("loss", (EVERY_LOSS, MONOTONE)), together)
        for level, step_size in sizes.items():
            chain.store(level, discriminator, step_size)
            chain.stored[level].discriminator.load_state_dict(weights(level))
        return chain


def load(
    path: str | Path,
    *,
    checkpoint: Literal["last", "best"] = "last",
    sampler: Sampler | None = None,
    statistics: Statistics | None = None,
) -> TrainedGenerator:
    """The trained generator of the run at ``path``, or ``"zoo:NAME"`` for one that ships with ganneal.

    Args:
        checkpoint: "last" is ``final/``, or the newest checkpoint of an unfinished run; "best" is ``best/``, the
            weights at the best evaluation during training.
        sampler: "generator" is the averaged generator alone; "pushed" the generator that was trained by functional
            gradients with the pushes of the stored discriminators. None takes the one that the run was followed by.
        statistics: What batch norm runs on: "running", as kept in training; "standing", averaged over 32 passes of
            training's batch, as BigGAN is sampled; "batch", that of the samples drawn together. None is "standing"
            for the average of a run with ``averaging.statistics="recompute"``, else "running".
    Raises:
        FileNotFoundError: ``path`` holds no run, or one without a checkpoint yet.
        ValueError: The run uses a part that is not registered, stored no discriminators and should push, or has no
            batch norm and is given ``statistics``; or the zoo has no generator of that name.
    """
    for name, value, allowed in (
        ("checkpoint", checkpoint, ("last", "best")),
        ("sampler", sampler, SAMPLERS),
        ("statistics", statistics, (*get_args(Statistics), None)),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(repr(a) for a in allowed if a)}, got {value!r}.")
    found = _find(path, checkpoint)
    with found.named():
        match sampler or found.card.get("sampler"):
            case "pushed":
                generator, own = found.followed(), None
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
    found = _find(path, "last")
    with found.named():
        return found.followed() if found.card.get("pushes") else found.probed(count, step_size)


def _find(path: str | Path, checkpoint: Literal["last", "best"]) -> _Found:
    text = str(path)
    directory = RunDirectory(zoo.place(text.removeprefix(zoo.PREFIX)) if text.startswith(zoo.PREFIX) else path)
    final = directory.path / ("final" if checkpoint == "last" else "best")
    if (source := final / "card.json").exists():
        card = read_description(source)
        return _Found(directory.path, source, card, lambda n: read_weights(final / f"{n}.safetensors", card))
    if checkpoint == "best":
        raise FileNotFoundError(
            f"no best weights at {final}; a run that evaluates (--records.evaluate-count) keeps them where it improves."
        )
    if directory.description.exists() and (content := directory.load_checkpoint()) is not None:
        state = content["state"]
        card = read_description(directory.description) | {"counters": state.get("counters", {})} | pushes_of(state)
        return _Found(directory.path, directory.description, card, lambda name: players_of(state)[name])
    inside = RunDirectory(directory.path.parent).description.exists()
    way_out = (
        f"it lies in a run, give {directory.path.parent}."
        if inside
        else "give the directory that `ganneal train` wrote, or train longer."
    )
    raise FileNotFoundError(f"no trained run at {directory.path}: neither final/card.json nor a checkpoint; {way_out}")
