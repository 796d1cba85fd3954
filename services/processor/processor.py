"""Connects the parts of the processor: poller, pool, lease keeper and acknowledger."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from services.common.aws.task_queue import OutgoingMessage, TaskQueue
from services.common.batcher import Batcher, BatchPolicy
from services.common.lifecycle import Lifecycle
from services.common.momento.gateway import Momento
from services.common.momento.history import NotificationHistory
from services.common.momento.results import Results
from services.common.momento.task_status import TaskStatuses
from services.processor.cache_guard import CacheGuard
from services.processor.delivery.attempt_runner import AttemptRunner
from services.processor.delivery.attempts import Attempts
from services.processor.delivery.cancel_watch import CancelWatch
from services.processor.delivery.conclude import ConcludedMessages, Concluder
from services.processor.delivery.isolation import Isolation
from services.processor.delivery.process import DeliveryProcessor
from services.processor.delivery.retry_policy import UNKNOWN_TYPE, RetryPolicies, RetryPolicy
from services.processor.delivery.task_lock import TaskLock
from services.processor.handlers.runner import HANDLER_STOP_SECONDS, Runner
from services.processor.handlers.task_types import TaskType, TaskTypes
from services.processor.metrics import IN_PROCESS, RUNNING, SLOTS, WAITING, WITHOUT_SLOT
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.notifier import Notifier
from services.processor.notify.pending import PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.notify.status_writer import StatusWriter
from services.processor.pool import DRAIN_REQUEUE_SECONDS, Pool
from services.processor.receiver.acknowledger import Acknowledger
from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.poller import Poller
from services.processor.receiver.redrive_policy import max_receive_count, warn_if_too_low
from services.processor.receiver.usable_slots import UsableSlots
from services.processor.settings import ProcessorSettings

logger = logging.getLogger(__name__)

LAST_POLL_SECONDS = 1.0
"""How long open polls, and the messages that they return, are waited for at the end of a drain."""
FLUSH_SECONDS = 1.0
"""How long the last deletions and requeues may take; the tasks that asked for them have been waited for before."""


class Processor:
    """Processes a queue from `running` until the end of its block, which drains."""

    def __init__(
        self,
        settings: ProcessorSettings,
        lifecycle: Lifecycle,
        momento: Momento,
        queue: TaskQueue,
        dead_letter_queue: TaskQueue,
        types: TaskTypes,
    ) -> None:
        self._settings = settings
        self._types = types
        self._lifecycle = lifecycle
        self._queue, self._dead_letter_queue = queue, dead_letter_queue
        self._leases = LeaseKeeper(queue, visibility_seconds=settings.visibility_timeout_seconds)
        self._dead_letters: Batcher[OutgoingMessage] = Batcher(
            dead_letter_queue.send, BatchPolicy(attempts=1), max_bytes=lambda: dead_letter_queue.limit.batch_bytes
        )
        self._capacity_changed = asyncio.Event()
        limits = {one.name: one.concurrency for one in types.values() if one.concurrency is not None}
        self._slots: FairSlots[Lease] = FairSlots(settings.concurrency, settings.user_share, limits)
        # Beyond the limit more than half of the slots would be taken by abandoned handlers.
        self._runner = Runner(
            limit=settings.concurrency // 2 + 1,
            on_limit=lifecycle.fail,
            type_limits={one.name: one.threads // 2 + 1 for one in types.values() if one.threads is not None},
        )
        stores, guard = settings.history_retention_seconds > 0, CacheGuard()
        retention_seconds = settings.history_retention_seconds
        entries = NotificationHistory(momento, retention_seconds) if stores else None
        results = Results(momento, retention_seconds) if stores else None
        self._history = ResilientHistory(entries, results, guard)
        self._cancels = CancelWatch(entries, self._is_active)
        self._breaker = CircuitBreaker(momento, on_closed=self._resume, stores=stores)
        self._deliveries = self._delivery_processor(momento if stores else None, guard, momento)
        self._acknowledger = Acknowledger(queue, self._leases, self._deliveries.note_release)
        self._pool = Pool(self._deliveries, self._slots, self._leases, self._acknowledger, self._capacity_changed)
        self._poller = Poller(
            queue,
            self._slots,
            self._pool.admit,
            self._capacity_changed,
            wait_seconds=settings.receive_wait_seconds,
            visibility_seconds=settings.visibility_timeout_seconds,
            on_reached=self._queue_reached,
            is_paused=lambda: self._breaker.is_open,
        )
        self._show_slots(limits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Process for the length of the block, then drain. Leases are extended until the end of the drain."""
        self._lifecycle.add_check("queue", self._poller.readiness_problem)
        self._lifecycle.add_check("breaker", self._breaker.readiness_problem)
        self._lifecycle.add_warning("receiving", self._breaker.pause_reason)
        for source in (self._queue.faults.current, self._dead_letter_queue.faults.current, self._runner.faults):
            self._lifecycle.add_faults(source)
        background = self._lifecycle.background
        async with (
            background.running("leases", self._leases.run()),
            background.running("breaker", self._breaker.run()),
            background.running("cancels", self._cancels.run()),
            background.running("poller", self._poller.run()),
        ):
            try:
                yield
            finally:
                await self._drain()
                await self._cancels.close()

    def _delivery_processor(self, cache: Momento | None, guard: CacheGuard, momento: Momento) -> DeliveryProcessor:
        settings, background = self._settings, self._lifecycle.background
        pending = PendingNotifications()
        notifier = Notifier(
            momento,
            self._history,
            pending,
            self._breaker,
            background,
            settings.notification_format,
            notify_seconds=settings.notify_seconds,
            progress_per_second=settings.progress_per_second,
        )
        statuses = StatusWriter(
            TaskStatuses(cache, settings.history_retention_seconds) if cache is not None else None,
            guard,
            background,
            per_second=settings.status_writes_per_second,
        )
        concluder = Concluder(
            pending=pending,
            concluded=ConcludedMessages(),
            history=self._history,
            notifier=notifier,
            statuses=statuses,
            dead_letters=self._dead_letters,
            background=background,
        )
        attempts = Attempts(cache, guard, background)
        policies = RetryPolicies(
            {name: _policy_of(task_type) for name, task_type in self._types.items()},
            default=RetryPolicy(
                max_attempts=settings.max_attempts,
                base_seconds=settings.backoff_base_seconds,
                cap_seconds=settings.backoff_cap_seconds,
            ),
        )
        return DeliveryProcessor(
            attempt_runner=AttemptRunner(
                runner=self._runner,
                types=self._types,
                notifier=notifier,
                statuses=statuses,
                cancels=self._cancels,
                breaker=self._breaker,
                concluder=concluder,
                attempts=attempts,
                isolation=Isolation(),
                policies=policies,
                lease_margin_seconds=_lease_margin_seconds(settings),
            ),
            breaker=self._breaker,
            concluder=concluder,
            attempts=attempts,
            cancels=self._cancels,
            task_lock=TaskLock(cache, guard, background, ttl_seconds=settings.visibility_timeout_seconds),
            policies=policies,
            receive_wait_seconds=settings.receive_wait_seconds,
        )

    def _is_active(self) -> bool:
        """Return whether tasks run or are received."""
        return self._slots.running > 0 or not self._breaker.is_open

    def _show_slots(self, limits: Mapping[str, int]) -> None:
        slots = self._slots
        SLOTS.set_function(UsableSlots(slots, limits).estimate)
        IN_PROCESS.set_function(lambda: slots.running)
        WAITING.set_function(lambda: slots.waiting)
        WITHOUT_SLOT.set_function(lambda: self._pool.without_slot)
        for name in (*self._types, UNKNOWN_TYPE):
            RUNNING.labels(name).set_function(partial(slots.running_by_type.__getitem__, name))

    def _queue_reached(self, attributes: Mapping[str, str]) -> None:
        self._deliveries.max_receive_count = max_receive_count(attributes)
        warn_if_too_low(attributes, max(one.max_attempts for one in self._types.values()))

    def _resume(self) -> None:
        self._history.resume()
        self._capacity_changed.set()

    async def _drain(self) -> None:
        force_stop = self._lifecycle.force_stop
        ends_at = time.monotonic() + self._settings.service.shutdown_grace_seconds - DRAIN_REQUEUE_SECONDS
        self._pool.begin_drain()
        await self._poller.stop(ends_at - time.monotonic(), force_stop)
        is_clean = await self._pool.drain(ends_at - time.monotonic(), force_stop)
        # An open poll may receive what was just requeued; cancelled, it would hide that until the lease expires.
        may_cancel = force_stop.is_set() and not self._pool.has_requeued
        await self._poller.cancel_polls(0 if may_cancel else LAST_POLL_SECONDS)
        await self._pool.wait_until_acknowledged(LAST_POLL_SECONDS)
        is_clean = await self._flush() and is_clean
        if not is_clean or self._runner.abandoned:
            self._lifecycle.mark_forced()

    async def _flush(self) -> bool:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._acknowledger.close()
                await self._dead_letters.close()
        except TimeoutError:
            logger.error(  # noqa: TRY400
                "the last deletions and requeues did not end in time", extra={"action": "drain"}
            )
            return False
        return True


def _lease_margin_seconds(settings: ProcessorSettings) -> float:
    """Return the time to stop a handler and to notify."""
    return HANDLER_STOP_SECONDS + settings.notify_seconds + settings.visibility_timeout_seconds


def _policy_of(task_type: TaskType) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=task_type.max_attempts,
        base_seconds=task_type.backoff_base_seconds,
        cap_seconds=task_type.backoff_cap_seconds,
    )
