"""A trained generator on disk and back: safetensors and a JSON card. It needs no training code.

>>> import ganneal
>>> images = ganneal.load("runs/demo").sample(16, seed=0)  # doctest: +SKIP
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ganneal.atomic import replaced_folder, write_bytes
from ganneal.config import decode
from ganneal.directory import RunDirectory, provenance, read_json
from ganneal.models import MODELS, ModelPair
from ganneal.task import TASKS, Task

CARD_FORMAT = 1
LICENCE = (
    "The weights are yours, within the licence of the data named above; "
    "the software that made them is under Apache-2.0."
)


class TrainedGenerator:
    """A generator in eval mode with the task that says how to draw from it; latents are drawn on the CPU."""

    def __init__(self, generator: nn.Module, pair: ModelPair, task: Task, card: dict[str, Any] | None = None):
        self.generator = generator.eval().requires_grad_(False)
        self.latent, self.shape, self.num_classes = pair.latent, pair.shape, pair.num_classes
        self.task = task
        self.card = card or {}
        """What was trained, on which data, for how long."""

    @torch.no_grad()
    def sample(
        self,
        count: int,
        seed: int = 0,
        *,
        labels: Sequence[int] | Tensor | None = None,
        batch_size: int = 256,
    ) -> Tensor:
        """Draw ``count`` samples; the same ``seed`` gives the same samples.

        Args:
            labels: A class for each sample, for class-conditional generators; None draws them uniformly.
            batch_size: Samples computed at once; it does not change which latents are drawn.
        Returns:
            ``[count, C, H, W]`` in [-1, 1] for images, ``[count, D]`` for points; float32.
        Raises:
            ValueError: ``count`` below 1, or labels that do not fit.
        """
        for name, value in (("count", count), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed must be in 0..2^63-1, got {seed}.")
        random = torch.Generator().manual_seed(seed)
        latents = self.latent.sample(count, random)
        chosen = None if labels is None else torch.as_tensor(labels)
        if chosen is not None and chosen.is_floating_point():
            raise ValueError(f"labels must be whole numbers, got {labels}.")
        condition = self.task.sample_condition(chosen, count, self.num_classes, random)
        device = next(self.generator.parameters()).device
        parts = []
        for start in range(0, count, batch_size):
            piece = slice(start, start + batch_size)
            given = tuple(c[piece].to(device) for c in condition)
            parts.append(self.task.sample(self.generator, latents[piece].to(device), given, random).float().cpu())
        return torch.cat(parts)


def export(
    folder: Path,
    directory: RunDirectory,
    state: dict[str, Any],
    pair: ModelPair,
    *,
    measured: Mapping[str, float] | None = None,
) -> Path:
    """Write ``folder``: the averaged generator, the generator as trained, the discriminator, and a card.

    Args:
        measured: What was measured of these weights, for the card.
    """
    description = read_json(directory.description)
    card = {
        "format": CARD_FORMAT,
        "experiment": description["experiment"],
        "data": description["data"],
        "provenance": provenance(),
        "counters": state["counters"],
        "measured": dict(measured or {}),
        "licence": LICENCE,
        "files": {
            "generator.safetensors": "averaged over training; sample from this one in eval mode",
            "generator-raw.safetensors": "as trained, without averaging",
            "discriminator.safetensors": "as trained",
        },
        "parameters": {
            "generator": sum(p.numel() for p in pair.generator.parameters()),
            "discriminator": sum(p.numel() for p in pair.discriminator.parameters()),
        },
        "usage": "import ganneal; images = ganneal.load(PATH_OF_THIS_RUN).sample(16, seed=0)  # in [-1, 1]",
    }
    with replaced_folder(folder) as filled:
        for name, key in (
            ("generator", "average"),
            ("generator-raw", "generator"),
            ("discriminator", "discriminator"),
        ):
            tensors = {k: v.detach().cpu().contiguous() for k, v in state[key].items()}
            write_bytes(filled / f"{name}.safetensors", save(tensors))
        write_bytes(filled / "card.json", json.dumps(card, indent=2).encode())
    return folder


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"cannot read {path}: {error}; remove {path.parent} to use the newest checkpoint, or train again."
        ) from error


def load(path: str | Path, *, checkpoint: Literal["last", "best"] = "last") -> TrainedGenerator:
    """The averaged generator of the run at ``path``.

    Args:
        checkpoint: "last" is ``final/``, or the newest checkpoint of an unfinished run; "best" is ``best/``, the
            weights at the best evaluation during training.
    Raises:
        FileNotFoundError: ``path`` holds no run, or one without a checkpoint yet.
        ValueError: The run uses a model or task that is not registered.
    """
    directory = RunDirectory(path)
    if checkpoint not in ("last", "best"):
        raise ValueError(f"checkpoint must be 'last' or 'best', got {checkpoint!r}.")
    final = directory.path / ("final" if checkpoint == "last" else "best")
    if (final / "card.json").exists():
        card = read_json(final / "card.json")
        weights = _read_weights(final / "generator.safetensors")
    elif checkpoint == "best":
        raise FileNotFoundError(
            f"no best weights at {final}; they are kept by a run that evaluates (records.evaluate-every) and improves."
        )
    elif directory.description.exists() and (content := directory.load_checkpoint()) is not None:
        card = read_json(directory.description) | {"counters": content["state"]["counters"]}
        weights = content["state"]["average"]
    else:
        raise FileNotFoundError(
            f"no trained run at {directory.path}: neither final/card.json nor a checkpoint; give the directory that "
            f"`ganneal train` wrote, or train longer."
        )
    parts = {type(part) for registry in (MODELS, TASKS) for part in registry.values()}
    model = decode(card["experiment"]["model"], parts)
    task = decode(card["experiment"]["task"], parts)
    with torch.random.fork_rng(devices=[]):
        pair = model.build(tuple(card["data"]["shape"]), card["data"]["num_classes"])
    pair.generator.load_state_dict(weights)
    return TrainedGenerator(pair.generator, pair, task, card)
