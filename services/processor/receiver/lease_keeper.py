"""Leases: a message is ours while it is hidden from others, and one loop keeps all of them hidden in batches.

A lease that could not be extended is lost: another processor may have the message already, so its handler is
cancelled and the message is neither deleted nor told as done.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from services.common.aws.task_queue import ReceiptExpired, ReceivedMessage, TaskQueue, Visibility
from services.common.batcher import BATCH_ENTRIES
from services.common.errors import Transient
from services.common.messages.task_message import task_id_of
from services.processor.metrics import LEASES_EXTENDED, LEASES_LOST
from services.processor.receiver.lease import Lease

logger = logging.getLogger(__name__)

CALLS_AT_ONCE = 4
# How much of the visibility timeout may have gone by before the message reached us.
_MARGIN = 0.05


class LeaseKeeper:
    """Extends every held lease at a third of the visibility timeout, until it is let go."""

    def __init__(
        self,
        queue: TaskQueue,
        *,
        visibility_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._visibility_seconds = visibility_seconds
        self._clock = clock
        self._held: set[Lease] = set()
        self._any_held = asyncio.Event()
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    @property
    def held(self) -> int:
        """Messages held."""
        return len(self._held)

    def hold(self, message: ReceivedMessage) -> Lease:
        """Take hold of a message that has just come in."""
        now = self._clock()
        expires_at = now + self._visibility_seconds * (1 - _MARGIN)
        lease = Lease(message, self._clock, expires_at, self._next_due(now))
        self._held.add(lease)
        self._any_held.set()
        return lease

    async def let_go(self, lease: Lease) -> None:
        """Extend it no more. Afterwards no heartbeat of ours can follow the deletion or the return."""
        self._held.discard(lease)
        if not self._held:
            self._any_held.clear()
        await lease.until_settled()

    async def run(self) -> None:
        """Extend leases as they fall due, until cancelled."""
        tick = min(1.0, self._visibility_seconds / 15)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._beat_always(tick))
            loops.create_task(self._give_up_always(tick))

    async def _beat_always(self, tick: float) -> None:
        while True:
            await self._any_held.wait()
            await asyncio.sleep(tick)
            await self.beat(look_ahead_seconds=tick)

    async def _give_up_always(self, tick: float) -> None:
        """Beside the heartbeats: those may hang for seconds when SQS does, and this must not."""
        while True:
            await self._any_held.wait()
            await asyncio.sleep(tick)
            self.give_up()

    def give_up(self) -> None:
        """Lose what has run out."""
        now = self._clock()
        for lease in [one for one in self._held if now >= min(one.expires_at, one.ends_at)]:
            self._lose(lease, "it ran out" if now >= lease.expires_at else "the longest hold is over")

    async def beat(self, look_ahead_seconds: float = 0.0) -> None:
        """Extend what is due within `look_ahead_seconds`."""
        self.give_up()
        due = [lease for lease in self._held if lease.due_at <= self._clock() + look_ahead_seconds]
        batches = [due[start : start + BATCH_ENTRIES] for start in range(0, len(due), BATCH_ENTRIES)]
        await asyncio.gather(*(self._extend(batch) for batch in batches))

    async def _extend(self, leases: Sequence[Lease]) -> None:
        async with self._calls:
            leases = [lease for lease in leases if lease in self._held]  # some may have ended while this waited
            if not leases:
                return
            for lease in leases:
                lease.extending()
            try:
                await self._call(leases)
            finally:
                for lease in leases:
                    lease.settled()

    async def _call(self, leases: Sequence[Lease]) -> None:
        asked_at = self._clock()
        changes = [Visibility(lease.message.receipt_handle, self._visibility_seconds) for lease in leases]
        try:
            async with asyncio.timeout(self._visibility_seconds / 3):  # a second try must still be in time
                outcomes = await self._queue.change_visibility(changes)
        except (Transient, TimeoutError) as unavailable:
            outcomes = [unavailable] * len(leases)
        for lease, error in zip(leases, outcomes, strict=True):
            self._settle(lease, error, asked_at)

    def _settle(self, lease: Lease, error: Exception | None, asked_at: float) -> None:
        if error is None:
            LEASES_EXTENDED.inc()
            lease.expires_at = asked_at + self._visibility_seconds
            lease.due_at = self._next_due(asked_at)
        elif isinstance(error, ReceiptExpired):
            self._lose(lease, str(error))
        else:
            logger.warning(
                "lease not extended, trying again: %s",
                str(error) or "no answer in time",
                extra={"action": "lease", **_ids(lease.message)},
            )
            lease.due_at = self._clock() + random.uniform(0, self._visibility_seconds / 15)

    def _lose(self, lease: Lease, reason: str) -> None:
        if lease not in self._held:
            return
        self._held.discard(lease)
        lease.lost = True
        LEASES_LOST.inc()
        logger.error("lease lost: %s", reason, extra={"action": "lease", **_ids(lease.message)})
        lease.on_lost()

    def _next_due(self, now: float) -> float:
        return now + self._visibility_seconds / 3 * random.uniform(0.8, 1.0)


def _ids(message: ReceivedMessage) -> dict[str, str]:
    return {"taskId": task_id_of(message.attributes, message.message_id), "messageId": message.message_id}
