"""The pauses between two refreshes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.refresh import pause_seconds


@given(every=st.floats(1, 86_400))
def test_after_a_success_the_pause_is_the_usual_one_within_a_tenth(every: float) -> None:
    assert every * 0.9 <= pause_seconds(0, every) <= every * 1.1


@given(failures=st.integers(1, 10**6))
def test_after_failures_the_pause_is_short_and_capped(failures: int) -> None:
    assert 0.125 <= pause_seconds(failures, 3600) <= 5


@pytest.mark.parametrize(("failures", "at_most"), [(1, 0.25), (2, 0.5), (3, 1), (5, 4), (6, 5)])
def test_each_failure_doubles_the_pause(failures: int, at_most: float) -> None:
    pauses = [pause_seconds(failures, 3600) for _ in range(200)]
    assert at_most / 2 <= min(pauses)
    assert max(pauses) <= at_most


def test_replicas_do_not_ask_in_step() -> None:
    assert len({pause_seconds(0, 300) for _ in range(20)}) > 15
    assert len({pause_seconds(5, 300) for _ in range(20)}) > 15
