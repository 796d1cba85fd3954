"""The budget of cache operations, on a manual clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.token.operation_budget import (
    BURST_SECONDS,
    LONGEST_RETRY_SECONDS,
    MIN_CAPACITY,
    OperationBudget,
    TasksBusyError,
)
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000.0)


def taken(budget: OperationBudget, count: int, user_id: str | None = None) -> int:
    """How many of `count` operations are permitted, each of another user by default."""
    permitted = 0
    for number in range(count):
        try:
            budget.take(user_id or f"user-{number}", 1)
        except TasksBusyError:
            continue
        permitted += 1
    return permitted


def test_a_burst_and_then_the_rate(clock: ManualClock) -> None:
    budget = OperationBudget(10, clock=clock)
    assert taken(budget, 1_000) == 10 * BURST_SECONDS
    for _ in range(5):
        clock.advance(1.0)
        assert taken(budget, 100) == 10


def test_a_single_request_is_permitted_at_any_rate(clock: ManualClock) -> None:
    OperationBudget(0.01, clock=clock).take("alice", MIN_CAPACITY)


def test_one_user_leaves_half_of_a_full_budget_to_others(clock: ManualClock) -> None:
    budget = OperationBudget(10, clock=clock)
    assert taken(budget, 1_000, "flooder") == 50
    assert taken(budget, 30) == 30
    clock.advance(1.0)
    assert taken(budget, 1_000, "flooder") == 0
    assert taken(budget, 1_000) == 30


def test_a_user_alone_may_use_the_whole_rate(clock: ManualClock) -> None:
    budget = OperationBudget(10, clock=clock)
    taken(budget, 1_000, "alice")
    for _ in range(30):
        clock.advance(1.0)
        assert taken(budget, 100, "alice") == 10


def test_a_cost_that_is_known_afterwards_delays_later_requests(clock: ManualClock) -> None:
    budget = OperationBudget(10, clock=clock)
    budget.take("alice", 1)
    budget.charge("alice", 512)
    with pytest.raises(TasksBusyError) as refused:
        budget.take("bob", 1)
    assert refused.value.retry_after_seconds == pytest.approx((513 - 100 + 1) / 10)
    clock.advance(refused.value.retry_after_seconds)
    budget.take("bob", 1)


def test_retry_times_differ_and_have_a_bound(clock: ManualClock) -> None:
    budget = OperationBudget(10, clock=clock)
    taken(budget, 1_000)
    times = []
    for number in range(2_000):
        with pytest.raises(TasksBusyError) as refused:
            budget.take(f"late-{number}", 1)
        times.append(refused.value.retry_after_seconds)
    assert len(set(times[:100])) == 100
    assert max(times) <= LONGEST_RETRY_SECONDS
    assert "Retry-After" in refused.value.public_detail


@given(
    st.floats(0.5, 1_000),
    st.lists(
        st.tuples(st.floats(0, 30), st.sampled_from(["alice", "bob"]), st.integers(1, 5), st.integers(0, 600)),
        max_size=60,
    ),
)
def test_the_rate_is_never_exceeded(per_second: float, steps: list[tuple[float, str, int, int]]) -> None:
    """Beyond the last cost that was not known before."""
    clock = ManualClock(1_000.0)
    budget = OperationBudget(per_second, clock=clock)
    used = passed = last_cost = 0.0
    for pause, user, operations, extra in steps:
        clock.advance(pause)
        passed += pause
        try:
            budget.take(user, operations)
        except TasksBusyError:
            continue
        assert used - last_cost <= max(BURST_SECONDS * per_second, MIN_CAPACITY) + per_second * passed + 1e-3
        budget.charge(user, extra)
        used += operations + extra
        last_cost = operations + extra
