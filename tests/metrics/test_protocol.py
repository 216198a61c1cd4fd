"""Records of measured values: what they are called, which may stand together, and what is written."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf, nan, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.metrics.extractors.inception_file import FID_FILE
from ganneal.metrics.protocol import (
    OFFICIAL_INCEPTION,
    MetricProtocol,
    Place,
    Record,
    Reference,
    columns,
    over_seeds,
)

REFERENCE = Reference(dataset="cifar10", split="train", sha256="aa", n_real=50_000)
FID = MetricProtocol(
    part="FD",
    metric="frechet",
    parameters={},
    extractor="inception",
    extractor_sha256=OFFICIAL_INCEPTION,
    layer="2048",
    quantised=True,
    resize="tf-legacy 299",
    input_scaling="(u-128)/128",
    reference=REFERENCE,
    n_fake=50_000,
)
RESNET = replace(FID, extractor="resnet56", extractor_sha256="bb", layer="64", resize="none")
PLACE = Place(checkpoint="last", num_real=1e6, d_updates=1e4, g_updates=3e4, seconds=60.0)


def record(value: float = 1.0, seed: int = 0, protocol: MetricProtocol = RESNET, **changes: Any) -> Record:
    made = Record(protocol, value, "lower", values=(value,), seeds=(seed,), place=PLACE)
    return replace(made, **changes)


# Names


@for_each(
    ("changes", "name"),
    [
        ({}, "FID50k-train"),
        ({"n_fake": 10_000}, "FID10k-train"),
        ({"part": "KD"}, "KID50k-train"),
        ({"part": "exp-mean-KL", "parameters": {"splits": 10}}, "IS50k-train"),
        ({"part": "precision"}, "precision-inception@50k"),
        ({"n_fake": 12_345}, "FID12345-train"),
    ],
)
def test_values_of_the_official_network_have_the_published_names(changes: dict[str, Any], name: str) -> None:
    assert replace(FID, **changes).name == name


@for_each(
    ("changes", "name"),
    [
        ({"extractor_sha256": "0" * 64}, "FD-inception@50k"),
        ({"extractor_sha256": None}, "FD-inception@50k"),
        ({"n_fake": 9_999}, "FD-inception@9999"),
        ({"n_fake": 5_000}, "FD-inception@5k"),
        ({"reference": replace(REFERENCE, n_real=9_999)}, "FD-inception@50k"),
        ({"resize": "none"}, "FD-inception@50k"),
        ({"quantised": False}, "FD-inception@50k"),
        ({"layer": "64"}, "FD-inception@50k"),
        ({"layer": "2048, biased logits", "part": "exp-mean-KL"}, "exp-mean-KL-inception@50k"),
        ({"precision": "bf16"}, "FD-inception@50k"),
        ({"part": "KD", "n_fake": 2_000}, "KD-inception@2k"),
        ({"part": "exp-mean-KL", "n_fake": 1_000}, "exp-mean-KL-inception@1k"),
    ],
)
def test_anything_short_of_the_published_protocol_is_called_after_its_extractor(
    changes: dict[str, Any], name: str
) -> None:
    assert replace(FID, **changes).name == name


def test_the_official_weights_are_those_that_are_fetched() -> None:
    assert FID_FILE.sha256 == (OFFICIAL_INCEPTION,)


def test_other_networks_are_named_with_their_number_of_samples() -> None:
    assert replace(RESNET, n_fake=10_000).name == "FD-resnet56@10k"
    assert replace(RESNET, n_fake=1_500).name == "FD-resnet56@1500"
    assert replace(RESNET, n_fake=999).name == "FD-resnet56@999"


def test_scores_of_torchvisions_network_say_so() -> None:
    torchvision = replace(
        FID,
        part="exp-mean-KL",
        parameters={"splits": 10},
        extractor="inception-torchvision",
        extractor_sha256="cc",
        resize="pytorch-fid 299",
    )
    assert torchvision.name == "IS-torchvision(resize=pytorch-fid 299,splits=10)@50k"
    assert replace(torchvision, part="FD").name == "FD-inception-torchvision@50k"


# Which may stand together


OTHER: Mapping[str, Any] = {
    "part": "KD",
    "metric": "kernel",
    "parameters": {"degree": 3},
    "extractor": "resnet20",
    "extractor_sha256": "dd",
    "layer": "32",
    "quantised": False,
    "resize": "clean 32",
    "input_scaling": "u/255",
    "reference": replace(REFERENCE, sha256="ee"),
    "n_fake": 10_000,
    "classes": "uniform",
    "classes_paired": "by number",
    "truncation": 0.7,
    "truncation_form": "scale",
    "statistics": "standing",
    "generator_weights": "raw",
    "sampler": "pushed",
    "sampler_steps": 4,
    "precision": "bf16",
}


def test_every_field_of_the_protocol_is_tried_here() -> None:
    assert OTHER.keys() == MetricProtocol.__dataclass_fields__.keys()


@for_each("field", OTHER)
def test_protocols_are_equal_only_in_every_field(field: str) -> None:
    assert replace(RESNET) == RESNET
    assert replace(RESNET, **{field: OTHER[field]}) != RESNET


@for_each("field", [name for name in OTHER if name not in ("part", "extractor", "n_fake")])
def test_values_of_one_name_and_unequal_protocols_are_refused_a_column_naming_the_difference(field: str) -> None:
    other = record(protocol=replace(RESNET, **{field: OTHER[field]}))
    with pytest.raises(ValueError, match=rf"named FD-resnet56@50k were measured differently \({field}: .* and .*\)"):
        columns([record(), other])


@for_each("field", ["part", "extractor", "n_fake"])
def test_values_of_other_names_have_other_columns(field: str) -> None:
    other = record(protocol=replace(RESNET, **{field: OTHER[field]}))
    assert list(columns([record(), other]).values()) == [[record()], [other]]


def test_a_column_holds_its_values_in_order_whatever_their_places() -> None:
    records = [record(value, place=replace(PLACE, checkpoint=name)) for value, name in ((2.0, "last"), (1.0, "best"))]
    assert columns(records) == {"FD-resnet56@50k": records}
    assert columns([]) == {}


# Over seeds


def test_the_mean_over_seeds_has_its_interval() -> None:
    merged = over_seeds([record(1.0, 0), record(2.0, 1), record(4.0, 2)])
    mean, sd = 7 / 3, sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2)
    reach = 4.302653 * sd / sqrt(3)  # Student's t with 2 degrees of freedom at 97.5 %
    assert merged.value == pytest.approx(mean)
    assert merged.interval == pytest.approx((mean - reach, mean + reach), rel=1e-6)
    assert (merged.values, merged.seeds) == ((1.0, 2.0, 4.0), (0, 1, 2))
    assert (merged.protocol, merged.place, merged.better) == (RESNET, PLACE, "lower")


def test_one_seed_has_no_interval_and_keeps_what_belongs_to_its_one_measurement() -> None:
    single = record(3.0, 5, standard_error=0.1, extra={"splits": [1, 2]})
    assert over_seeds([single]) == single
    several = over_seeds([single, replace(single, extra={"splits": [2, 1]})])
    assert several.standard_error is None and several.extra == {}


def test_each_warning_is_kept_once_in_order() -> None:
    merged = over_seeds([record(warnings=("n<5d", "b")), record(warnings=("a", "n<5d"))])
    assert merged.warnings == ("n<5d", "b", "a")


@for_each(
    "other",
    [
        record(protocol=replace(RESNET, n_fake=10_000)),
        record(protocol=replace(RESNET, parameters={"a": 1})),
        record(place=replace(PLACE, checkpoint="best")),
        record(place=replace(PLACE, num_real=2e6)),
    ],
    ids=["count", "parameters", "checkpoint", "clock"],
)
def test_only_measurements_of_one_checkpoint_under_one_protocol_are_averaged(other: Record) -> None:
    with pytest.raises(ValueError, match="one protocol and one checkpoint, got FD-resnet56@50k of"):
        over_seeds([record(), record(), other])


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="records must hold at least one, got none"):
        over_seeds([])


# Lines


def strict(line: str) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_a_line_holds_the_name_and_everything_the_value_depends_on() -> None:
    read = strict(over_seeds([record(1.0, 0), record(3.0, 1)]).line())
    assert (read["name"], read["value"], read["n_seeds"]) == ("FD-resnet56@50k", 2.0, 2)
    assert (read["values"], read["seeds"], len(read["interval"])) == ([1.0, 3.0], [0, 1], 2)
    assert read["reference"] == {
        "dataset": "cifar10",
        "split": "train",
        "sha256": "aa",
        "n_real": 50_000,
        "transform": "none",
        "changed": [],
    }
    assert (read["checkpoint"], read["num_real"], read["seconds"]) == ("last", 1e6, 60.0)
    assert MetricProtocol.__dataclass_fields__.keys() <= read.keys()
    assert Place.__dataclass_fields__.keys() <= read.keys()
    assert Record.__dataclass_fields__.keys() - {"protocol", "place"} <= read.keys()


def test_no_two_fields_of_a_line_share_a_name() -> None:
    parts = [cls.__dataclass_fields__.keys() for cls in (MetricProtocol, Place, Record)]
    assert len(set().union(*parts)) == sum(map(len, parts))
    assert not {"name", "n_seeds"} & set().union(*parts)


def test_a_protocol_can_be_read_back_from_its_line() -> None:
    read = strict(record().line())
    fields: dict[str, Any] = {name: read[name] for name in MetricProtocol.__dataclass_fields__}
    fields["reference"] = Reference(**read["reference"] | {"changed": tuple(read["reference"]["changed"])})
    assert MetricProtocol(**fields) == RESNET


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.floats(), error=st.none() | st.floats(), extra=st.dictionaries(st.text(), json_values, max_size=3))
def test_every_line_is_one_line_of_strict_json(value: float, error: float | None, extra: dict[str, Any]) -> None:
    line = record(value, standard_error=error, extra=extra).line()
    assert "\n" not in line
    read = strict(line)
    assert read["value"] == (value if abs(value) < inf else None)


def test_what_is_no_number_is_null_wherever_it_is() -> None:
    read = strict(record(nan, standard_error=inf, extra={"splits": [1.0, (nan, {"a": -inf})]}).line())
    assert (read["value"], read["values"], read["standard_error"]) == (None, [None], None)
    assert read["extra"] == {"splits": [1.0, [None, {"a": None}]]}
