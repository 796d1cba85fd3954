"""The pool: slots that are released early, leases that are lost before a start, and a drain that requeues."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.common.aws.task_queue import Visibility
from services.processor import pool as pool_module
from services.processor.pool import Pool
from services.processor.receiver.acknowledger import Acknowledger
from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Acknowledge, Outcome
from tests.support.fakes.delivery_processor import FakeDeliveryProcessor
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.log_lines import task_lines
from tests.support.waiting import wait_until


class Slow(FakeDeliveryProcessor):
    """Tasks that run until `open` is set."""

    def acknowledged(self, lease: Lease) -> None:
        pass

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[str] = []

    async def process_message(self, lease: Lease) -> Outcome:
        self.begun.append(lease.message.receipt_handle)
        await self.open.wait()
        return Acknowledge("finished")


class PoolHarness:
    """Ten slots."""

    def __init__(self) -> None:
        self.queue = FakeTaskQueue()
        self.slots = FairSlots[Lease](10, 0.5)
        self.leases = LeaseKeeper(self.queue.as_queue(), visibility_seconds=30)
        self.acknowledger = Acknowledger(self.queue.as_queue(), self.leases)
        self.slow = Slow()
        deliveries = self.slow.as_delivery_processor()
        self.pool = Pool(deliveries, self.slots, self.leases, self.acknowledger, asyncio.Event())

    def admit(self, *users: str) -> list[str]:
        messages = [received(user) for user in users]
        self.pool.admit(messages)
        return [message.receipt_handle for message in messages]

    @property
    def requeued(self) -> list[Visibility]:
        return [change for call in self.queue.changed for change in call]


@pytest.fixture
async def harness() -> AsyncIterator[PoolHarness]:
    harness = PoolHarness()
    yield harness
    harness.slow.open.set()
    await harness.pool.wait_until_acknowledged(1)
    await harness.acknowledger.close()


USERS = [f"user-{number}" for number in range(10)]


async def test_a_message_beyond_the_slots_starts_when_one_becomes_free(harness: PoolHarness) -> None:
    harness.admit(*USERS, "late", "later")
    harness.slow.open.set()
    await wait_until(lambda: len(harness.slow.begun) == 12)
    await asyncio.sleep(0.1)
    assert harness.requeued == []


async def test_a_message_beyond_the_slots_waits(harness: PoolHarness) -> None:
    harness.admit(*USERS)
    harness.admit("late")
    await asyncio.sleep(0.1)
    assert harness.requeued == []


async def test_a_message_whose_lease_is_lost_is_not_requeued(harness: PoolHarness) -> None:
    harness.admit(*USERS, "late")
    for lease in harness.leases._leases:
        lease.is_lost = True
    await asyncio.sleep(0.1)
    assert harness.requeued == []


async def test_a_lease_that_is_lost_before_its_task_starts_is_logged_with_its_outcome(harness: PoolHarness) -> None:
    harness.admit(*USERS)
    harness.pool.admit([received("late", attributes={"taskId": "late"})])
    for lease in harness.leases._leases:
        lease.is_lost = lease.message.attributes.get("taskId") == "late"
    with task_lines() as lines:
        harness.slow.open.set()
        await wait_until(lambda: bool(lines.ends("late")))
    (line,) = lines.ends("late")
    assert (line["outcome"], "attempt" in line) == ("lease_lost", False)
    assert harness.requeued == []


async def test_a_message_beyond_its_users_share_waits(harness: PoolHarness) -> None:
    harness.admit(*["flood"] * 7, *USERS[:5])
    assert (harness.slots.running, harness.slots.waiting) == (10, 2)
    await asyncio.sleep(0.1)
    assert harness.requeued == []


async def test_a_drain_requeues_waiting_messages_once(harness: PoolHarness) -> None:
    harness.admit(*USERS, "late")
    harness.pool.begin_drain()
    await asyncio.sleep(0.1)
    assert len(harness.requeued) == 1


class Unstored(Slow):
    """Tasks whose notifications are published and cannot be stored."""

    async def process_message(self, lease: Lease) -> Outcome:
        lease.release_slot()
        return await super().process_message(lease)


@pytest.fixture
def unstored(harness: PoolHarness) -> PoolHarness:
    harness.slow = Unstored()
    harness.pool._deliveries = harness.slow.as_delivery_processor()
    return harness


async def test_a_message_that_waits_for_the_history_has_no_slot(unstored: PoolHarness) -> None:
    handles = unstored.admit(*[f"user-{number}" for number in range(30)])
    await wait_until(lambda: unstored.slow.begun == handles)
    assert (unstored.slots.running, unstored.pool.without_slot) == (0, 30)
    unstored.slow.open.set()
    await wait_until(lambda: unstored.pool.without_slot == 0)
    assert (unstored.slots.running, unstored.pool.without_slot_characters) == (0, 0)


@pytest.mark.parametrize(("bound", "value"), [("MAX_WITHOUT_SLOT", 5), ("MAX_WITHOUT_SLOT_CHARACTERS", 5 * len("{}"))])
async def test_messages_that_wait_for_the_history_are_bounded(
    unstored: PoolHarness, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(pool_module, bound, value)
    unstored.admit(*[f"user-{number}" for number in range(30)])
    await wait_until(lambda: len(unstored.slow.begun) == 15)
    assert (unstored.slots.running, unstored.pool.without_slot) == (10, 5)
    unstored.slow.open.set()
    await wait_until(lambda: len(unstored.slow.begun) == 30)
