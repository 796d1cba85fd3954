"""Leases: extended in batches, lost in time, and not extended after their release."""

import asyncio
from contextlib import suppress

import pytest

from services.common.aws.task_queue import QueueUnavailable, ReceiptExpired
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.settings import SQS_MAX_LEASE_SECONDS
from tests.support.clock import ManualClock
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.processor.in_process import Counted
from tests.support.waiting import wait_until

VISIBILITY = 30


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000.0)


@pytest.fixture
def queue() -> FakeTaskQueue:
    return FakeTaskQueue()


@pytest.fixture
def keeper(queue: FakeTaskQueue, clock: ManualClock) -> LeaseKeeper:
    return LeaseKeeper(queue.as_queue(), visibility_seconds=VISIBILITY, clock=clock)


async def test_nothing_is_extended_before_it_is_due(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    keeper.add(received())
    clock.advance(VISIBILITY / 3 * 0.8 - 0.01)
    await keeper.extend_due()
    assert queue.changed == []


async def test_all_leases_are_extended_in_batches_of_ten_after_a_third_of_their_time(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    leases = [keeper.add(received()) for _ in range(25)]
    clock.advance(VISIBILITY / 3)
    await keeper.extend_due()
    assert sorted(map(len, queue.changed)) == [5, 10, 10]
    assert {change.seconds for batch in queue.changed for change in batch} == {VISIBILITY}
    assert all(lease.expires_at == clock.now + VISIBILITY for lease in leases)


def test_heartbeats_of_messages_that_came_together_are_spread(keeper: LeaseKeeper, clock: ManualClock) -> None:
    due = [keeper.add(received()).due_at - clock.now for _ in range(200)]
    assert VISIBILITY / 3 * 0.8 <= min(due) < VISIBILITY / 3 * 0.85
    assert VISIBILITY / 3 * 0.95 < max(due) <= VISIBILITY / 3


async def test_a_lease_whose_receipt_is_refused_is_lost_alone(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    counted = Counted("leases_lost_total")
    bad, good = keeper.add(received()), keeper.add(received())
    lost: list[str] = []
    bad.on_lost = lambda: lost.append("bad")
    good.on_lost = lambda: lost.append("good")
    queue.outcome = lambda handle: ReceiptExpired("gone") if handle == bad.message.receipt_handle else None
    clock.advance(VISIBILITY / 3)
    await keeper.extend_due()
    assert (lost, bad.is_lost, good.is_lost, keeper.count) == (["bad"], True, False, 1)
    assert counted() == 1


async def test_a_heartbeat_that_fails_transiently_is_retried_while_the_lease_is_valid(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.add(received())
    queue.error = QueueUnavailable("briefly")
    clock.advance(VISIBILITY / 3)
    await keeper.extend_due()
    assert not lease.is_lost
    queue.error = None
    clock.advance(VISIBILITY / 15)
    await keeper.extend_due()
    assert len(queue.changed) == 2
    assert lease.expires_at == clock.now + VISIBILITY


async def test_a_lease_that_could_not_be_extended_in_time_is_lost(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.add(received())
    queue.error = QueueUnavailable("permanently")
    for _ in range(VISIBILITY):
        clock.advance(1)
        await keeper.extend_due()
    assert lease.is_lost
    assert keeper.count == 0


async def test_a_lease_is_lost_in_time_even_while_a_heartbeat_hangs(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.add(received())
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.extend_due())
    await wait_until(lambda: bool(queue.changed))
    clock.advance(VISIBILITY)
    keeper.expire_overdue()
    assert lease.is_lost
    queue.gate.set()
    await beating


async def test_a_heartbeat_that_hangs_leaves_time_for_another(queue: FakeTaskQueue) -> None:
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=1)
    lease = keeper.add(received())
    queue.gate.clear()
    async with asyncio.timeout(5):
        await keeper.extend_due(look_ahead_seconds=1)
    assert not lease.is_over
    assert lease.due_at < lease.expires_at


def test_a_lease_expires_by_the_clock_even_before_the_keeper_notices(keeper: LeaseKeeper, clock: ManualClock) -> None:
    """A handler that blocks the event loop also blocks the lease keeper."""
    lease = keeper.add(received())
    before = lease.is_over
    clock.advance(VISIBILITY)
    assert (before, lease.is_over, lease.is_lost) == (False, True, False)


async def test_no_heartbeat_follows_the_release_of_a_lease(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    await keeper.release(keeper.add(received()))
    clock.advance(VISIBILITY / 3)
    await keeper.extend_due()
    assert queue.changed == []


async def test_a_release_waits_for_the_heartbeat_in_progress(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    """Else the deletion could overtake the heartbeat (novuhq/novu#12437)."""
    lease = keeper.add(received())
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.extend_due())
    await wait_until(lambda: bool(queue.changed))
    releasing = asyncio.create_task(keeper.release(lease))
    await asyncio.sleep(0)
    assert not releasing.done()
    queue.gate.set()
    await asyncio.gather(beating, releasing)
    assert not lease.is_lost


async def test_a_lease_released_while_its_batch_waits_is_left_out(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    leases = [keeper.add(received()) for _ in range(50)]
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.extend_due())
    await wait_until(lambda: len(queue.changed) == 4)
    under_way = {change.receipt_handle for batch in queue.changed for change in batch}
    waiting = [lease for lease in leases if lease.message.receipt_handle not in under_way]
    for lease in waiting:
        await keeper.release(lease)
    queue.gate.set()
    await beating
    assert len(waiting) == 10
    assert len(queue.changed) == 4


async def test_a_lease_is_extended_up_to_its_limit_and_no_longer(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.add(received())
    lease.limit(100)
    for _ in range(99):
        clock.advance(1)
        await keeper.extend_due()
    assert not lease.is_lost
    clock.advance(1)
    await keeper.extend_due()
    assert lease.is_lost


async def test_the_wait_for_a_slot_does_not_count_toward_the_limit(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.add(received())
    for _ in range(500):
        clock.advance(1)
        await keeper.extend_due()
    lease.limit(100)
    for _ in range(99):
        clock.advance(1)
        await keeper.extend_due()
    assert not lease.is_lost


def test_no_lease_is_extended_beyond_what_sqs_allows(keeper: LeaseKeeper, clock: ManualClock) -> None:
    lease = keeper.add(received())
    clock.advance(SQS_MAX_LEASE_SECONDS - 10)
    lease.limit(100)
    assert lease.ends_at <= clock.now + 10


async def test_the_loop_extends_leases_by_itself(queue: FakeTaskQueue) -> None:
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=1)
    running = asyncio.create_task(keeper.run())
    lease = keeper.add(received())
    await wait_until(lambda: len(queue.changed) >= 3)
    assert not lease.is_over
    await keeper.release(lease)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
