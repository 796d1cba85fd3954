"""Reads of histories leave most of the cache's quota to writes, and a user's reads leave some to other users."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.token.history.history_limits import (
    BURST_SECONDS,
    FULL_READ_OPERATIONS,
    LONGEST_RETRY_SECONDS,
    MAX_DEFERRED_OPERATIONS,
    USER_SHARE,
    HistoryBusyError,
    ReadBudget,
    UserLimit,
)
from tests.support.clock import ManualClock
from tests.support.waiting import wait_until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


def test_a_user_may_read_ten_times_at_once_and_then_once_in_two_seconds(clock: ManualClock) -> None:
    limit = UserLimit(30, 40, clock=clock)
    assert [limit.retry_after("alice") for _ in range(10)] == [0.0] * 10
    assert limit.retry_after("alice") == pytest.approx(2.0)
    assert limit.retry_after("alice") == pytest.approx(2.0)  # a refused request does not count
    assert limit.retry_after("bob") == 0.0
    clock.advance(2.0)
    assert limit.retry_after("alice") == 0.0
    assert limit.retry_after("alice") == pytest.approx(2.0)


def test_a_rate_below_one_in_the_burst_still_permits_one(clock: ManualClock) -> None:
    limit = UserLimit(1, 40, clock=clock)
    assert limit.retry_after("alice") == 0.0
    assert limit.retry_after("alice") == pytest.approx(60.0)
    clock.advance(60.0)
    assert limit.retry_after("alice") == 0.0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 200)), max_size=100))
def test_a_user_never_uses_more_than_a_share_for_long(steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    limit, used = UserLimit(30, 40, clock=clock), 0
    for pause, operations in steps:
        clock.advance(pause)
        if not limit.retry_after("alice"):
            limit.charge("alice", operations)
            used += operations
    assert used <= (clock.now + BURST_SECONDS) * USER_SHARE * 40 + 200


@given(st.integers(1, 200), st.integers(1, 20))
def test_a_refused_user_may_read_after_the_retry_time(operations: int, count: int) -> None:
    clock = ManualClock()
    limit = UserLimit(30, 40, clock=clock)
    for _ in range(count):
        if wait_seconds := limit.retry_after("alice"):
            clock.advance(wait_seconds)
            assert limit.retry_after("alice") == 0.0
        limit.charge("alice", operations)


async def test_one_read_at_a_time_until_its_cost_is_known_and_then_as_many_as_that_permits(clock: ManualClock) -> None:
    budget = ReadBudget(40, clock=clock)
    begun = []

    async def read(number: int, until: asyncio.Event, operations: float) -> None:
        async with budget.read() as turn:
            begun.append(number)
            await until.wait()
            turn.operations = operations

    first, others = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(read(1, first, 3))
        tasks.create_task(read(2, others, 3))
        tasks.create_task(read(3, others, 3))
        await wait_until(lambda: begun == [1])
        first.set()
        await wait_until(lambda: begun == [1, 2])
        others.set()
    assert begun == [1, 2, 3]


async def test_a_larger_quota_permits_more_reads_at_once(clock: ManualClock) -> None:
    budget = ReadBudget(5 * FULL_READ_OPERATIONS, clock=clock)
    async with AsyncExitStack() as reads, asyncio.timeout(10):
        for _ in range(5):
            await reads.enter_async_context(budget.read())


async def test_the_cost_of_a_read_delays_later_ones_and_beyond_the_wait_they_get_a_retry_time(
    clock: ManualClock,
) -> None:
    budget = ReadBudget(10, wait_seconds=5, clock=clock)
    for _ in range(2):
        async with budget.read() as turn:
            turn.operations = FULL_READ_OPERATIONS / 2 + 50
        clock.advance(0.2)
    refused = []
    for _ in range(3):
        with pytest.raises(HistoryBusyError) as caught:
            async with budget.read():
                pass
        refused.append(caught.value.retry_after_seconds)
    assert refused[0] == pytest.approx(9.7, abs=0.5)
    assert refused == sorted(set(refused)), "they are spread"
    clock.advance(refused[0] + 0.2)
    async with asyncio.timeout(10), budget.read():
        pass


async def test_one_users_history_of_long_messages_does_not_delay_others(clock: ManualClock) -> None:
    budget = ReadBudget(40, wait_seconds=5, clock=clock)
    async with budget.read() as turn:
        turn.operations = MAX_DEFERRED_OPERATIONS
    for _ in range(200):  # reads of others, ten a second
        clock.advance(0.1)
        async with asyncio.timeout(10), budget.read() as turn:
            turn.operations = 2


async def test_histories_of_many_users_with_long_texts_are_limited_to_the_rate(clock: ManualClock) -> None:
    budget, used = ReadBudget(40, wait_seconds=0, clock=clock), 0
    for _ in range(1_000):
        with suppress(HistoryBusyError):
            async with asyncio.timeout(10), budget.read() as turn:
                turn.operations = 800
                used += 800
        clock.advance(0.1)
    assert 4_000 <= used <= 40 * clock.now + FULL_READ_OPERATIONS + MAX_DEFERRED_OPERATIONS + 800


async def test_retry_times_are_at_most_two_minutes(clock: ManualClock) -> None:
    budget = ReadBudget(1, wait_seconds=5, clock=clock)
    async with budget.read() as turn:
        turn.operations = 10_000
    for _ in range(1_000):
        with pytest.raises(HistoryBusyError) as caught:
            async with budget.read():
                pass
        assert caught.value.retry_after_seconds <= LONGEST_RETRY_SECONDS


async def test_a_read_that_is_cancelled_while_it_waits_or_reads_leaves_its_turn_to_the_next(clock: ManualClock) -> None:
    budget, begun = ReadBudget(40, clock=clock), []

    async def read(number: int) -> None:
        async with budget.read():
            begun.append(number)
            await asyncio.Event().wait()

    for number in range(3):
        reading, waiting = asyncio.create_task(read(number)), asyncio.create_task(read(99))
        await wait_until(lambda: begun[-1:] == [number])  # noqa: B023 — it is asked in this round alone
        waiting.cancel()
        await asyncio.wait({waiting})
        reading.cancel()
        await asyncio.wait({reading})
    assert begun == [0, 1, 2]


@given(costs=st.lists(st.integers(1, 800), min_size=1, max_size=40), seconds=st.floats(0, 3))
async def test_all_reads_together_keep_to_the_rate(costs: list[int], seconds: float) -> None:
    clock = ManualClock()
    per_second, used = 40.0, 0
    budget = ReadBudget(per_second, wait_seconds=0, clock=clock)
    for cost in costs:
        try:
            async with asyncio.timeout(10), budget.read() as turn:
                turn.operations = cost
                used += cost
        except HistoryBusyError:
            pass
        clock.advance(seconds)
    assert used >= costs[0]
    assert used <= FULL_READ_OPERATIONS + clock.now * per_second + MAX_DEFERRED_OPERATIONS + 800
