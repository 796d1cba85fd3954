"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.controller.backoff import Backoff


@given(failures=st.integers(0, 100), first=st.floats(0.1, 10), cap=st.floats(10, 100))
def test_a_pause_doubles_up_to_the_cap_with_jitter(failures: int, first: float, cap: float) -> None:
    backoff = Backoff(first, cap)
    for _ in range(failures):
        backoff.next_seconds()
    full = min(cap, first * 2.0**failures)
    assert full / 2 <= backoff.next_seconds() <= full


def test_a_pause_is_never_shorter_than_asked_for() -> None:
    assert Backoff(1, 60).next_seconds(at_least=300) == 300


def test_a_success_begins_anew() -> None:
    backoff = Backoff(1, 60)
    told = [backoff.is_failing]
    for _ in range(10):
        backoff.next_seconds()
    told.append(backoff.is_failing)
    backoff.reset()
    told.append(backoff.is_failing)
    assert told == [False, True, False]
    assert backoff.next_seconds() <= 1
