"""A trained generator as one function of tensors, with a name and a distribution for each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganneal import __version__
from ganneal.inference.generator import TrainedGenerator
from ganneal.models import Latent, Normal
from ganneal.storage.encoding import encode
from ganneal.storage.weight_files import LICENCE
from ganneal.task import Condition, Denoising, Task

EXPORT_FORMAT = 1
CARD_KEY = "ganneal"
"""Under which a file holds its card, as JSON."""
CARD_KEYS = ("experiment", "data", "counters", "measured", "provenance")
"""Keys that the card of a file takes from the card of the run."""


@dataclass(frozen=True)
class Input:
    """One input of a program."""

    name: str
    shape: tuple[int, ...]
    """Behind the batch."""
    kind: Literal["float32", "int64"]
    distribution: str


@dataclass(frozen=True)
class Program:
    """A generator as a function of tensors alone, each ``[n, ...]`` for any n.

    ``module(*made_of(latents, condition))`` are the samples of what `TrainedGenerator.draw` draws, as `sample` has
    them.
    """

    module: nn.Module
    inputs: tuple[Input, ...]
    output: str
    made_of: Callable[[Tensor, Condition], tuple[Tensor, ...]]
    card: dict[str, Any]
    """The file's card: training, data, duration, inputs and outputs."""


class OnePass(nn.Module):
    """Latents, and labels where there are any, to samples."""

    def __init__(self, generator: nn.Module, task: Task):
        super().__init__()
        self.generator, self.task = generator, task

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        condition = () if labels is None else (labels,)
        # The generator of random numbers is never drawn from here: all that is random is an input of the file.
        return self.task.sample(self.generator, latents, condition, torch.Generator()).float()  # [n, ...]


class AllPasses(nn.Module):
    """The latents and the noise of every pass of a denoising chain to samples."""

    def __init__(self, generator: nn.Module, task: Denoising):
        super().__init__()
        self.generator, self.task = generator, task
        task.diffusion.tables(torch.float32)  # kept from now on: in a trace, tensors of the tracer would be kept

    # latents [n, T, size] and noise [n, T, ...]: tensors and no lists, so that the file has two inputs for any T.
    def forward(self, latents: Tensor, noise: Tensor) -> Tensor:
        return self.task.denoised(self.generator, latents.unbind(1), noise.unbind(1)).float()


def program_of(generator: TrainedGenerator) -> Program:
    """``generator`` as a function of tensors.

    Raises:
        ValueError: Its samples take more than a fixed function of them: pushes by stored discriminators, or batch norm
            on the samples at hand.
    """
    if generator.pushes is not None:
        raise ValueError(
            f"sampler must be 'generator' for an export: a sample of this run takes {generator.num_pushes} pushes by "
            "stored discriminators. An exported file does not hold them. Use --sampler generator for the generator "
            "alone; its samples differ."
        )
    if generator.statistics == "batch":
        raise ValueError(
            "statistics must be 'running' or 'standing' for an export, got 'batch': a sample would depend on the "
            "others of its batch."
        )
    # A latent distribution need not say its size: one draw shows it.
    size = generator.latent.sample(1, torch.Generator()).shape[1]
    latents = Input("latents", (size,), "float32", _distribution(generator.latent))
    output = "images" if len(generator.shape) == 3 else "points"
    # A denoising chain takes noise at every pass; all other tasks are one pass of the generator.
    match generator.task:
        case Denoising() as task:
            module, inputs = AllPasses(generator.generator, task), _of_all_passes(latents, task, generator.shape)

            def made_of(latents: Tensor, condition: Condition) -> tuple[Tensor, ...]:
                latent_parts, noise = task.drawn(latents, condition, generator.shape)
                return torch.stack(tuple(latent_parts), 1), torch.stack(tuple(noise), 1)

        case task:
            classes = f"classes 0..{generator.num_classes - 1}"
            labels = [Input("labels", (), "int64", classes)] if generator.num_classes else []
            module, inputs = OnePass(generator.generator, task), (latents, *labels)

            def made_of(latents: Tensor, condition: Condition) -> tuple[Tensor, ...]:
                return latents, *condition

    # In eval mode: in train mode the file would hold batch norm on the batch, and dropout.
    return Program(module.eval(), inputs, output, made_of, _card(generator, inputs, output))


def _distribution(latent: Latent) -> str:
    if isinstance(latent, Normal):
        return "independent standard normal"
    return str(encode(latent)) if is_dataclass(latent) else repr(latent)


def _of_all_passes(latents: Input, task: Denoising, shape: tuple[int, ...]) -> tuple[Input, ...]:
    return (
        Input("latents", (task.steps, *latents.shape), "float32", f"{latents.distribution}, one for each pass"),
        Input(
            "noise",
            (task.steps, *shape),
            "float32",
            "independent standard normal, the start and one for each pass but the last",
        ),
    )


def _card(generator: TrainedGenerator, inputs: Sequence[Input], output: str) -> dict[str, Any]:
    # A choice of keys: a run's card may have what belongs to this machine, as the places of the data.
    known = {key: generator.card[key] for key in CARD_KEYS if key in generator.card}
    return {
        "format": EXPORT_FORMAT,
        "made_by": f"ganneal {__version__}, torch {torch.__version__}",
        "inputs": [
            {"name": i.name, "shape": ["n", *i.shape], "type": i.kind, "distribution": i.distribution} for i in inputs
        ],
        "output": {
            "name": output,
            "shape": ["n", *generator.shape],
            "type": "float32",
            "meaning": "channels first, black at -1 and white at 1" if output == "images" else "coordinates",
        },
        "classes": generator.class_names,
        "sampler": generator.sampler,
        "statistics": generator.statistics,
        **known,
        "licence": generator.card.get("licence", LICENCE),
    }
