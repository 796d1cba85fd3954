"""The limit of requests a user a minute, on a manual clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.web.rate_limit import RateLimit
from tests.support.clock import ManualClock


def taken(limit: RateLimit, count: int, user_id: str = "alice") -> int:
    """How many of `count` requests are let through."""
    return sum(limit.retry_after(user_id) == 0 for _ in range(count))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


def test_the_tasks_of_a_minute_may_arrive_at_once(clock: ManualClock) -> None:
    assert taken(RateLimit(600, clock=clock), 1_000) == 600


def test_one_more_is_let_through_each_interval(clock: ManualClock) -> None:
    limit = RateLimit(60, clock=clock)
    assert taken(limit, 60) == 60
    for _ in range(5):
        assert taken(limit, 2) == 0
        clock.advance(1.0)
        assert taken(limit, 2) == 1


def test_a_refusal_has_a_retry_time(clock: ManualClock) -> None:
    limit = RateLimit(6, clock=clock)
    assert taken(limit, 6) == 6
    assert limit.retry_after("alice") == pytest.approx(10.0)
    clock.advance(4.0)
    assert limit.retry_after("alice") == pytest.approx(6.0)
    clock.advance(6.0)
    assert limit.retry_after("alice") == 0


def test_a_refused_task_costs_nothing(clock: ManualClock) -> None:
    limit = RateLimit(6, clock=clock)
    taken(limit, 100)
    clock.advance(10.0)
    assert limit.retry_after("alice") == 0


def test_after_a_quiet_minute_the_bucket_is_full(clock: ManualClock) -> None:
    limit = RateLimit(60, clock=clock)
    taken(limit, 60)
    clock.advance(60.0)
    assert taken(limit, 100) == 60


def test_users_do_not_share(clock: ManualClock) -> None:
    limit = RateLimit(2, clock=clock)
    assert taken(limit, 5, "alice") == 2
    assert taken(limit, 5, "bob") == 2


def test_less_than_one_a_minute_is_kept_too(clock: ManualClock) -> None:
    limit = RateLimit(0.5, clock=clock)
    assert taken(limit, 2) == 1
    assert limit.retry_after("alice") == pytest.approx(120.0)
    clock.advance(119.0)
    assert limit.retry_after("alice") == pytest.approx(1.0)
    clock.advance(1.0)
    assert taken(limit, 2) == 1


def test_zero_disables_the_limit(clock: ManualClock) -> None:
    assert taken(RateLimit(0, clock=clock), 5_000) == 5_000


@given(
    st.floats(0.1, 1_000, allow_nan=False),
    st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=60),
)
def test_never_more_than_a_full_bucket_and_what_time_refilled(per_minute: float, pauses: list[float]) -> None:
    clock = ManualClock(1_000_000.0)
    limit = RateLimit(per_minute, clock=clock)
    passed, total = 0.0, 0
    for pause in pauses:
        clock.advance(pause)
        passed += pause
        total += taken(limit, 3)
        assert total <= max(per_minute, 1) + per_minute * passed / 60 + 1e-6


@given(st.floats(0.1, 1_000, allow_nan=False), st.integers(1, 50))
def test_a_user_who_waits_for_the_retry_time_is_accepted(per_minute: float, tries: int) -> None:
    clock = ManualClock(1_000_000.0)
    limit = RateLimit(per_minute, clock=clock)
    for _ in range(tries):
        wait_seconds = limit.retry_after("alice")
        if wait_seconds:
            clock.advance(wait_seconds + 1e-6)
            assert limit.retry_after("alice") == 0
