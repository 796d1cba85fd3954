"""The token buckets of the Momento emulator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.momento.rate_limit import RateLimiter, operations_of
from tests.support.clock import ManualClock


@pytest.mark.parametrize(("size_bytes", "operations"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (1434, 2), (4096, 4)])
def test_a_message_counts_once_for_each_started_kilobyte(size_bytes: int, operations: int) -> None:
    assert operations_of(size_bytes) == operations


def test_a_second_admits_the_rate_and_then_refills() -> None:
    clock = ManualClock()
    limiter = RateLimiter(lambda: 5, clock)
    assert [limiter.try_acquire() for _ in range(6)] == [True] * 5 + [False]
    clock.advance(0.2)
    assert [limiter.try_acquire() for _ in range(2)] == [True, False]
    clock.advance(60)
    assert [limiter.try_acquire() for _ in range(6)] == [True] * 5 + [False]


def test_more_than_a_seconds_capacity_is_admitted_once_and_delays_later_operations() -> None:
    clock = ManualClock()
    limiter = RateLimiter(lambda: 1, clock)
    assert limiter.try_acquire(4)
    clock.advance(3.5)
    assert not limiter.try_acquire()
    clock.advance(0.5)
    assert limiter.try_acquire()


def test_consumed_operations_delay_later_ones() -> None:
    clock = ManualClock()
    limiter = RateLimiter(lambda: 10, clock)
    limiter.consume(20)
    assert not limiter.try_acquire()
    clock.advance(1.1)
    assert limiter.try_acquire()


def test_a_change_of_the_rate_takes_effect_at_once() -> None:
    allowed = 1.0
    limiter = RateLimiter(lambda: allowed, ManualClock())
    assert [limiter.try_acquire(), limiter.try_acquire()] == [True, False]
    allowed = 3.0
    assert [limiter.try_acquire() for _ in range(4)] == [True, True, True, False]


@given(
    per_second=st.floats(1, 100),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 4)), max_size=60),
)
def test_never_more_than_the_rate_and_one_burst(per_second: float, steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    limiter = RateLimiter(lambda: per_second, clock)
    taken = 0
    for pause, operations in steps:
        clock.advance(pause)
        taken += operations if limiter.try_acquire(operations) else 0
    # One operation may be larger than the burst, hence the 4.
    assert taken <= per_second * (clock.now + 1) + 4
