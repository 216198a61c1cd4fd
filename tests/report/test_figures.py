"""Charts as inline SVG: self-contained, in the page's colours, the same each time."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.report.figures import LOG_AXIS_RATIO, Chart, short, thin


def drawn(key: str = "a") -> str:
    chart = Chart(key)
    chart.line(np.array([0.0, 1.0, 2.0]), np.array([0.0123, 0.0124, 0.0125]), 0, "one & two")
    chart.line(np.array([0.0, 1.0, 2.0]), np.array([0.0125, 0.0124, 0.0123]), 1, "three")
    chart.axes.fill_between([0, 1], [0.0123, 0.0123], [0.0124, 0.0124], color="#0a0a02", alpha=0.25)
    chart.mark(2.0, 0.0125, 0, hollow=True, text="best 0.01234")
    return chart.svg('a "description" <b>')


def test_a_chart_is_the_same_each_time() -> None:
    assert drawn() == drawn()


def test_no_address_no_style_sheet_and_no_own_colour_is_left() -> None:
    svg = drawn()
    assert not re.search(r"https?:|<style|<metadata|<\?xml|<!DOCTYPE", svg)
    assert not re.search(r"#0[0-9a-f]0", svg), "a stand-in colour was not replaced"
    assert "var(--s0)" in svg and "var(--muted)" in svg and "currentColor" in svg


def test_every_reference_has_its_target_and_two_charts_share_no_id() -> None:
    first, second = drawn("first"), drawn("second")
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (first, second)]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for svg, own in zip((first, second), ids, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) == set(own)


def test_text_is_text_with_its_digits_and_the_description_is_escaped() -> None:
    svg = drawn()
    assert "best 0.01234" in svg and "one &amp; two" in svg
    assert 'aria-label="a &#34;description&#34; &lt;b&gt;"' in svg and 'role="img"' in svg
    assert "fill-opacity: 0.25" in svg


@pytest.mark.runs
@given(st.integers(1, 2000), st.integers(1, 300))
def test_thinning_keeps_the_mean_of_what_it_bins(length: int, points: int) -> None:
    x = np.arange(length, dtype=np.float64)
    thin_x, thin_y = thin(x, 2 * x + 1, points)
    assert len(thin_x) == min(length, points)
    np.testing.assert_allclose(thin_y, 2 * thin_x + 1)
    if length % len(thin_x) == 0:
        np.testing.assert_allclose(thin_x.mean(), x.mean())


@pytest.mark.parametrize(("spread", "expected"), [(LOG_AXIS_RATIO * 2.0, "log"), (LOG_AXIS_RATIO / 2.0, "linear")])
def test_widely_spread_positive_values_get_a_logarithmic_axis(spread: float, expected: str) -> None:
    chart = Chart("scale")
    chart.scale(np.array([1.0, spread, np.nan]))
    assert chart.axes.get_yscale() == expected


def test_values_that_touch_zero_stay_on_a_linear_axis() -> None:
    chart = Chart("scale")
    chart.scale(np.array([0.0, 1e6]))
    assert chart.axes.get_yscale() == "linear"


@for_each(("value", "label"), [(0.1 + 0.2, "0.3"), (-1500.0, "−1.5k"), (2.5e6, "2.5M"), (100.0, "100"), (0.0, "0")])
def test_tick_labels_are_short(value: float, label: str) -> None:
    assert short(value) == label


@for_each("values", [[14.78, 14.83], [1.0001, 1.0002], [2.0, 161.0], [0.0, 1.0]])
def test_no_two_ticks_of_an_axis_have_one_label(values: list[float]) -> None:
    chart = Chart("ticks")
    chart.line(np.array([0.0, 1.0]), np.array(values), 0)
    chart.scale(np.array(values))
    ticks = chart.axes.yaxis.get_majorticklocs()
    labels = chart.axes.yaxis.get_major_formatter().format_ticks(list(ticks))
    assert len(ticks) > 2 and len(set(labels)) == len(ticks)
