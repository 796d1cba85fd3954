"""The processor put together: one poller, one pool, one lease keeper, one settlement."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from services.common.aws.task_queue import OutgoingMessage, ReceivedMessage, TaskQueue
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.momento.gateway import Momento
from services.common.momento.history import NotificationHistory
from services.processor.delivery.attempts import Attempts
from services.processor.delivery.conclusion import Conclusion
from services.processor.delivery.isolation import Quarantine
from services.processor.delivery.process import Worker
from services.processor.delivery.task_lock import Claims
from services.processor.handlers.loader import Handler
from services.processor.handlers.runner import STOP_SECONDS as HANDLER_STOP_SECONDS
from services.processor.handlers.runner import Runner
from services.processor.metrics import IN_PROCESS, SLOTS, UNSTORED, WAITING
from services.processor.notify.circuit_breaker import Breaker
from services.processor.notify.history import Record
from services.processor.notify.notifier import Teller
from services.processor.notify.results import Results
from services.processor.pool import STOP_SECONDS, Pool
from services.processor.receiver.acknowledger import Settlement
from services.processor.receiver.fair_slots import Slots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import RetryPolicy
from services.processor.receiver.poller import Poller
from services.processor.receiver.redrive_policy import most_receives, warn_if_sqs_is_first
from services.processor.settings import ProcessorSettings

logger = logging.getLogger(__name__)

LAST_POLL_SECONDS = 1.0
"""How long an open poll, and what it brings, is waited for when there is no more time."""
FLUSH_SECONDS = 1.0
"""How long the last settlements may take; tasks that settle have been waited for before."""


class Processor:
    """Works on a queue from `running` until the end of its block, which drains."""

    def __init__(
        self,
        settings: ProcessorSettings,
        lifecycle: Lifecycle,
        momento: Momento,
        queue: TaskQueue,
        dead_letters: TaskQueue,
        handler: Handler,
    ) -> None:
        self._settings = settings
        self._queue, self._letters = queue, dead_letters
        self._lifecycle = lifecycle
        self._leases = LeaseKeeper(queue, visibility_seconds=settings.visibility_timeout_seconds)
        self._dead_letters: Batcher[OutgoingMessage] = Batcher(
            dead_letters.send, BatchPolicy(attempts=1), max_bytes=lambda: dead_letters.limit.batch_bytes
        )
        slots: Slots[Lease] = Slots(settings.concurrency, settings.user_share)
        # More than half of the slots would be empty ones.
        self._runner = Runner(handler, limit=settings.concurrency // 2 + 1, on_limit=lifecycle.fail)
        stores = settings.history_retention_seconds > 0
        self._record = Record(NotificationHistory(momento, settings.history_retention_seconds) if stores else None)
        self._breaker = Breaker(momento, on_closed=self._resume, stores=stores)
        worker = _worker(settings, lifecycle, momento, self._record, self._breaker, self._runner, self._dead_letters)
        self._settlement = Settlement(queue, self._leases, partial(_note_release, worker))
        self._pool = Pool(worker, slots, self._leases, self._settlement, on_free=self._wake_poller)
        self._poller = Poller(
            queue,
            slots,
            self._pool.accept,
            wait_seconds=settings.receive_wait_seconds,
            visibility_seconds=settings.visibility_timeout_seconds,
            on_reached=self._reached,
            is_paused=lambda: self._breaker.is_open,
        )
        SLOTS.set(settings.concurrency)
        IN_PROCESS.set_function(lambda: slots.running)
        WAITING.set_function(lambda: slots.waiting)
        UNSTORED.set_function(lambda: self._pool.without_slot)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work for the length of the block, then drain. Leases are kept until the very end."""
        self._lifecycle.add_check("queue", self._poller.readiness_problem)
        self._lifecycle.add_check("breaker", self._breaker.readiness_problem)
        self._lifecycle.add_warning("receiving", self._breaker.paused_because)
        for source in (self._queue.faults.current, self._letters.faults.current, self._runner.faults):
            self._lifecycle.add_faults(source)
        background = self._lifecycle.background
        async with (
            background.running("leases", self._leases.run()),
            background.running("breaker", self._breaker.run()),
            background.running("poller", self._poller.run()),
        ):
            try:
                yield
            finally:
                await self._drain()

    def _reached(self, attributes: Mapping[str, str]) -> None:
        self._pool.most_receives = most_receives(attributes)
        warn_if_sqs_is_first(attributes, self._settings.max_attempts)

    def _resume(self) -> None:
        self._record.available()
        self._wake_poller()

    def _wake_poller(self) -> None:
        self._poller.wake()

    async def _drain(self) -> None:
        force_stop = self._lifecycle.force_stop
        ends_at = time.monotonic() + self._settings.service.shutdown_grace_seconds - STOP_SECONDS
        self._pool.begin_drain()
        await self._poller.stop(ends_at - time.monotonic(), force_stop)
        clean = await self._pool.drain(ends_at - time.monotonic(), force_stop)
        await self._poller.cut_off(0 if force_stop.is_set() else LAST_POLL_SECONDS)
        await self._pool.until_settled(LAST_POLL_SECONDS)
        clean = await self._flushed() and clean
        if not clean or self._runner.abandoned:
            self._lifecycle.mark_forced()

    async def _flushed(self) -> bool:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._settlement.close()
                await self._dead_letters.close()
        except TimeoutError:
            logger.error("the queue did not take the last settlements", extra={"action": "drain"})  # noqa: TRY400
            return False
        return True


async def _note_release(worker: Worker, message: ReceivedMessage) -> None:
    """Spare the next delivery isolation, which it gets if it is the last permitted one and nothing is noted."""
    if worker.policy.is_last(message.receive_count + 1):
        await worker.attempts.note_unstarted(message)


def _worker(
    settings: ProcessorSettings,
    lifecycle: Lifecycle,
    momento: Momento,
    record: Record,
    breaker: Breaker,
    runner: Runner,
    dead_letters: Batcher[OutgoingMessage],
) -> Worker:
    remembers, results = settings.history_retention_seconds > 0, Results()
    teller = Teller(
        momento,
        record,
        results,
        breaker,
        settings.notification_format,
        notify_seconds=settings.notify_seconds,
        progress_per_second=settings.progress_per_second,
    )
    return Worker(
        runner=runner,
        teller=teller,
        breaker=breaker,
        conclusion=Conclusion(
            results=results,
            record=record,
            teller=teller,
            dead_letters=dead_letters,
            background=lifecycle.background,
        ),
        attempts=Attempts(momento if remembers else None, record, lifecycle.background),
        quarantine=Quarantine(),
        claims=Claims(
            momento if remembers else None,
            record,
            lifecycle.background,
            ttl_seconds=settings.visibility_timeout_seconds,
        ),
        policy=RetryPolicy(
            max_attempts=settings.max_attempts,
            base_seconds=settings.backoff_base_seconds,
            cap_seconds=settings.backoff_cap_seconds,
        ),
        receive_wait_seconds=settings.receive_wait_seconds,
        max_task_seconds=settings.max_task_seconds,
        longest_hold_seconds=_longest_hold_seconds(settings),
    )


def _longest_hold_seconds(settings: ProcessorSettings) -> float:
    """Leave time, after a handler's own, to stop it and to tell."""
    return (
        settings.max_task_seconds + HANDLER_STOP_SECONDS + settings.notify_seconds + settings.visibility_timeout_seconds
    )
