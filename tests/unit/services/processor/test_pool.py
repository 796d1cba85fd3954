"""The pool's line: what waits for a slot that does not become free goes back, for others to take."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.common.aws.task_queue import ReceivedMessage, Visibility
from services.processor import pool as pool_module
from services.processor.pool import Pool
from services.processor.receiver.acknowledger import Settlement
from services.processor.receiver.fair_slots import Slots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Done, Verdict
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.fakes.worker import FakeWorker
from tests.support.log_lines import task_lines
from tests.support.waiting import wait_until


class Slow(FakeWorker):
    """Tasks that end when they are let."""

    def acknowledged(self, message: ReceivedMessage) -> None:
        pass

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[str] = []

    async def work(self, lease: Lease) -> Verdict:
        self.begun.append(lease.message.receipt_handle)
        await self.open.wait()
        return Done("finished")


class World:
    """Ten slots."""

    def __init__(self) -> None:
        self.queue = FakeTaskQueue()
        self.slots = Slots[Lease](10, 0.5)
        self.leases = LeaseKeeper(self.queue.as_queue(), visibility_seconds=30)
        self.settlement = Settlement(self.queue.as_queue(), self.leases)
        self.slow = Slow()
        worker = self.slow.as_worker()
        self.pool = Pool(worker, self.slots, self.leases, self.settlement, on_free=lambda: None)

    def accept(self, *users: str, ahead: bool = True) -> list[str]:
        messages = [received(user) for user in users]
        self.pool.accept(messages, ahead=ahead)
        return [message.receipt_handle for message in messages]

    @property
    def returned(self) -> list[Visibility]:
        return [change for call in self.queue.changed for change in call]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(pool_module, "EARLY_SECONDS", 0.05)
    world = World()
    yield world
    world.slow.open.set()
    await world.pool.until_settled(1)
    await world.settlement.close()


USERS = [f"user-{number}" for number in range(10)]


async def test_what_was_received_ahead_goes_back_at_once_where_tasks_suddenly_take_long(world: World) -> None:
    world.accept(*USERS)
    late = world.accept("late", "later")
    await wait_until(lambda: len(world.returned) == 2)
    assert world.returned == [Visibility(handle, 0) for handle in late]
    assert len(world.slow.begun) == 10
    assert world.slots.waiting == 0
    assert world.leases.held == 10


async def test_it_stays_where_slots_become_free(world: World) -> None:
    world.accept(*USERS, "late", "later")
    world.slow.open.set()
    await wait_until(lambda: len(world.slow.begun) == 12)
    await asyncio.sleep(0.1)
    assert world.returned == []


async def test_what_was_asked_for_a_free_slot_stays_though_another_took_that(world: World) -> None:
    world.accept(*USERS)
    world.accept("late", ahead=False)
    await asyncio.sleep(0.1)
    assert world.returned == []


async def test_a_message_that_others_may_have_already_is_not_touched(world: World) -> None:
    world.accept(*USERS, "late")
    for lease in world.leases._held:
        lease.lost = True
    await asyncio.sleep(0.1)
    assert world.returned == []


async def test_a_lease_that_is_lost_before_its_task_starts_has_a_line_with_the_outcome(world: World) -> None:
    world.accept(*USERS)
    world.pool.accept([received("late", attributes={"taskId": "late"})], ahead=False)
    for lease in world.leases._held:
        lease.lost = lease.message.attributes.get("taskId") == "late"
    with task_lines() as lines:
        world.slow.open.set()
        await wait_until(lambda: bool(lines.ends("late")))
    (line,) = lines.ends("late")
    assert (line["outcome"], "attempt" in line) == ("lease_lost", False)
    assert world.returned == []


async def test_what_waits_for_its_users_share_stays(world: World) -> None:
    world.accept(*["flood"] * 7, *USERS[:5])
    assert (world.slots.running, world.slots.waiting) == (10, 2)
    await asyncio.sleep(0.1)
    assert world.returned == []


async def test_a_drain_gives_back_what_was_received_ahead_once(world: World) -> None:
    world.accept(*USERS, "late")
    world.pool.begin_drain()
    await asyncio.sleep(0.1)
    assert len(world.returned) == 1


class Unstored(Slow):
    """Tasks whose notifications are published and cannot be stored."""

    async def work(self, lease: Lease) -> Verdict:
        lease.give_up_slot()
        return await super().work(lease)


@pytest.fixture
def unstored(world: World) -> World:
    world.slow = Unstored()
    world.pool._worker = world.slow.as_worker()
    return world


async def test_what_waits_for_the_history_alone_holds_no_slot(unstored: World) -> None:
    handles = unstored.accept(*[f"user-{number}" for number in range(30)], ahead=False)
    await wait_until(lambda: unstored.slow.begun == handles)
    assert (unstored.slots.running, unstored.pool.without_slot) == (0, 30)
    unstored.slow.open.set()
    await wait_until(lambda: unstored.pool.without_slot == 0)
    assert (unstored.slots.running, unstored.pool.without_slot_characters) == (0, 0)


@pytest.mark.parametrize(("bound", "value"), [("MAX_WITHOUT_SLOT", 5), ("MAX_WITHOUT_SLOT_CHARACTERS", 5 * len("{}"))])
async def test_what_waits_for_the_history_is_bounded(
    unstored: World, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(pool_module, bound, value)
    unstored.accept(*[f"user-{number}" for number in range(30)], ahead=False)
    await wait_until(lambda: len(unstored.slow.begun) == 15)
    assert (unstored.slots.running, unstored.pool.without_slot) == (10, 5)
    unstored.slow.open.set()
    await wait_until(lambda: len(unstored.slow.begun) == 30)
