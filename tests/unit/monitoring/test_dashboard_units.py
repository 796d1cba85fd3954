"""Numbers and axes of the dashboards' pictures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.dashboards.units import axis, readable


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.999, "percentunit", "99.9 %"),
        (0.02, "s", "20 ms"),
        (0, "s", "0 s"),
        (1.5, "s", "1.5 s"),
        (300, "s", "5 min"),
        (90 * 86_400, "s", "90 d"),
        (1_370, "short", "1.37k"),
        (12, "ops", "12/s"),
        (100 * 2**20, "bytes", "100 MiB"),
    ],
)
def test_numbers_are_told_with_their_units(value: float, unit: str, text: str) -> None:
    assert readable(value, unit) == text


@given(st.floats(1e-6, 1e12), st.sampled_from(["s", "short", "bytes"]))
def test_an_axis_reaches_the_highest_value_in_a_few_even_steps(highest: float, unit: str) -> None:
    steps = axis(highest, unit)
    assert steps[0] == 0
    assert steps[-1] >= highest * 0.99
    assert 3 <= len(steps) <= 7
    assert steps[-1] <= highest * 2.6


def test_an_axis_of_nothing_is_still_one() -> None:
    assert axis(0) == [0, 1]
