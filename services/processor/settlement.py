"""Settling messages on the queue: deletions and returns, in batches of ten or after a few milliseconds."""

import logging
from collections.abc import Awaitable, Callable

from services.common.batcher import Batcher, BatchPolicy
from services.common.errors import PermanentError, Transient
from services.common.task_queue import ReceivedMessage, TaskQueue, Visibility
from services.processor.lease import Lease
from services.processor.leases import LeaseKeeper
from services.processor.metrics import ACK_ERRORS, RETURNED, processed
from services.processor.outcome import Back, Done, Verdict

logger = logging.getLogger(__name__)

LINGER_SECONDS = 0.008
_POLICY = BatchPolicy(
    idle_linger_seconds=LINGER_SECONDS,
    busy_linger_seconds=LINGER_SECONDS,
    max_in_flight=8,
    max_waiting=50_000,
    attempts=5,
)


async def _without_note(_: ReceivedMessage) -> None:
    pass


class Settlement:
    """Carries out verdicts. The heartbeat ends first, so that none can follow the deletion or the return.

    :param note_release: called before a message may be received again, but for one that is to run isolated.
    """

    def __init__(
        self,
        queue: TaskQueue,
        leases: LeaseKeeper,
        note_release: Callable[[ReceivedMessage], Awaitable[None]] = _without_note,
    ) -> None:
        self._leases = leases
        self._note_release = note_release
        self._deletes: Batcher[str] = Batcher(queue.delete, _POLICY)
        self._returns: Batcher[Visibility] = Batcher(queue.change_visibility, _POLICY)

    async def settle(self, lease: Lease, verdict: Verdict) -> bool:
        """Delete or give back; answers whether the queue has taken it."""
        await self._leases.let_go(lease)
        if isinstance(verdict, Done):
            processed(verdict.outcome).inc()
            return await self._delete(lease)
        if isinstance(verdict, Back):
            processed("returned").inc()
            return await self.give_back(lease, verdict.seconds, verdict.reason)
        processed("lost").inc()
        await self._note_release(lease.message)
        return True

    async def give_back(self, lease: Lease, seconds: int, reason: str) -> bool:
        """Make the message visible after `seconds`; without SQS it comes back when its lease is over."""
        await self._leases.let_go(lease)
        RETURNED.labels(reason).inc()
        if reason != "isolated":
            await self._note_release(lease.message)
        try:
            await self._returns.submit(Visibility(lease.message.receipt_handle, seconds))
        except (Transient, PermanentError) as error:
            logger.warning("message not given back, it comes by itself: %s", error, extra={"action": "return"})
            return False
        return True

    async def close(self) -> None:
        """Flush, whatever waits."""
        await self._deletes.close()
        await self._returns.close()

    async def _delete(self, lease: Lease) -> bool:
        try:
            await self._deletes.submit(lease.message.receipt_handle)
        except (Transient, PermanentError) as error:
            ACK_ERRORS.inc()
            logger.warning("message not deleted, it will come again: %s", error, extra={"action": "delete"})
            return False
        return True
