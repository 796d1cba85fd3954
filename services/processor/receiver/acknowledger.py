"""Carries out outcomes on the queue: deletes or requeues messages, in batches of ten or after a few milliseconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from notification_api import PermanentError, TransientError
from services.common.aws.task_queue import TaskQueue, Visibility
from services.common.batcher import Batcher, BatchPolicy
from services.processor.metrics import ACK_ERRORS, REQUEUED, processed
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Acknowledge, Outcome, Requeue
from services.processor.receiver.task_log import (
    log_concluded,
    log_lease_lost,
    log_not_requeued,
    log_requeued,
    task_context,
)

logger = logging.getLogger(__name__)

LINGER_SECONDS = 0.008
_POLICY = BatchPolicy(
    idle_linger_seconds=LINGER_SECONDS,
    busy_linger_seconds=LINGER_SECONDS,
    max_in_flight=8,
    max_waiting=50_000,
    attempts=5,
)


async def _do_nothing(_: Lease) -> None:
    pass


class Acknowledger:
    """Deletes and requeues messages, once no heartbeat is under way that could follow.

    :param before_release: called before a message may be received again, except for one that is to run isolated.
    """

    def __init__(
        self,
        queue: TaskQueue,
        leases: LeaseKeeper,
        before_release: Callable[[Lease], Awaitable[None]] = _do_nothing,
    ) -> None:
        self._leases = leases
        self._before_release = before_release
        self._deletions: Batcher[str] = Batcher(queue.delete, _POLICY)
        self._requeues: Batcher[Visibility] = Batcher(queue.change_visibility, _POLICY)

    async def acknowledge(self, lease: Lease, outcome: Outcome) -> bool:
        """Carry out the outcome of a delivery that was processed, and log it; returns whether the queue has done so."""
        await self._leases.release(lease)
        with task_context(lease.message):
            if isinstance(outcome, Acknowledge):
                processed(outcome.result, lease.task_type).inc()
                try:
                    return await self._delete(lease)
                finally:  # the task is concluded even if the process ends before the queue has answered
                    log_concluded(lease, outcome.result)
            if isinstance(outcome, Requeue):
                processed("requeued", lease.task_type).inc()
                return await self._requeue(lease, outcome)
            processed("lease_lost", lease.task_type).inc()
            await self._before_release(lease)
            log_lease_lost(lease)
        return True

    async def requeue_unstarted(self, lease: Lease, outcome: Requeue) -> bool:
        """Requeue a message that was not processed; if SQS cannot be reached, it is visible when its lease expires."""
        await self._leases.release(lease)
        with task_context(lease.message):
            return await self._requeue(lease, outcome)

    async def _requeue(self, lease: Lease, outcome: Requeue) -> bool:
        REQUEUED.labels(outcome.reason).inc()
        if outcome.reason != "isolated":
            await self._before_release(lease)
        try:
            await self._requeues.submit(Visibility(lease.message.receipt_handle, outcome.delay_seconds))
        except (TransientError, PermanentError) as error:
            log_not_requeued(lease, outcome, str(error))
            return False
        except asyncio.CancelledError:
            log_not_requeued(lease, outcome, "the process ended first")
            raise
        log_requeued(lease, outcome)
        return True

    async def close(self) -> None:
        """Send everything that waits to be sent."""
        await self._deletions.close()
        await self._requeues.close()

    async def _delete(self, lease: Lease) -> bool:
        try:
            await self._deletions.submit(lease.message.receipt_handle)
        except (TransientError, PermanentError) as error:
            ACK_ERRORS.inc()
            logger.warning(
                "message not deleted, it will be delivered again: %s", error, extra={"action": "acknowledge"}
            )
            return False
        return True
