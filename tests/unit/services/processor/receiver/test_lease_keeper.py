"""Leases: kept in batches, given up in time, and quiet once they are let go."""

import asyncio
from contextlib import suppress

import pytest

from services.common.aws.task_queue import QueueUnavailable, ReceiptExpired
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.settings import SQS_LONGEST_HOLD_SECONDS
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
    keeper.hold(received())
    clock.advance(VISIBILITY / 3 * 0.8 - 0.01)
    await keeper.beat()
    assert queue.changed == []


async def test_all_held_messages_are_extended_in_batches_of_ten_by_a_third_of_the_time(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    leases = [keeper.hold(received()) for _ in range(25)]
    clock.advance(VISIBILITY / 3)
    await keeper.beat()
    assert sorted(map(len, queue.changed)) == [5, 10, 10]
    assert {change.seconds for batch in queue.changed for change in batch} == {VISIBILITY}
    assert all(lease.expires_at == clock.now + VISIBILITY for lease in leases)


def test_heartbeats_of_messages_that_came_together_are_spread(keeper: LeaseKeeper, clock: ManualClock) -> None:
    due = [keeper.hold(received()).due_at - clock.now for _ in range(200)]
    assert VISIBILITY / 3 * 0.8 <= min(due) < VISIBILITY / 3 * 0.85
    assert VISIBILITY / 3 * 0.95 < max(due) <= VISIBILITY / 3


async def test_a_lease_whose_receipt_is_refused_is_lost_alone(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    counted = Counted("leases_lost_total")
    bad, good = keeper.hold(received()), keeper.hold(received())
    lost: list[str] = []
    bad.on_lost = lambda: lost.append("bad")
    good.on_lost = lambda: lost.append("good")
    queue.outcome = lambda handle: ReceiptExpired("gone") if handle == bad.message.receipt_handle else None
    clock.advance(VISIBILITY / 3)
    await keeper.beat()
    assert (lost, bad.lost, good.lost, keeper.held) == (["bad"], True, False, 1)
    assert counted() == 1


async def test_a_heartbeat_that_fails_for_now_is_tried_again_while_there_is_time(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.hold(received())
    queue.error = QueueUnavailable("briefly")
    clock.advance(VISIBILITY / 3)
    await keeper.beat()
    assert not lease.lost
    queue.error = None
    clock.advance(VISIBILITY / 15)
    await keeper.beat()
    assert len(queue.changed) == 2
    assert lease.expires_at == clock.now + VISIBILITY


async def test_a_lease_that_could_not_be_extended_in_time_is_lost(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.hold(received())
    queue.error = QueueUnavailable("for good")
    for _ in range(VISIBILITY):
        clock.advance(1)
        await keeper.beat()
    assert lease.lost
    assert keeper.held == 0


async def test_a_lease_is_lost_in_time_even_while_a_heartbeat_hangs(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.hold(received())
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.beat())
    await wait_until(lambda: bool(queue.changed))
    clock.advance(VISIBILITY)
    keeper.give_up()
    assert lease.lost
    queue.gate.set()
    await beating


async def test_a_heartbeat_that_hangs_leaves_time_for_another(queue: FakeTaskQueue) -> None:
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=1)
    lease = keeper.hold(received())
    queue.gate.clear()
    async with asyncio.timeout(5):
        await keeper.beat(look_ahead_seconds=1)
    assert not lease.over
    assert lease.due_at < lease.expires_at


def test_a_lease_is_over_by_the_clock_though_the_keeper_has_not_noticed(
    keeper: LeaseKeeper, clock: ManualClock
) -> None:
    """A handler that blocked the loop keeps the keeper from its work, too."""
    lease = keeper.hold(received())
    before = lease.over
    clock.advance(VISIBILITY)
    assert (before, lease.over, lease.lost) == (False, True, False)


async def test_no_heartbeat_follows_once_a_lease_was_let_go(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    await keeper.let_go(keeper.hold(received()))
    clock.advance(VISIBILITY / 3)
    await keeper.beat()
    assert queue.changed == []


async def test_letting_go_waits_for_the_heartbeat_under_way(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    """Else the deletion could overtake the heartbeat (novuhq/novu#12437)."""
    lease = keeper.hold(received())
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.beat())
    await wait_until(lambda: bool(queue.changed))
    letting_go = asyncio.create_task(keeper.let_go(lease))
    await asyncio.sleep(0)
    assert not letting_go.done()
    queue.gate.set()
    await asyncio.gather(beating, letting_go)
    assert not lease.lost


async def test_a_lease_let_go_while_its_batch_waits_for_its_turn_is_left_out(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    leases = [keeper.hold(received()) for _ in range(50)]
    queue.gate.clear()
    clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(keeper.beat())
    await wait_until(lambda: len(queue.changed) == 4)
    under_way = {change.receipt_handle for batch in queue.changed for change in batch}
    waiting = [lease for lease in leases if lease.message.receipt_handle not in under_way]
    for lease in waiting:
        await keeper.let_go(lease)
    queue.gate.set()
    await beating
    assert len(waiting) == 10
    assert len(queue.changed) == 4


async def test_a_lease_is_extended_up_to_its_cap_and_no_longer(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.hold(received())
    lease.begin(100)
    for _ in range(99):
        clock.advance(1)
        await keeper.beat()
    assert not lease.lost
    clock.advance(1)
    await keeper.beat()
    assert lease.lost


async def test_the_time_in_line_for_a_slot_does_not_count_toward_the_cap(
    keeper: LeaseKeeper, queue: FakeTaskQueue, clock: ManualClock
) -> None:
    lease = keeper.hold(received())
    for _ in range(500):
        clock.advance(1)
        await keeper.beat()
    lease.begin(100)
    for _ in range(99):
        clock.advance(1)
        await keeper.beat()
    assert not lease.lost


def test_no_lease_is_held_beyond_what_sqs_allows(keeper: LeaseKeeper, clock: ManualClock) -> None:
    lease = keeper.hold(received())
    clock.advance(SQS_LONGEST_HOLD_SECONDS - 10)
    lease.begin(100)
    assert lease.ends_at <= clock.now + 10


async def test_the_loop_keeps_leases_by_itself(queue: FakeTaskQueue) -> None:
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=1)
    running = asyncio.create_task(keeper.run())
    lease = keeper.hold(received())
    await wait_until(lambda: len(queue.changed) >= 3)
    assert not lease.over
    await keeper.let_go(lease)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
