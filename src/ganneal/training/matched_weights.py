"""Which weights of another network fit this one: by their names, their shapes, and the names of classes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ganneal.models import Model, Shape
from ganneal.storage.weight_files import StateDict

PARAMETRIZED = ".parametrizations.weight.original"
"""Name of a weight under spectral normalisation in place of ``.weight``."""
Layers = Mapping[int, Mapping[str, str]]
"""Place in a list of layers -> name in the layer -> whole name."""
Rows = list[int | None]
"""For each class of this network its number in the other; None where the other lacks it."""


def plain_name(name: str) -> str:
    """The name of a weight in a network without spectral normalisation."""
    # Both are the weight before it is divided; the kept vector u of a spectral norm has no counterpart.
    return name.replace(PARAMETRIZED, ".weight")


def unwrapped(own: Iterable[str], theirs: StateDict) -> StateDict:
    """``theirs`` under the names of a network without a normalisation, as those of ``own`` are."""
    plain = {plain_name(name): tensor for name, tensor in theirs.items()}
    inner = {name.removeprefix("net."): tensor for name, tensor in plain.items()}  # in a `GradientNormalized`
    # Names tell whether a normalisation stood around the network: the reading under which more of them are known.
    return max((plain, inner), key=lambda weights: len(weights.keys() & set(own)))


def matched(own: StateDict, theirs: StateDict) -> StateDict:
    """Tensors of ``theirs`` by the names of ``own``; not all of them have the shape.

    Networks of two sizes share layers at one end. The layers of a list are counted from the end at which more of their
    numbers fit.
    """
    found = {name: theirs[name] for name in own if name in theirs and _placed(name) is None}
    others = _lists(theirs)
    for prefix, layers in _lists(own).items():
        # A generator for larger images has more layers at its end, a discriminator at its beginning: lists are matched
        # from either end, whichever fits more weights.
        at_end = max(layers) - max(others.get(prefix, {0: {}}))
        candidates = [_shifted(layers, others.get(prefix, {}), by) for by in dict.fromkeys((0, at_end))]
        best = max(
            candidates, key=lambda names: sum(own[o].numel() for o, t in names.items() if _same(own[o], theirs[t]))
        )
        found |= {name: theirs[other] for name, other in best.items()}
    return found


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape


def _placed(name: str) -> tuple[str, int, str] | None:
    """The list that a weight's layer stands in, its place there and its name in the layer; None outside a list."""
    # "layers.3.conv.weight" -> ("layers.", 3, "conv.weight"): the first part that is a number.
    found = re.match(r"((?:[^.\d][^.]*\.)*)(\d+)\.(.+)", name)
    return None if found is None else (found[1], int(found[2]), found[3])


def _lists(names: Iterable[str]) -> Mapping[str, Layers]:
    """The lists of layers by what their names begin with."""
    found: dict[str, dict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for name in names:
        if (placed := _placed(name)) is not None:
            found[placed[0]][placed[1]][placed[2]] = name
    return found


def _shifted(
    layers: Mapping[int, Mapping[str, str]], others: Mapping[int, Mapping[str, str]], by: int
) -> dict[str, str]:
    """Names of weights in ``layers`` -> those in ``others`` whose layers stand ``by`` places further ahead."""
    return {
        name: others[at - by][inner]
        for at, names in layers.items()
        for inner, name in names.items()
        if inner in others.get(at - by, {})
    }


def class_dimensions(model: Model, shape: Shape, num_classes: int) -> dict[str, dict[str, int]]:
    """Player -> weight -> the dimension along which it has an entry for each class; empty without classes.

    Found by building the players with one class more.
    """
    if not num_classes:
        return {"generator": {}, "discriminator": {}}
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        # Built with one class more, on no device: the dimension that grows is that of the classes, in any network.
        pairs: list[Any] = [model.build(shape, count) for count in (num_classes, num_classes + 1)]
    found: dict[str, dict[str, int]] = {}
    for player in ("generator", "discriminator"):
        sizes, larger = (getattr(pair, player).state_dict() for pair in pairs)
        found[player] = {
            plain_name(name): next(d for d in range(tensor.dim()) if tensor.shape[d] != larger[name].shape[d])
            for name, tensor in sizes.items()
            if not _same(tensor, larger[name])
        }
    return found


def fitted(own: Tensor, theirs: Tensor | None, dimension: int | None, rows: Rows | None) -> Tensor | None:
    """``theirs`` in the place of ``own`` where it fits, with the entries of classes where this network has them.

    Args:
        dimension: The one of `class_dimensions`; None for a weight that knows no classes.
        rows: Which class is which; None where nothing says it.
    Returns:
        None where it does not fit; ``own`` with other entries where some classes are the other network's.
    """
    if theirs is None or theirs.dim() != own.dim():
        return None
    if dimension is None:
        return theirs.to(own) if _same(own, theirs) else None  # of another size it fits nowhere: nothing is resized
    if rows is None:  # nobody says which class is which, and equal numbers need not mean equal classes
        return None
    if own.shape[dimension] != len(rows):  # classes share the dimension with something else, as in a perceptron
        return theirs.to(own) if _same(own, theirs) and rows == list(range(len(rows))) else None
    # A table of classes may have another number of them; all its other sizes must agree.
    others = [theirs.shape[d] == own.shape[d] for d in range(own.dim()) if d != dimension]
    known = [(at, number) for at, number in enumerate(rows) if number is not None]
    if not all(others) or not known or max(number for _, number in known) >= theirs.shape[dimension]:
        return None
    merged = own.clone()  # classes that the other network lacks keep their fresh weights
    for at, number in known:
        merged.select(dimension, at).copy_(theirs.select(dimension, number))
    return merged
