"""Settling messages on the queue: deletions and returns, in batches of ten or after a few milliseconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.common.aws.task_queue import ReceivedMessage, TaskQueue, Visibility
from services.common.batcher import Batcher, BatchPolicy
from services.common.errors import PermanentError, Transient
from services.processor.delivery.task_log import (
    log_concluded,
    log_lease_lost,
    log_not_requeued,
    log_requeued,
    task_context,
)
from services.processor.metrics import ACK_ERRORS, RETURNED, processed
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Back, Done, Verdict

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
        """Delete or give back, and log that; answers whether the queue has taken it."""
        await self._leases.let_go(lease)
        with task_context(lease.message):
            if isinstance(verdict, Done):
                processed(verdict.outcome).inc()
                try:
                    return await self._delete(lease)
                finally:  # the task is concluded, also where the process ends before the queue has answered
                    log_concluded(lease, verdict.outcome)
            if isinstance(verdict, Back):
                processed("returned").inc()
                return await self._give_back(lease, verdict)
            processed("lost").inc()
            await self._note_release(lease.message)
            log_lease_lost(lease)
        return True

    async def give_back(self, lease: Lease, verdict: Back) -> bool:
        """Make a message that has not started visible again; without SQS it comes back when its lease is over."""
        await self._leases.let_go(lease)
        with task_context(lease.message):
            return await self._give_back(lease, verdict)

    async def _give_back(self, lease: Lease, verdict: Back) -> bool:
        RETURNED.labels(verdict.reason).inc()
        if verdict.reason != "isolated":
            await self._note_release(lease.message)
        try:
            await self._returns.submit(Visibility(lease.message.receipt_handle, verdict.seconds))
        except (Transient, PermanentError) as error:
            log_not_requeued(lease, verdict, str(error))
            return False
        except asyncio.CancelledError:
            log_not_requeued(lease, verdict, "the process ended first")
            raise
        log_requeued(lease, verdict)
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
