"""The weights of another run as a start: every one that fits, of both players and of the average."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ganneal.data.classes import class_names_of, composed, few, paired_classes
from ganneal.engine.run import Run
from ganneal.inference import zoo
from ganneal.inference.loading import trained_run, weights_in
from ganneal.normalization import GradientNormalized
from ganneal.storage.atomic import write_bytes
from ganneal.storage.json_files import CARD, read_description
from ganneal.storage.run_directory import RunDirectory, read_checkpoint
from ganneal.storage.weight_files import StateDict, players_of, read_weights
from ganneal.training.matched_weights import Rows, class_dimensions, fitted, matched, plain_name, unwrapped

# The generator as trained begins from such weights and not from an average, which lies behind them.
FILES = {
    "generator": ("generator-raw", "generator"),
    "discriminator": ("discriminator",),
    "average": ("generator", "generator-raw"),
}
"""Each network of a run -> the files of another run that it may begin from; the first that is there counts."""
LIST = "init_from.json"
"""The file in a run's directory that lists which weights were taken and which were begun anew."""


@dataclass(frozen=True)
class WeightsOrigin:
    """Weights on disk, and what is known of the run that they are of."""

    given: str
    files: Mapping[str, StateDict]
    card: Mapping[str, Any] = field(default_factory=dict)

    def of(self, player: str) -> StateDict:
        """The weights that a network of a run may begin from, none where there are none."""
        return next((self.files[name] for name in FILES[player] if name in self.files), {})

    @property
    def made(self) -> str:
        """The model and the shape of the samples, for messages."""
        model = self.card.get("experiment", {}).get("model", {}).get("type", "a network without a card")
        shape = self.card.get("data", {}).get("shape")
        return f"{model} for samples of shape {tuple(shape)}" if shape else model


@dataclass(frozen=True)
class Taken:
    """Weights that a run took over, and weights that it began anew, by network."""

    origin: WeightsOrigin
    taken: dict[str, list[str]]
    anew: dict[str, list[str]]
    classes: str | None
    """The change of the classes in words; None where the run has none."""

    @property
    def line(self) -> str:
        """One line for a person."""
        counts = [
            f"{name} {len(found)} of {len(found) + len(self.anew[name])}" if found else f"{name} begins anew"
            for name, found in self.taken.items()
        ]
        classes = f"; {self.classes}" if self.classes else ""
        pushes = "; its pushes are not taken" if self.origin.card.get("pushes") else ""
        return f"weights taken from {self.origin.given}: {', '.join(counts)}{classes}{pushes}"

    def write(self, directory: RunDirectory) -> Path:
        """List every weight by its name in the run's directory."""
        content = {
            "init_from": self.origin.given,
            "counters": self.origin.card.get("counters"),
            "classes": self.classes,
            "taken": self.taken,
            "begun anew": self.anew,
        }
        path = directory.path / LIST
        write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())
        return path


def take_weights(run: Run, given: str) -> Taken:
    """Begin ``run`` with the weights at ``given`` that fit it: of both players and of the average.

    Optimizers, clocks, the place in the data and all else that a run has begin anew.

    Raises:
        ValueError: There are no weights at ``given``, they are no numbers, or nothing fits; the message says why.
    """
    origin = weights_at(given)
    # Classes are matched by name: class 3 of another data set is another class.
    rows, words = _class_rows(run, origin.card)
    tables = class_dimensions(run.experiment.model, run.pair.shape, run.pair.num_classes)
    state: dict[str, StateDict] = {}
    taken: dict[str, list[str]] = {}
    anew: dict[str, list[str]] = {}
    layers = 0
    for player, module in _networks(run).items():
        own = {plain_name(name): tensor for name, tensor in module.state_dict().items()}
        found = matched(own, unwrapped(own, origin.of(player)))
        known = tables["generator" if player == "average" else player]
        fits = {name: fitted(tensor, found.get(name), known.get(name), rows) for name, tensor in own.items()}
        taken[player] = [name for name, start in fits.items() if start is not None]
        anew[player] = [name for name, start in fits.items() if start is None]
        merged = [own[name] if start is None else start for name, start in fits.items()]
        # Under the names of the module itself, which a spectral norm has changed; the order is that of its state.
        state[player] = dict(zip(module.state_dict(), merged, strict=True))
        layers += sum(own[name].dim() > 1 for name in taken[player])  # matrices and kernels, not biases and statistics
        _check_finite(given, player, [start for start in fits.values() if start is not None])
    if not layers:  # biases and statistics of norms mean nothing without the weights that they belong to
        raise ValueError(_nothing_fits(run, origin))
    around = isinstance(run.discriminator, GradientNormalized)
    inner = state["discriminator"]
    run.load_players(state | {"discriminator": {f"net.{n}": t for n, t in inner.items()} if around else inner})
    return Taken(origin, taken, anew, words)


def weights_at(given: str) -> WeightsOrigin:
    """The weights of a run, of a folder or checkpoint in it, of a generator that ships, or of a file.

    Raises:
        ValueError: There are none; the message says what may be given.
    """
    path = zoo.run_path(given) if zoo.is_named(given) else Path(given).expanduser()
    try:
        # A checkpoint has no card beside it: the run's description, two folders up, says what it is of.
        if path.suffix == ".pt" and path.is_file():
            card = RunDirectory(path.parent.parent).description
            known = read_description(card) if card.exists() else {}
            return WeightsOrigin(given, players_of(read_checkpoint(path)["state"]), known)
        if path.suffix == ".safetensors" and path.is_file():
            known = read_description(path.parent / CARD) if (path.parent / CARD).exists() else {}
            # A file by itself may be called anything: it is taken for a generator unless its name says otherwise.
            player = path.stem if path.stem.startswith("discriminator") else "generator"
            return WeightsOrigin(given, {player: read_weights(path, known)}, known)
        found = weights_in(path) if (path / CARD).exists() else trained_run(path)
        return WeightsOrigin(given, {name: found.weights(name) for name in found.files}, found.card)
    except FileNotFoundError as error:
        raise ValueError(
            "init_from must be a run directory with a checkpoint, final, best or a snapshot in one, a .safetensors "
            f"file, or zoo:NAME, got {given!r}."
        ) from error


def _networks(run: Run) -> dict[str, nn.Module]:
    """The networks that begin from weights, without what a normalisation has put around one."""
    # A wrapper only adds "net." to every name: inside it two discriminators are compared weight by weight.
    judge = run.discriminator
    inner = judge.net if isinstance(judge, GradientNormalized) else judge
    return {"generator": run.generator, "discriminator": inner, "average": run.average}


def _class_rows(run: Run, card: Mapping[str, Any]) -> tuple[Rows | None, str | None]:
    """Which class of the run is which of the other, and what becomes of them in words."""
    if not run.pair.num_classes:
        return None, None
    ours, theirs = run.data.dataset.class_names, class_names_of(card.get("data", {}))
    if not theirs:
        return None, "classes begin anew, as it has none"
    rows: Rows = [None] * len(ours)
    try:
        found = paired_classes(ours, theirs, called=("the data", "the other run"))
    except ValueError:  # some classes have no counterpart: those that have are taken, the others begin anew
        number = {name: index for index, name in enumerate(composed(theirs))}
        rows = [number.get(name) for name in composed(ours)]
        lacking = few([name for name, row in zip(ours, rows, strict=True) if row is None])
        known = [name for name, row in zip(ours, rows, strict=True) if row is not None]
        return rows, f"classes {few(known)} taken, {lacking} begun anew" if known else f"classes {lacking} begin anew"
    for theirs_at, ours_at in enumerate(found.places):
        rows[ours_at] = theirs_at
    return rows, f"classes are paired {found.words}"


def _check_finite(given: str, player: str, tensors: list[Tensor]) -> None:
    if not all(tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point()):
        raise ValueError(f"init_from {given!r} has NaN or infinite weights of the {player}; use an earlier checkpoint.")


def _nothing_fits(run: Run, origin: WeightsOrigin) -> str:
    """Why nothing was taken: the two models, and the first weight of each player that does not fit."""
    whys = []
    for player in ("generator", "discriminator"):
        own = {plain_name(name): tensor for name, tensor in _networks(run)[player].state_dict().items()}
        theirs = unwrapped(own, origin.of(player))
        # The first one tells most: widths and sizes go through a network from its first layer on.
        name = next((name for name in own if name in theirs), None)
        if name is not None:
            whys.append(f"{player} {name} is {_by(theirs[name])} there, {_by(own[name])} here")
        elif theirs:
            whys.append(f"no weight of the {player} has the name of one there")
    ours = f"{type(run.experiment.model).__name__} for samples of shape {run.pair.shape}"
    return (
        f"init_from {origin.given!r}: nothing fits. It has {origin.made}, this run {ours}: {'; '.join(whys)}. Use its "
        f"model and size (--model, --data.size), or leave --init-from out."
    )


def _by(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
