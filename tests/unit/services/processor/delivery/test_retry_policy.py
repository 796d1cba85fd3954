"""Which failures are retried, after which pauses, and which are dead-lettered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import PermanentError, TransientError
from services.processor.delivery.retry_policy import Failure, RetryPolicy, failure_of

POLICY = RetryPolicy(max_attempts=5, base_seconds=4, cap_seconds=900)


@given(st.integers(1, 10_000), st.floats(0, 3600), st.floats(0, 43_200))
def test_a_pause_is_whole_seconds_within_the_cap(attempt: int, base: float, cap: float) -> None:
    pause = RetryPolicy(max_attempts=5, base_seconds=base, cap_seconds=cap).backoff_seconds(attempt)
    assert isinstance(pause, int)
    assert 0 <= pause <= round(min(cap, base * 2 ** min(attempt - 1, 30)))


def test_pauses_have_full_jitter_and_grow_with_the_attempts() -> None:
    early = [POLICY.backoff_seconds(1) for _ in range(500)]
    late = [POLICY.backoff_seconds(6) for _ in range(500)]
    assert (min(early), max(early)) == (0, 4)
    assert min(late) < 20
    assert max(late) > 100


@pytest.mark.parametrize("failure", list(Failure))
@pytest.mark.parametrize("attempt", [1, 4, 5, 6])
def test_permanent_failures_are_dead_lettered_at_once_and_others_at_the_last_attempt(
    failure: Failure, attempt: int
) -> None:
    assert POLICY.should_dead_letter(failure, attempt) is (failure is Failure.PERMANENT or attempt >= 5)


@pytest.mark.parametrize("position", [0, 5_000, 9_999])
def test_a_large_group_is_permanent_where_any_error_in_it_is(position: int) -> None:
    errors: list[Exception] = [TransientError() for _ in range(10_000)]
    assert failure_of(ExceptionGroup("many", errors)) is Failure.TRANSIENT
    errors[position] = PermanentError()
    assert failure_of(ExceptionGroup("many", errors)) is Failure.PERMANENT
