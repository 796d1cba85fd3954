"""Settling: the heartbeat ends before the deletion or the return, and what waits at the stop is sent.

novuhq/novu#12437: a heartbeat fires after the delete, there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from services.common.aws.task_queue import ReceivedMessage, Visibility
from services.processor.pool import Pool
from services.processor.receiver import acknowledger as settlement_module
from services.processor.receiver.acknowledger import Settlement
from services.processor.receiver.fair_slots import Slots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Back, Done, Lost, Verdict
from tests.support.clock import ManualClock
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.fakes.worker import FakeWorker
from tests.support.waiting import wait_until

VISIBILITY = 30


class HangingQueue(FakeTaskQueue):
    """Heartbeats hang until `gate` is set; what is asked for and what has come back is noted in order."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        self.happened.append("delete")
        return [None] * len(receipt_handles)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        if changes[0].seconds != VISIBILITY:
            self.happened.append("return")
            return [None] * len(changes)
        self.happened.append("heartbeat")
        await self.gate.wait()
        self.happened.append("heartbeat ended")
        return [None] * len(changes)


class World:
    """One held message whose heartbeat is under way."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000.0)
        self.queue = HangingQueue()
        self.keeper = LeaseKeeper(self.queue.as_queue(), visibility_seconds=VISIBILITY, clock=self.clock)
        self.settlement = Settlement(self.queue.as_queue(), self.keeper)
        self.lease = self.keeper.hold(received())

    async def hand_back(self) -> None:
        """Drain a pool in which the message waits for its user's share."""
        slots: Slots[Lease] = Slots(1, 1.0)
        slots.wait("user", self.lease)
        pool = Pool(FakeWorker().as_worker(), slots, self.keeper, self.settlement, on_free=lambda: None)
        pool.begin_drain()
        await pool.until_settled(10)


WAYS: dict[str, tuple[str, Callable[[World], Awaitable[object]]]] = {
    "deleted": ("delete", lambda world: world.settlement.settle(world.lease, Done("finished"))),
    "returned after a failure": ("return", lambda world: world.settlement.settle(world.lease, Back(5, "unknown"))),
    "given back": ("return", lambda world: world.settlement.give_back(world.lease, Back(0, "drain"))),
    "handed back at the stop": ("return", lambda world: world.hand_back()),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_heartbeat_ends_before_the_message_is(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = replace(settlement_module._POLICY, idle_linger_seconds=0.0)
    monkeypatch.setattr(settlement_module, "_POLICY", at_once)
    world = World()
    settled, settle = WAYS[way]
    world.queue.gate.clear()
    world.clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(world.keeper.beat())
    await wait_until(lambda: world.queue.happened == ["heartbeat"])
    settling = asyncio.ensure_future(settle(world))
    for _ in range(20):  # turns of the loop: without the wait for the heartbeat it would be asked for by now
        await asyncio.sleep(0)
    assert world.queue.happened == ["heartbeat"]
    world.queue.gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(beating, settling)
    assert world.queue.happened == ["heartbeat", "heartbeat ended", settled]


@pytest.mark.parametrize("way", WAYS)
async def test_no_heartbeat_follows_once_the_message_is(way: str) -> None:
    world = World()
    settled, settle = WAYS[way]
    async with asyncio.timeout(10):
        await settle(world)
    world.clock.advance(VISIBILITY / 3)
    await world.keeper.beat()
    assert world.queue.happened == [settled]


@pytest.mark.parametrize(
    ("verdict", "is_noted"),
    [(Done("finished"), False), (Back(1, "drain"), True), (Back(1, "isolated"), False), (Lost(), True)],
)
async def test_a_release_is_noted_before_others_may_have_the_message(verdict: Verdict, *, is_noted: bool) -> None:
    """But for one that is to run isolated: a note would clear it."""
    queue, happened = HangingQueue(), list[str]()
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=VISIBILITY)
    message = received()

    async def note(released: ReceivedMessage) -> None:
        assert released is message
        assert queue.happened == []
        happened.append("noted")

    settlement = Settlement(queue.as_queue(), keeper, note)
    assert await settlement.settle(keeper.hold(message), verdict)
    assert happened == ["noted"] * is_noted
    await settlement.close()
