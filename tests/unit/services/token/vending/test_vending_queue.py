"""The vending queue: in order, never above the quota, and users who have to retry keep their place."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.token.vending.vending_queue import (
    MAX_QUEUE_SECONDS,
    PLACE_EXPIRY_SECONDS,
    VendingQueue,
    VendingQuotaExceeded,
)
from tests.support.clock import ManualClock

START = 1_000.0


class Users:
    """Who was served when."""

    def __init__(self, queue: VendingQueue, clock: ManualClock) -> None:
        self.queue = queue
        self.clock = clock
        self.served: list[tuple[str, float]] = []
        self.retry_at: dict[str, float] = {}
        """When each refused user should retry."""
        self.overtaken: set[str] = set()
        """Users who were waiting when a later one was served."""
        self._came: dict[str, int] = {}
        self._present: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def order(self) -> list[str]:
        return [user for user, _ in self.served]

    async def come(self, *users: str) -> None:
        """Start all together, in this order."""
        for user in users:
            task = asyncio.create_task(self._come(user))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await run_pending_callbacks()

    async def _come(self, user: str) -> None:
        self.retry_at.pop(user, None)
        self._present.add(user)
        own = self._came.setdefault(user, len(self._came))
        try:
            await use(self.queue, user)
        except VendingQuotaExceeded as error:
            self.retry_at[user] = self.clock() + error.retry_after_seconds
            return
        finally:
            self._present.discard(user)
        self.overtaken |= {other for other in self._present if self._came[other] < own}
        self.served.append((user, self.clock()))

    async def pass_time(self, seconds: float, step: float = 0.1) -> None:
        """Move on in steps, as a real clock would."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await run_pending_callbacks()

    async def leave(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def use(queue: VendingQueue, user: str) -> None:
    async with queue.turn(user):
        pass


async def run_pending_callbacks() -> None:
    """Let everybody who can go on do so; each serving takes a few turns of the loop."""
    for _ in range(8):
        await asyncio.sleep(0)


@asynccontextmanager
async def users_of(per_second: float, wait_seconds: float) -> AsyncIterator[Users]:
    clock = ManualClock(START)
    users = Users(VendingQueue(per_second, wait_seconds, clock=clock, sleep=clock.sleep), clock)
    yield users
    await users.leave()


async def test_the_first_is_served_at_once() -> None:
    async with users_of(5, 10) as users:
        await users.come("alice")
        assert users.served == [("alice", START)]


async def test_the_others_follow_in_order_an_interval_apart() -> None:
    async with users_of(5, 10) as users:
        await users.come("alice", "bob", "carol")
        assert users.order == ["alice"]
        await users.pass_time(0.2)
        assert users.order == ["alice", "bob"]
        await users.pass_time(0.2)
        assert users.served == [
            ("alice", START),
            ("bob", pytest.approx(START + 0.2)),
            ("carol", pytest.approx(START + 0.4)),
        ]


async def test_after_a_pause_no_user_waits() -> None:
    async with users_of(5, 10) as users:
        await users.come("alice")
        await users.pass_time(30)
        await users.come("bob")
        assert users.order == ["alice", "bob"]


async def test_a_pause_saves_up_no_burst() -> None:
    async with users_of(5, 10) as users:
        await users.pass_time(30)
        await users.come("alice", "bob", "carol")
        assert users.order == ["alice"]


async def test_a_user_who_would_wait_too_long_gets_a_retry_time() -> None:
    async with users_of(1, 2) as users:
        await users.come("a", "b", "c", "d")
        assert users.retry_at == {"d": pytest.approx(START + 3)}


async def test_a_user_who_retries_keeps_the_place() -> None:
    async with users_of(1, 2) as users:
        await users.come("a", "b", "c", "d")
        await users.pass_time(2)
        await users.come("late")
        await users.come("d")
        await users.pass_time(1)
        assert users.order == ["a", "b", "c", "d"]
        await users.pass_time(1)
        assert users.order[-1] == "late"


async def test_retrying_too_early_does_not_change_the_place() -> None:
    async with users_of(1, 0.5) as users:
        await users.come("a", "b", "c")
        for _ in range(5):
            await users.come("c")
        assert users.retry_at["c"] == pytest.approx(START + 2)
        await users.come("d")
        assert users.retry_at["d"] == pytest.approx(START + 3)


async def test_a_place_expires() -> None:
    async with users_of(1, 0.5) as users:
        await users.come("a", "b")
        await users.pass_time(PLACE_EXPIRY_SECONDS + 2, step=1)
        await users.come("x", "b")  # b's place has expired: it is behind x
        await users.pass_time(0.5)
        assert users.order == ["a", "x"]
        assert "b" in users.retry_at


async def test_late_retries_do_not_exceed_the_rate() -> None:
    async with users_of(1, 2) as users:
        await users.come(*"abcdefg")
        await users.pass_time(10, step=0.5)
        assert users.order == ["a", "b", "c"]
        await users.come(*"defg")
        assert users.retry_at == {"g": users.clock() + 3}
        await users.pass_time(3, step=0.5)
        assert users.order == list("abcdef")
        await users.come("g")
        assert users.order == list("abcdefg")
        times = [at for _, at in users.served]
        assert all(later - earlier >= 1 - 1e-9 for earlier, later in pairwise(times))


async def test_a_user_beyond_the_longest_queue_gets_no_place() -> None:
    async with users_of(0.01, 0) as users:
        await users.come(*map(str, range(7)))
        assert len(users.retry_at) == 6
        await users.come("refused")
        assert users.retry_at["refused"] - START > MAX_QUEUE_SECONDS
        await users.pass_time(100, step=10)
        await users.come("1")
        assert users.order == ["0", "1"]


async def test_a_turn_is_not_reserved_for_an_absent_user() -> None:
    async with users_of(1, 0.5) as users:
        await users.come("a", "b", "c")
        await users.pass_time(1)
        await users.come("late")
        assert users.order == ["a", "late"]


async def test_a_user_displaced_by_earlier_places_gets_a_retry_time_and_is_next() -> None:
    async with users_of(1, 3) as users:
        await users.come(*"abcdefgh")
        await users.pass_time(3, step=0.5)
        await users.come("x")
        await users.come(*"efg")  # who were there first
        await users.pass_time(1, step=0.5)
        await users.come("h")
        await users.pass_time(3, step=0.5)
        assert users.order == list("abcdefgh")
        assert users.retry_at == {"x": users.clock() + 1}
        await users.pass_time(0.5)
        await users.come("y", "x")
        await users.pass_time(1.5, step=0.5)
        assert users.order == list("abcdefghxy")


async def test_a_failed_turn_keeps_the_place() -> None:
    clock = ManualClock(START)
    queue = VendingQueue(1, 10, clock=clock, sleep=clock.sleep)
    with pytest.raises(RuntimeError):
        async with queue.turn("a"):
            raise RuntimeError("Momento is away")
    behind, again = asyncio.create_task(use(queue, "b")), asyncio.create_task(use(queue, "a"))
    await run_pending_callbacks()
    clock.advance(1)
    await run_pending_callbacks()
    assert (again.done(), behind.done()) == (True, False)
    clock.advance(1)
    await asyncio.wait_for(behind, 5)


async def test_a_turn_that_was_used_is_over() -> None:
    async with users_of(1, 10) as users:
        await users.come("a")
        await users.come("a")
        assert users.order == ["a"]
        await users.pass_time(1)
        assert users.order == ["a", "a"]


async def test_a_cancelled_user_blocks_no_other() -> None:
    clock = ManualClock(START)
    queue = VendingQueue(1, 10, clock=clock, sleep=clock.sleep)
    await use(queue, "a")
    cancelled, remaining = asyncio.create_task(use(queue, "b")), asyncio.create_task(use(queue, "c"))
    await run_pending_callbacks()
    cancelled.cancel()
    for _ in range(2):
        clock.advance(1)
        await run_pending_callbacks()
    await asyncio.wait_for(remaining, 5)


async def test_a_thousand_users_at_once_are_all_served_in_order_and_never_above_the_rate() -> None:
    names = [f"user {number}" for number in range(1_000)]
    async with users_of(5, 10) as users:
        await users.come(*names)
        assert len(users.retry_at) > 900
        for _ in range(1_100):
            await users.pass_time(0.2, step=0.2)
            await users.come(*[user for user, at in users.retry_at.items() if at <= users.clock() + 1e-9])
            if len(users.served) == len(names):
                break
        assert users.order == names
        assert users.clock() - START <= 1_000 / 5 + 1
        times = [at for _, at in users.served]
        assert all(later - earlier >= 0.2 - 1e-9 for earlier, later in pairwise(times))


@pytest.mark.parametrize("replicas", [1, 2, 3])
async def test_a_thousand_users_on_random_replicas_are_all_served_in_time(replicas: int) -> None:
    """Each replica has its part of 4 a second, and a user who retries may reach another replica."""
    dice, clock, count = random.Random(1), ManualClock(START), 1_000
    replica_users = [
        Users(VendingQueue(4 / replicas, 10, clock=clock, sleep=clock.sleep), clock) for _ in range(replicas)
    ]
    for number in range(count):
        await dice.choice(replica_users).come(f"user {number}")
    while sum(len(users.served) for users in replica_users) < count:
        clock.advance(0.25)
        await run_pending_callbacks()
        assert clock() - START <= 1.15 * count / 4
        for users in replica_users:
            for user in [user for user, at in users.retry_at.items() if START + ceil(at - START) <= clock()]:
                del users.retry_at[user]  # Retry-After is in whole seconds
                await dice.choice(replica_users).come(user)
    for users in replica_users:
        assert users.overtaken == set()
        times = [at for _, at in users.served]
        assert all(later - earlier >= replicas / 4 for earlier, later in pairwise(times))


visits = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.1, 0.5, 3.0])), max_size=40)


@settings(max_examples=60, deadline=None)
@given(visits, st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([0.0, 1.0, 10.0]))
async def test_the_rate_is_kept_for_any_arrivals(
    visits: list[tuple[str, float]], per_second: float, wait_seconds: float
) -> None:
    async with users_of(per_second, wait_seconds) as users:
        for user, pause in visits:
            await users.come(user)
            await users.pass_time(pause, step=0.1)
        times = [at for _, at in users.served]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(gap >= 1 / per_second - 1e-9 for gap in gaps)
