"""Configurations to JSON and back, over every registered part, and their differences in words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.augment import AUGMENTATIONS, PROBABILITIES
from ganneal.data import DATASETS, Arrays, Gaussian
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, MLP, MODELS
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import LR_RULES, OPTIMIZERS, SGD, Averaging, Cosine, RMSProp
from ganneal.regularizers import REGULARIZERS, Dragan, Generated, GradientPenalty, Sum, WeightClipping
from ganneal.schemes import SCHEMES, Nested
from ganneal.stop import Divergence
from ganneal.storage.encoding import decode, difference, encode
from ganneal.task import TASKS
from ganneal.weights import WEIGHTS, Explicit, Geometric, Linear, Reversed

REGISTRIES: dict[str, dict[str, Any]] = {
    "models": dict(MODELS),
    "tasks": dict(TASKS),
    "losses": dict(LOSSES),
    "regularizers": dict(REGULARIZERS),
    "normalizations": dict(NORMALIZATIONS),
    "augmentations": dict(AUGMENTATIONS),
    "probabilities": dict(PROBABILITIES),
    "schemes": dict(SCHEMES),
    "weights": dict(WEIGHTS),
    "data": dict(DATASETS),
    "optimizers": dict(OPTIMIZERS),
    "rules": dict(LR_RULES),
}
NAMES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]

CHANGED: list[Any] = [
    DCGAN(width=16, g_norm="none", d_norm="layer"),
    MLP(depth=7),
    Nested(levels=3, d_steps=2, weights=Reversed(of=Explicit((0.1, 0.2, 0.7)))),
    Nested(weights=Linear(first=20, last=0.1)),
    Sum(
        (GradientPenalty(points=Dragan(), interval=4), WeightClipping(0.1), Sum(), GradientPenalty(points=Generated()))
    ),
    RMSProp(lr=1 / 3, rule=Cosine(end=10**12, start=7, final=1e-30, clock="d_updates")),
    Arrays(path='a "quoted"/path\\é.npz', labels=None),
    Gaussian(mean=(0.1, -1e-300)),
    Averaging(rampup=None),
]
"""Nested parts, tuples, None, awkward numbers and text."""


def parts_of(value: Any) -> Iterator[Any]:
    """``value`` and every dataclass inside it."""
    if is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in fields(value):
            yield from parts_of(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from parts_of(item)


def types_in(value: Any) -> list[type]:
    return [type(part) for part in parts_of(value)]


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(encode(value), allow_nan=False))


@for_each(("kind", "name"), NAMES)
def test_every_registered_part_round_trips(kind: str, name: str) -> None:
    part = REGISTRIES[kind][name]
    assert decode(through_json(part), types_in(part)) == part


@for_each("part", CHANGED, ids=lambda part: type(part).__name__)
def test_changed_parts_round_trip(part: Any) -> None:
    decoded = decode(through_json(part), types_in(part))
    assert decoded == part and repr(decoded) == repr(part)


@for_each("name", EXPERIMENTS)
def test_every_named_experiment_round_trips(name: str) -> None:
    experiment = EXPERIMENTS[name]()
    types = {*types_in(experiment), Experiment, Budget, Records, Divergence}
    assert decode(through_json(experiment), types) == experiment


def test_registered_parts_of_all_kinds_have_names_of_their_own() -> None:
    types = {cls for registry in REGISTRIES.values() for part in registry.values() for cls in types_in(part)}
    assert len({cls.__name__ for cls in types}) == len(types)


def test_a_part_becomes_its_fields_under_its_class_name() -> None:
    assert encode(SGD(lr=0.5)) == {"type": "SGD", "lr": 0.5, "momentum": 0.0, "rule": {"type": "Constant"}}
    assert encode(Sum((WeightClipping(),))) == {"type": "Sum", "terms": [{"type": "WeightClipping", "limit": 0.01}]}


@dataclass(frozen=True)
class Holder:
    """A part that holds anything."""

    value: Any


@for_each("value", [Path("x"), {1, 2}, b"x", 1j, object(), Holder, print], ids=lambda value: type(value).__name__)
@for_each("wrap", [lambda value: value, Holder, lambda value: (1, [value])], ids=["bare", "field", "list"])
def test_what_is_not_json_is_refused_with_its_type(value: Any, wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError) as error:
        encode(wrap(value))
    assert f"of type {type(value).__name__} to JSON; make parts of an experiment frozen" in str(error.value)


def test_dictionaries_are_encoded_with_text_keys() -> None:
    assert encode({1: (2, 3), "a": SGD().rule}) == {"1": [2, 3], "a": {"type": "Constant"}}


@pytest.mark.parametrize("data", [{"type": "Mine"}, {"type": "Holder", "value": [{"type": "Mine"}]}])
def test_an_unknown_part_is_named_with_the_known_ones(data: Any) -> None:
    with pytest.raises(ValueError, match="unknown part 'Mine'; known: Holder, MLP. Register your own part"):
        decode(data, [Holder, MLP])


def changes(before: Any, after: Any) -> list[str]:
    return difference(encode(before), encode(after))


def test_difference_names_the_leaf_by_its_path() -> None:
    scheme = Nested(levels=5, weights=Linear(1.0, 0.01))
    assert changes(scheme, replace(scheme, levels=3)) == ["levels: 5 -> 3"]
    assert changes(scheme, replace(scheme, weights=Linear(1.0, 0.1))) == ["weights.last: 0.01 -> 0.1"]
    both = Sum((WeightClipping(0.1), WeightClipping(0.2)))
    assert changes(both, Sum((WeightClipping(0.1), WeightClipping(0.3)))) == ["terms.1.limit: 0.2 -> 0.3"]


def test_difference_shows_another_part_and_the_fields_that_come_and_go() -> None:
    lines = changes(Nested(weights=Linear(1.0, 0.01)), Nested(weights=Explicit((1.0, 1.0, 1.0, 1.0, 1.0))))
    assert lines[:3] == [
        "weights.type: Linear -> Explicit",
        "weights.first: 1.0 -> absent",
        "weights.last: 0.01 -> absent",
    ]
    assert lines[3:] == [f"weights.values.{index}: absent -> 1.0" for index in range(5)]


def test_difference_tells_none_from_absent() -> None:
    assert difference({"a": None}, {}) == ["a: None -> absent"]
    assert difference({}, {"a": None}) == ["a: absent -> None"]


@for_each(("kind", "name"), NAMES)
def test_a_part_does_not_differ_from_its_saved_self(kind: str, name: str) -> None:
    part = REGISTRIES[kind][name]
    assert difference(through_json(part), encode(part)) == []


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
trees = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, min_size=1)
        ),
        max_leaves=6,
    ),
)


@pytest.mark.runs
@settings(max_examples=40)
@given(trees, trees)
def test_there_are_lines_exactly_where_configurations_differ(one: Any, other: Any) -> None:
    assert (difference(one, other) == []) == (one == other)
    assert difference(one, one) == []
    swapped = [line.split(": ")[0] for line in difference(other, one)]
    assert sorted(swapped) == sorted(line.split(": ")[0] for line in difference(one, other))


def test_fields_that_a_part_does_not_have_name_the_part() -> None:
    with pytest.raises(ValueError, match="Geometric cannot have these fields: .*'middle'"):
        decode({"type": "Geometric", "first": 1.0, "middle": 0.5}, [Geometric])
    with pytest.raises(ValueError, match="unknown part 3"):
        decode({"type": 3}, [Geometric])
