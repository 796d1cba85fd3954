"""The lease keeper: one loop extends the leases of all received messages, in batches.

A lease that could not be extended is lost. Another replica may have received the message, so its handler is cancelled
and this delivery neither deletes the message nor publishes a notification.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from notification_api import TransientError
from services.common.aws.task_queue import ReceiptExpired, ReceivedMessage, TaskQueue, Visibility
from services.common.batcher import BATCH_ENTRIES
from services.common.messages.task_message import task_id_of
from services.processor.metrics import LEASES_EXTENDED, LEASES_LOST
from services.processor.receiver.lease import Lease

logger = logging.getLogger(__name__)

CALLS_AT_ONCE = 4
_MARGIN = 0.05
"""The share of the visibility timeout that may have passed before the message arrived here."""


class LeaseKeeper:
    """Extends every lease after a third of the visibility timeout, until it is released."""

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
        self._leases: set[Lease] = set()
        self._has_leases = asyncio.Event()
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    @property
    def count(self) -> int:
        """Leases that are extended."""
        return len(self._leases)

    def add(self, message: ReceivedMessage) -> Lease:
        """Return the lease of a message that has just been received, and extend it from now on."""
        now = self._clock()
        expires_at = now + self._visibility_seconds * (1 - _MARGIN)
        lease = Lease(message, self._clock, expires_at, self._next_due(now))
        self._leases.add(lease)
        self._has_leases.set()
        return lease

    async def release(self, lease: Lease) -> None:
        """Stop extending the lease. No heartbeat is under way afterwards that could follow the deletion or requeue."""
        self._leases.discard(lease)
        if not self._leases:
            self._has_leases.clear()
        await lease.wait_for_extension()

    async def run(self) -> None:
        """Extend leases as they fall due, until cancelled."""
        tick = min(1.0, self._visibility_seconds / 15)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._extend_repeatedly(tick))
            loops.create_task(self._expire_repeatedly(tick))

    async def _extend_repeatedly(self, tick: float) -> None:
        while True:
            await self._has_leases.wait()
            await asyncio.sleep(tick)
            await self.extend_due(look_ahead_seconds=tick)

    async def _expire_repeatedly(self, tick: float) -> None:
        """Not in the loop of the heartbeats: those may take seconds when SQS does, and this must not."""
        while True:
            await self._has_leases.wait()
            await asyncio.sleep(tick)
            self.expire_overdue()

    def expire_overdue(self) -> None:
        """Mark the leases as lost that have expired or have reached their limit."""
        now = self._clock()
        for lease in [one for one in self._leases if now >= min(one.expires_at, one.ends_at)]:
            self._lose(lease, "it expired" if now >= lease.expires_at else "its time limit has passed")

    async def extend_due(self, look_ahead_seconds: float = 0.0) -> None:
        """Extend the leases that are due within `look_ahead_seconds`."""
        self.expire_overdue()
        due = [lease for lease in self._leases if lease.due_at <= self._clock() + look_ahead_seconds]
        batches = [due[start : start + BATCH_ENTRIES] for start in range(0, len(due), BATCH_ENTRIES)]
        await asyncio.gather(*(self._extend(batch) for batch in batches))

    async def _extend(self, leases: Sequence[Lease]) -> None:
        async with self._calls:
            leases = [lease for lease in leases if lease in self._leases]  # others were released meanwhile
            if not leases:
                return
            for lease in leases:
                lease.begin_extension()
            try:
                await self._call(leases)
            finally:
                for lease in leases:
                    lease.end_extension()

    async def _call(self, leases: Sequence[Lease]) -> None:
        asked_at = self._clock()
        changes = [Visibility(lease.message.receipt_handle, self._visibility_seconds) for lease in leases]
        try:
            async with asyncio.timeout(self._visibility_seconds / 3):  # leaves time for a second try
                outcomes = await self._queue.change_visibility(changes)
        except (TransientError, TimeoutError) as unavailable:
            outcomes = [unavailable] * len(leases)
        for lease, error in zip(leases, outcomes, strict=True):
            self._apply(lease, error, asked_at)

    def _apply(self, lease: Lease, error: Exception | None, asked_at: float) -> None:
        if error is None:
            LEASES_EXTENDED.inc()
            lease.expires_at = asked_at + self._visibility_seconds
            lease.due_at = self._next_due(asked_at)
        elif isinstance(error, ReceiptExpired):
            self._lose(lease, str(error))
        else:
            logger.warning(
                "lease not extended, will retry: %s",
                str(error) or "no answer in time",
                extra={"action": "lease", **_ids(lease.message)},
            )
            lease.due_at = self._clock() + random.uniform(0, self._visibility_seconds / 15)

    def _lose(self, lease: Lease, reason: str) -> None:
        if lease not in self._leases:
            return
        self._leases.discard(lease)
        lease.is_lost = True
        LEASES_LOST.inc()
        logger.error("lease lost: %s", reason, extra={"action": "lease", **_ids(lease.message)})
        lease.on_lost()

    def _next_due(self, now: float) -> float:
        return now + self._visibility_seconds / 3 * random.uniform(0.8, 1.0)


def _ids(message: ReceivedMessage) -> dict[str, str]:
    return {"taskId": task_id_of(message.attributes, message.message_id), "messageId": message.message_id}
