"""Runs one attempt of a task: whether its handler runs, the run, and what follows from its end."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from functools import partial

from notification_api import Task, TransientError
from services.common.error_text import describe_error, describe_traceback
from services.common.telemetry.tracing import exemplar, span
from services.processor.dead_letter_message import DeadLetterReason, is_redriven
from services.processor.delivery.attempts import Attempts, LastAttempt
from services.processor.delivery.cancel_watch import CancelWatch
from services.processor.delivery.conclude import Concluder
from services.processor.delivery.delivery import Delivery
from services.processor.delivery.isolation import Isolation
from services.processor.delivery.retry_policy import Failure, RetryPolicies, failure_of
from services.processor.handlers.errors import HandlerCancelled, ResultTooLargeError, public_text
from services.processor.handlers.runner import Runner
from services.processor.handlers.task_types import TaskType, TaskTypes
from services.processor.metrics import HANDLER_ERRORS, ISOLATIONS, queue_wait_seconds, task_seconds
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.notifier import Notifier, ProgressPublisher
from services.processor.notify.pending import PendingNotification
from services.processor.notify.status_writer import RunStatus, StatusWriter
from services.processor.receiver.outcome import LeaseLost, Outcome, Requeue

logger = logging.getLogger(__name__)

READ_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRunner:
    """Runs attempts."""

    runner: Runner
    types: TaskTypes
    notifier: Notifier
    statuses: StatusWriter
    cancels: CancelWatch
    breaker: CircuitBreaker
    concluder: Concluder
    attempts: Attempts
    isolation: Isolation
    policies: RetryPolicies
    lease_margin_seconds: float
    """For how long a lease is extended beyond the time limit of the handler."""

    async def run(self, delivery: Delivery) -> Outcome:
        """Run the handler, unless something forbids it, and conclude the task by what it returns or raises."""
        outcome = await self._outcome_without_run(delivery)
        if outcome is not None:
            return outcome
        failed = delivery.past.failed
        try:
            delivery, is_isolated = await self._isolate(delivery)
            failed = delivery.past.failed
            delivery = self._with_attempt(delivery)
            try:
                pending = await self._run_handler(delivery, is_isolated=is_isolated)
            except HandlerCancelled:
                if not delivery.lease.is_over:
                    return await self.concluder.conclude_cancelled(delivery, "running")
            except Exception as error:  # noqa: BLE001 — a handler may raise anything; it is classified and logged
                failed += 1
                if not delivery.lease.is_over:
                    return await self.fail(delivery, error, failure_of(error))
                self._report_failure(delivery, error, failure_of(error))
            if delivery.lease.is_over:
                await self._store_or_note_end(delivery, failed)
                return LeaseLost()
            return await self.concluder.conclude_finished(delivery, pending)
        except (asyncio.CancelledError, TransientError):  # a drain, a lost lease, or an undelivered notification
            await self._store_or_note_end(delivery, failed)
            raise

    async def _outcome_without_run(self, delivery: Delivery) -> Outcome | None:
        """Return the outcome of a delivery whose handler must not run."""
        if is_redriven(delivery.message):  # a person has sent it again
            self.cancels.forget_older(delivery.key, delivery.message.sent_ms)
        if self.cancels.is_requested(delivery.key):
            return await self.concluder.conclude_cancelled(delivery, "queued")
        if delivery.is_expired(_now_ms()):
            return await self.concluder.conclude_expired(delivery)
        if self.types.get(delivery.task.type) is None:
            detail = f"no handler is registered for the type {delivery.task.type}"
            return await self.concluder.conclude_failed(delivery, DeadLetterReason.UNKNOWN_TYPE, detail)
        return await self._outcome_of_past(delivery) if delivery.message.receive_count > 1 else None

    async def _outcome_of_past(self, delivery: Delivery) -> Outcome | None:
        """Return the outcome of a redelivery whose handler must not run, because of earlier attempts."""
        past, deliveries, policy = delivery.past, delivery.message.receive_count, self.policies.of(delivery.message)
        if policy.is_poison_pill(past, deliveries):
            detail = "the process of the last permitted attempt died"
            return await self.concluder.conclude_failed(delivery, DeadLetterReason.POISON_PILL, detail)
        if past.last is LastAttempt.ENDED and policy.is_last(past.failed):
            detail = "the last permitted attempt failed, and its end could not be concluded"
            return await self.concluder.conclude_failed(delivery, DeadLetterReason.MAX_ATTEMPTS, detail)
        needs_isolation = policy.needs_isolation(past, deliveries)
        if needs_isolation and self.isolation.is_full and policy.can_requeue_unstarted(deliveries):
            return Requeue(self.isolation.requeue_seconds(past.skipped), "isolated")  # other replicas may be idle
        return None

    def _with_attempt(self, delivery: Delivery) -> Delivery:
        policy = self.policies.of(delivery.message)
        attempt = policy.attempt_number(delivery.past, delivery.message.receive_count)
        return delivery.with_attempt(attempt, policy.max_attempts, _now_ms())

    async def with_past(self, delivery: Delivery) -> Delivery:
        """Read what is known of earlier attempts.

        Waits for the end of an outage of Momento if the task would be taken for a poison pill only because of it.

        :raises PermanentError: when the cache refuses to answer.
        """
        message = delivery.message
        if message.receive_count == 1:
            return delivery
        past = await self.attempts.read(message)
        policy = self.policies.of(message)
        if past.last is not LastAttempt.UNAVAILABLE or not policy.is_poison_pill(past, message.receive_count):
            return delivery.with_past(past)
        while True:
            await self.breaker.wait_until_available()
            try:
                return delivery.with_past(await self.attempts.read_or_raise(message))
            except TransientError as error:
                logger.warning("earlier attempts cannot be read yet: %s", error, extra={"action": "attempts"})
            await asyncio.sleep(READ_RETRY_SECONDS)

    async def _isolate(self, delivery: Delivery) -> tuple[Delivery, bool]:
        """Wait for the turn of a task that may have killed its process; returns whether it runs isolated."""
        past = delivery.past
        if not self.policies.of(delivery.message).needs_isolation(past, delivery.message.receive_count):
            return delivery, False
        await self.isolation.acquire(crashed_isolated=past.last is LastAttempt.STARTED_ISOLATED)
        try:
            now = await self.attempts.read(delivery.message)
        except BaseException:
            await self.isolation.release()
            raise
        if now.last is not LastAttempt.ENDED:
            ISOLATIONS.labels("ran").inc()
            return delivery, True
        await self.isolation.release()  # a process that was only slow has noted the end meanwhile
        ISOLATIONS.labels("cleared").inc()
        return delivery.with_past(now), False

    async def _run_handler(self, delivery: Delivery, *, is_isolated: bool) -> PendingNotification:
        """Run the handler and return the task's final notification.

        :raises HandlerCancelled: when the user has cancelled the task, and the handler has stopped.
        """
        lease, task_type = delivery.lease, self.types[delivery.task.type]
        try:
            await self._note_start(delivery, is_isolated=is_isolated)
            lease.limit(task_type.timeout_seconds + self.lease_margin_seconds)
            keep = partial(self.concluder.keep_unpublished, delivery)
            started = time.perf_counter()
            with (
                self.cancels.watching(delivery.key) as requested,
                self.statuses.running(delivery.key, delivery.details) as status,
            ):
                task = self._task_for_handler(delivery, task_type, status)
                try:
                    with span("handle"):
                        result = await self.runner.run(
                            task, task_type.call, task_type.timeout_seconds, keep, cancel_requested=requested
                        )
                        pending = keep(result)
                except HandlerCancelled:
                    task_seconds("cancelled", lease.task_type).observe(time.perf_counter() - started, exemplar())
                    raise
                except Exception:
                    task_seconds("failed", lease.task_type).observe(time.perf_counter() - started, exemplar())
                    raise
                finally:
                    lease.handler_seconds = time.perf_counter() - started
            task_seconds("finished", lease.task_type).observe(lease.handler_seconds, exemplar())
            return pending
        finally:
            if is_isolated:
                await self.isolation.release()

    async def _note_start(self, delivery: Delivery, *, is_isolated: bool) -> None:
        """Note in the cache that the attempt of a redelivery starts, and measure the wait of a new task.

        If the handler finishes, the history says so, and no note of the end is needed.
        """
        message, past, lease = delivery.message, delivery.past, delivery.lease
        if message.receive_count > 1:
            start = LastAttempt.STARTED_ISOLATED if is_isolated else LastAttempt.STARTED
            await self.attempts.note(message, past.failed, start, skipped=past.skipped)
        else:
            lease.wait_seconds = max(0.0, time.time() - delivery.available_ms / 1000)
            queue_wait_seconds(lease.task_type).observe(lease.wait_seconds, exemplar())

    def _task_for_handler(self, delivery: Delivery, task_type: TaskType, status: RunStatus) -> Task:
        task, details = delivery.task, delivery.details
        assert details.attempt is not None  # noqa: S101 — set when the attempt began
        return Task(
            id=task.task_id,
            type=task.type,
            user_id=task.user_id,
            data=delivery.fields["data"],
            fields=delivery.fields,
            attempt=details.attempt,
            max_attempts=task_type.max_attempts,
            deadline=time.time() + task_type.timeout_seconds,
            publish_progress=ProgressPublisher(self.notifier, status, delivery.key, details),
        )

    async def fail(self, delivery: Delivery, error: Exception, failure: Failure) -> Outcome:
        """Count a failed attempt, and requeue the task or dead-letter it."""
        attempt = self._report_failure(delivery, error, failure)
        await self._note_end(delivery, delivery.past.failed + 1)
        policy = self.policies.of(delivery.message)
        if not policy.should_dead_letter(failure, attempt):
            pause = policy.backoff_seconds(attempt)
            self._announce_retry(delivery, attempt + 1, pause)
            return Requeue(pause, failure.value)
        return await self.concluder.conclude_failed(
            delivery,
            dead_letter_reason(failure, error),
            describe_error(error),
            error=public_text(error),
            failure=Failure.TIMEOUT.value if failure is Failure.TIMEOUT else None,
        )

    def _announce_retry(self, delivery: Delivery, attempt: int, pause_seconds: int) -> None:
        """Let the user know of the next attempt. This is best effort, and the queue does not wait for it."""
        details = replace(
            delivery.details,
            attempt=attempt,
            max_attempts=self.policies.of(delivery.message).max_attempts,
            started_at_ms=None,
        )
        next_at_ms = _now_ms() + pause_seconds * 1_000
        self.statuses.retrying(delivery.key, details, next_at_ms)
        self.notifier.announce_retry(delivery.key, details, next_at_ms)

    def _report_failure(self, delivery: Delivery, error: Exception, failure: Failure) -> int:
        """Log and count a failed attempt; returns its number."""
        policy = self.policies.of(delivery.message)
        attempt = policy.attempt_number(delivery.past, delivery.message.receive_count)
        HANDLER_ERRORS.labels(failure.value, delivery.lease.task_type).inc()
        # Formatted here, because logging may fail to format a handler's error.
        about = {"action": "handle", "failure": failure.value, "attempt": attempt}
        logger.warning("handler failed", extra={**about, "exception": describe_traceback(error)})
        return attempt

    async def _store_or_note_end(self, delivery: Delivery, failed: int) -> None:
        """Record that the attempt has ended: by its final notification if there is one, else by a note."""
        if not await self.concluder.store_before_end(delivery):
            await self._note_end(delivery, failed)

    async def _note_end(self, delivery: Delivery, failed: int) -> None:
        try:
            await self.attempts.note(delivery.message, failed, LastAttempt.ENDED, late=delivery.lease.is_over)
        except Exception:  # the outcome of the task must not depend on it
            logger.exception("the end of an attempt could not be noted", extra={"action": "attempts"})


def dead_letter_reason(failure: Failure, error: Exception | None = None) -> DeadLetterReason:
    """Return the reason of a dead letter."""
    if type(error) is ResultTooLargeError:
        return DeadLetterReason.RESULT_TOO_LARGE
    if failure is Failure.PERMANENT:
        return DeadLetterReason.PERMANENT
    return DeadLetterReason.INTERNAL_ERROR if failure is Failure.INTERNAL else DeadLetterReason.MAX_ATTEMPTS


def _now_ms() -> int:
    return int(time.time() * 1000)
