"""The acknowledger: heartbeats end before a deletion or requeue, and what waits when it is closed is sent.

novuhq/novu#12437: a heartbeat fires after the delete, there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from services.common.aws.task_queue import Visibility
from services.processor.pool import Pool
from services.processor.receiver import acknowledger as acknowledger_module
from services.processor.receiver.acknowledger import Acknowledger
from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Acknowledge, LeaseLost, Outcome, Requeue
from tests.support.clock import ManualClock
from tests.support.fakes.delivery_processor import FakeDeliveryProcessor
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.waiting import wait_until

VISIBILITY = 30


class HangingQueue(FakeTaskQueue):
    """Heartbeats hang until `gate` is set; calls and their ends are noted in order."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        self.happened.append("delete")
        return [None] * len(receipt_handles)

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        if changes[0].seconds != VISIBILITY:
            self.happened.append("requeue")
            return [None] * len(changes)
        self.happened.append("heartbeat")
        await self.gate.wait()
        self.happened.append("heartbeat ended")
        return [None] * len(changes)


class AcknowledgerHarness:
    """One received message."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000.0)
        self.queue = HangingQueue()
        self.keeper = LeaseKeeper(self.queue.as_queue(), visibility_seconds=VISIBILITY, clock=self.clock)
        self.acknowledger = Acknowledger(self.queue.as_queue(), self.keeper)
        self.lease = self.keeper.add(received())

    async def drain(self) -> None:
        """Drain a pool in which the message waits for its user's share."""
        slots: FairSlots[Lease] = FairSlots(1, 1.0)
        slots.add("user", self.lease)
        deliveries = FakeDeliveryProcessor().as_delivery_processor()
        pool = Pool(deliveries, slots, self.keeper, self.acknowledger, asyncio.Event())
        pool.begin_drain()
        await pool.wait_until_acknowledged(10)


WAYS: dict[str, tuple[str, Callable[[AcknowledgerHarness], Awaitable[object]]]] = {
    "deleted": ("delete", lambda harness: harness.acknowledger.acknowledge(harness.lease, Acknowledge("finished"))),
    "requeued after a failure": (
        "requeue",
        lambda harness: harness.acknowledger.acknowledge(harness.lease, Requeue(5, "unknown")),
    ),
    "requeued unstarted": (
        "requeue",
        lambda harness: harness.acknowledger.requeue_unstarted(harness.lease, Requeue(0, "drain")),
    ),
    "requeued by a drain": ("requeue", lambda harness: harness.drain()),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_heartbeat_ends_before_the_message_is_changed(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = replace(acknowledger_module._POLICY, idle_linger_seconds=0.0)
    monkeypatch.setattr(acknowledger_module, "_POLICY", at_once)
    harness = AcknowledgerHarness()
    change, make_change = WAYS[way]
    harness.queue.gate.clear()
    harness.clock.advance(VISIBILITY / 3)
    beating = asyncio.create_task(harness.keeper.extend_due())
    await wait_until(lambda: harness.queue.happened == ["heartbeat"])
    changing = asyncio.ensure_future(make_change(harness))
    for _ in range(20):  # turns of the loop: without the wait for the heartbeat it would be asked for by now
        await asyncio.sleep(0)
    assert harness.queue.happened == ["heartbeat"]
    harness.queue.gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(beating, changing)
    assert harness.queue.happened == ["heartbeat", "heartbeat ended", change]


@pytest.mark.parametrize("way", WAYS)
async def test_no_heartbeat_follows_a_change_of_the_message(way: str) -> None:
    harness = AcknowledgerHarness()
    change, make_change = WAYS[way]
    async with asyncio.timeout(10):
        await make_change(harness)
    harness.clock.advance(VISIBILITY / 3)
    await harness.keeper.extend_due()
    assert harness.queue.happened == [change]


@pytest.mark.parametrize(
    ("outcome", "is_noted"),
    [
        (Acknowledge("finished"), False),
        (Requeue(1, "drain"), True),
        (Requeue(1, "isolated"), False),
        (LeaseLost(), True),
    ],
)
async def test_a_release_is_noted_before_others_may_have_the_message(outcome: Outcome, *, is_noted: bool) -> None:
    """But for one that is to run isolated: a note would clear it."""
    queue, happened = HangingQueue(), list[str]()
    keeper = LeaseKeeper(queue.as_queue(), visibility_seconds=VISIBILITY)
    message = received()

    async def note(released: Lease) -> None:
        assert released.message is message
        assert queue.happened == []
        happened.append("noted")

    acknowledger = Acknowledger(queue.as_queue(), keeper, note)
    assert await acknowledger.acknowledge(keeper.add(message), outcome)
    assert happened == ["noted"] * is_noted
    await acknowledger.close()
