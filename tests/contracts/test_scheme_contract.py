"""What every registered scheme promises: a deterministic, frozen value to compare, print and save."""

import json
import pickle
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from itertools import combinations
from typing import Any, get_args

import pytest
from tests.for_each import for_each

from ganneal import schemes, steps, weights
from ganneal.schemes import SCHEMES, Scheme
from ganneal.steps import Step

ROUNDS = range(3)

every_scheme = for_each("scheme", SCHEMES.values(), ids=list(SCHEMES))


def flat(scheme: Scheme) -> tuple[tuple[Step, ...], ...]:
    return tuple(tuple(scheme(round)) for round in ROUNDS)


@for_each(("one", "other"), list(combinations(SCHEMES, 2)))
def test_no_two_registered_schemes_flatten_alike(one: str, other: str) -> None:
    assert flat(SCHEMES[one]) != flat(SCHEMES[other])


@every_scheme
def test_every_round_makes_steps_of_the_closed_vocabulary(scheme: Scheme) -> None:
    assert isinstance(scheme, Scheme)
    assert all(len(round) > 0 for round in flat(scheme))
    assert {type(step) for round in flat(scheme) for step in round} <= set(get_args(steps.Step))


@every_scheme
def test_every_step_has_a_level_counted_from_one(scheme: Scheme) -> None:
    assert all(step.level >= 1 for round in flat(scheme) for step in round)


@every_scheme
def test_a_round_is_the_same_whenever_and_in_whatever_order_it_is_asked_for(scheme: Scheme) -> None:
    forward = [tuple(scheme(round)) for round in ROUNDS]
    backward = [tuple(scheme(round)) for round in reversed(ROUNDS)]
    assert forward == backward[::-1]


@every_scheme
def test_two_rounds_can_be_walked_at_once(scheme: Scheme) -> None:
    apart = list(scheme(0))
    assert list(zip(scheme(0), scheme(0), strict=True)) == list(zip(apart, apart, strict=True))


@every_scheme
def test_is_frozen(scheme: Scheme) -> None:
    assert is_dataclass(scheme)
    for field in fields(scheme):
        with pytest.raises(FrozenInstanceError):
            setattr(scheme, field.name, getattr(scheme, field.name))


@every_scheme
def test_equal_fields_make_equal_schemes_with_equal_hashes(scheme: Any) -> None:
    rebuilt = type(scheme)(**{field.name: getattr(scheme, field.name) for field in fields(scheme)})
    assert rebuilt is not scheme
    assert rebuilt == scheme and hash(rebuilt) == hash(scheme) and flat(rebuilt) == flat(scheme)


@every_scheme
def test_survives_pickle_and_its_own_printed_form(scheme: Scheme) -> None:
    assert pickle.loads(pickle.dumps(scheme)) == scheme
    assert eval(repr(scheme), {**vars(steps), **vars(weights), **vars(schemes)}) == scheme


@every_scheme
def test_its_fields_are_json(scheme: Any) -> None:
    assert json.loads(json.dumps(asdict(scheme))) == asdict(scheme)


def test_no_two_registered_schemes_are_equal() -> None:
    assert len(set(SCHEMES.values())) == len(SCHEMES)
