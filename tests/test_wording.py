from hypothesis import given
from hypothesis import strategies as st

from ganneal.wording import duration, number


@given(st.floats(-1e12, 1e12))
def test_a_number_keeps_three_digits(value: float) -> None:
    shown = float(number(value).replace(",", ""))
    assert abs(shown - value) <= max(5.01e-3 * abs(value), 0.0)


@given(st.floats(0, 1e7))
def test_a_duration_is_never_empty_and_grows_with_time(seconds: float) -> None:
    assert duration(seconds) and duration(seconds) != duration(2 * seconds + 61)
