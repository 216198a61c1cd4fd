"""Looking parts up by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganneal.losses import LOSSES
from ganneal.registry import lookup, nearest
from ganneal.schemes import SCHEMES
from ganneal.weights import WEIGHTS
from tests.for_each import for_each

REGISTRIES = {"loss": LOSSES, "scheme": SCHEMES, "weights": WEIGHTS}
NAMES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


@for_each(("kind", "name"), NAMES)
def test_a_registered_name_gives_its_part(kind: str, name: str) -> None:
    assert lookup(kind, REGISTRIES[kind], name) is REGISTRIES[kind][name]


@for_each(("kind", "name"), NAMES)
def test_a_misspelt_name_is_refused_naming_kind_typo_and_every_known_name(kind: str, name: str) -> None:
    typo = f"{name}x"
    with pytest.raises(ValueError) as error:
        lookup(kind, REGISTRIES[kind], typo)
    message = str(error.value)
    assert message.startswith(f"unknown {kind} {typo!r}. Did you mean {name!r}?")
    assert all(known in message for known in REGISTRIES[kind])


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert nearest("zzzzzz", {"lsgan": 1, "wgan": 2}) == "Known: lsgan, wgan."


def test_the_closest_of_several_similar_names_is_suggested() -> None:
    assert nearest("nats-revers", SCHEMES).startswith("Did you mean 'nats-reversed'?")
    assert nearest("hinge-hing", LOSSES).startswith("Did you mean 'hinge-hinged'?")


@given(name=st.text("abcdefghijklmnopqrstuvwxyz-", max_size=20) | st.sampled_from(list(LOSSES)))
def test_any_text_is_either_found_or_refused_with_a_value_error(name: str) -> None:
    if name in LOSSES:
        assert lookup("loss", LOSSES, name) is LOSSES[name]
    else:
        with pytest.raises(ValueError, match="unknown loss"):
            lookup("loss", LOSSES, name)


def test_names_can_be_typed_on_a_command_line() -> None:
    for _, name in NAMES:
        assert name == name.lower() and name.replace("-", "").isalnum()
