"""Processes one message, from its receipt to its outcome: parse, look up, lock, run, conclude."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from notification_api import PermanentError, Task, TransientError
from services.common.aws.task_queue import ReceivedMessage
from services.common.error_text import describe_error, describe_traceback
from services.common.messages.task_message import TRACEPARENT, MalformedTask, task_id_of, task_type_of
from services.common.telemetry.spans import Span, SpanKind
from services.common.telemetry.tracing import exemplar, span
from services.processor.dead_letter_message import DeadLetterReason
from services.processor.delivery.attempts import Attempts, LastAttempt, PastAttempts
from services.processor.delivery.cancel_watch import CancelWatch
from services.processor.delivery.conclude import Concluder
from services.processor.delivery.delivery import Delivery
from services.processor.delivery.isolation import Isolation
from services.processor.delivery.retry_policy import Failure, RetryPolicy, failure_of
from services.processor.delivery.task_lock import TaskLock
from services.processor.handlers.errors import HandlerCancelled, ResultTooLargeError, public_text
from services.processor.handlers.runner import Runner
from services.processor.handlers.task_types import TaskType, TaskTypes
from services.processor.metrics import HANDLER_ERRORS, ISOLATIONS, queue_wait_seconds, task_seconds
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.notifier import Notifier, ProgressPublisher
from services.processor.notify.pending import PendingNotification
from services.processor.notify.status_writer import RunStatus, StatusWriter
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Acknowledge, LeaseLost, Outcome, Requeue
from services.processor.receiver.task_log import EXPECTED_RESULTS, task_context

logger = logging.getLogger(__name__)

READ_RETRY_SECONDS = 1.0
UNKNOWN_TYPE = "unknown"
"""The label of all types without a handler, in metrics and logs."""


@dataclass(slots=True, kw_only=True)
class DeliveryProcessor:
    """Processes messages and returns the outcome of each. The acknowledger deletes or requeues the message."""

    runner: Runner
    types: TaskTypes
    notifier: Notifier
    statuses: StatusWriter
    cancels: CancelWatch
    breaker: CircuitBreaker
    concluder: Concluder
    attempts: Attempts
    isolation: Isolation
    task_lock: TaskLock
    policy: RetryPolicy
    """Of messages whose type is not known."""
    policies: Mapping[str, RetryPolicy]
    """By task type."""
    receive_wait_seconds: int
    lease_margin_seconds: float
    """For how long a lease is extended beyond the time limit of the handler."""
    max_receive_count: int | None = None
    """Deliveries after which SQS itself moves a message to the dead-letter queue, if that is known."""

    def label_of(self, message: ReceivedMessage) -> str:
        """Return the task type of a message for metrics and slots; all unknown ones have the same label."""
        name = task_type_of(message.attributes)
        return UNKNOWN_TYPE if self.types.get(name) is None else name

    def policy_of(self, message: ReceivedMessage) -> RetryPolicy:
        """Return the retry policy of a message's type."""
        return self.policies.get(task_type_of(message.attributes), self.policy)

    def can_requeue_unstarted(self, message: ReceivedMessage) -> bool:
        """Return whether a message can be requeued before its start without costing the task an attempt."""
        return not self._is_last_delivery(message) and self.policy_of(message).can_requeue_unstarted(
            message.receive_count
        )

    async def process_message(self, lease: Lease) -> Outcome:
        """Process one message; an error of the processor itself is an outcome, too."""
        message = lease.message
        if message.receive_count > 1 and message.message_id in self.concluder.concluded:
            return Acknowledge("already_acknowledged")
        parent, is_last_attempt = message.attributes.get(TRACEPARENT), False
        with task_context(message), span("process task", SpanKind.CONSUMER, parent=parent) as processed:
            try:
                outcome = await self.process(lease)
            except (TransientError, PermanentError) as error:
                logger.warning(
                    "a step failed, the message is requeued unless this is its last delivery: %s",
                    error,
                    extra={"action": "dependency"},
                )
                outcome = Requeue(self._dependency_backoff_seconds(message), "dependency_error")
            except Exception as error:  # noqa: BLE001 — what could not be counted as a failed attempt
                logger.error(  # noqa: TRY400 — the error may be a handler's, which logging may fail to format
                    "the processor itself failed, the message is requeued unless this is its last delivery",
                    extra={"action": "process", "exception": describe_traceback(error)},
                )
                policy = self.policy_of(message)
                outcome = Requeue(policy.backoff_seconds(message.receive_count), Failure.INTERNAL.value)
                is_last_attempt = policy.is_last(message.receive_count)
            outcome = await self.conclude_if_last(lease, outcome, is_last_attempt=is_last_attempt)
            _describe(processed, message, outcome)
        return outcome

    async def process(self, lease: Lease) -> Outcome:
        """Do what is missing of one delivery.

        :raises TransientError, PermanentError: when a call to SQS or Momento failed.
        """
        try:
            delivery = Delivery.parse(lease)
        except MalformedTask as error:
            return await self.concluder.conclude_malformed(lease, error)
        lease.task = delivery.key
        try:
            known = await self.concluder.find(delivery)
            if known is None:
                async with self.task_lock.hold(delivery):
                    known = None if delivery.is_new else await self.concluder.find(delivery)
                    if known is None:
                        delivery = await self._with_past(delivery)
                        return await self._attempt(delivery)
            return await self.concluder.conclude_duplicate(delivery, known)
        except (TransientError, PermanentError):
            raise
        except Exception as error:  # noqa: BLE001 — the processor's own: it counts as an attempt, like a handler's
            return await self._fail_internally(delivery, error)

    async def conclude_if_last(self, lease: Lease, outcome: Outcome, *, is_last_attempt: bool = False) -> Outcome:
        """Conclude a message that SQS would move without a reason and a notification instead of delivering it again.

        :param is_last_attempt: the processor itself failed at the last permitted attempt, so it is concluded as well.
        """
        message = lease.message
        if isinstance(outcome, Acknowledge):
            return outcome
        if message.message_id in self.concluder.concluded:
            return Acknowledge("finished")
        if not (self._is_last_delivery(message) or is_last_attempt):
            return outcome
        try:
            with task_context(message):
                return await self.concluder.conclude_last_delivery(
                    lease, _reason_of_last(outcome), "the queue permits no further delivery"
                )
        except Exception as error:  # noqa: BLE001 — the message is requeued then, or left alone
            logger.error(  # noqa: TRY400 — as above
                "a task at its last delivery could not be concluded",
                extra={"action": "conclude", "exception": describe_traceback(error)},
            )
            return outcome

    def _is_last_delivery(self, message: ReceivedMessage) -> bool:
        """Return whether SQS moves the message to the dead-letter queue instead of delivering it again."""
        return self.max_receive_count is not None and message.receive_count >= self.max_receive_count

    def acknowledged(self, lease: Lease) -> None:
        """Note that a message is deleted, so that it is not delivered again."""
        self.concluder.concluded.discard(lease.message.message_id)
        if lease.task is not None:
            self.cancels.note_concluded(lease.task)

    async def note_release(self, message: ReceivedMessage) -> None:
        """Note that this process has not died. Without a note the last permitted delivery is isolated."""
        if self.policy_of(message).is_last(message.receive_count + 1):
            await self.attempts.note_unstarted(message)

    async def _attempt(self, delivery: Delivery) -> Outcome:
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
                    return await self._fail(delivery, error, failure_of(error))
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
        past, deliveries, policy = delivery.past, delivery.message.receive_count, self.policy_of(delivery.message)
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
        policy = self.policy_of(delivery.message)
        attempt = policy.attempt_number(delivery.past, delivery.message.receive_count)
        return delivery.with_attempt(attempt, policy.max_attempts, _now_ms())

    async def _with_past(self, delivery: Delivery) -> Delivery:
        """Read what is known of earlier attempts.

        Waits for the end of an outage of Momento if the task would be taken for a poison pill only because of it.

        :raises PermanentError: when the cache refuses to answer.
        """
        message = delivery.message
        if message.receive_count == 1:
            return delivery
        past = await self.attempts.read(message)
        policy = self.policy_of(message)
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
        if not self.policy_of(delivery.message).needs_isolation(past, delivery.message.receive_count):
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

    async def _fail(self, delivery: Delivery, error: Exception, failure: Failure) -> Outcome:
        """Count a failed attempt, and requeue the task or dead-letter it."""
        attempt = self._report_failure(delivery, error, failure)
        await self._note_end(delivery, delivery.past.failed + 1)
        policy = self.policy_of(delivery.message)
        if not policy.should_dead_letter(failure, attempt):
            pause = policy.backoff_seconds(attempt)
            self._announce_retry(delivery, attempt + 1, pause)
            return Requeue(pause, failure.value)
        return await self.concluder.conclude_failed(
            delivery,
            _reason(failure, error),
            describe_error(error),
            error=public_text(error),
            failure=Failure.TIMEOUT.value if failure is Failure.TIMEOUT else None,
        )

    def _announce_retry(self, delivery: Delivery, attempt: int, pause_seconds: int) -> None:
        """Let the user know of the next attempt. This is best effort, and the queue does not wait for it."""
        details = replace(
            delivery.details,
            attempt=attempt,
            max_attempts=self.policy_of(delivery.message).max_attempts,
            started_at_ms=None,
        )
        next_at_ms = _now_ms() + pause_seconds * 1_000
        self.statuses.retrying(delivery.key, details, next_at_ms)
        self.notifier.announce_retry(delivery.key, details, next_at_ms)

    def _report_failure(self, delivery: Delivery, error: Exception, failure: Failure) -> int:
        """Log and count a failed attempt; returns its number."""
        policy = self.policy_of(delivery.message)
        attempt = policy.attempt_number(delivery.past, delivery.message.receive_count)
        HANDLER_ERRORS.labels(failure.value, delivery.lease.task_type).inc()
        # Formatted here, because logging may fail to format a handler's error.
        about = {"action": "handle", "failure": failure.value, "attempt": attempt}
        logger.warning("handler failed", extra={**about, "exception": describe_traceback(error)})
        return attempt

    async def _fail_internally(self, delivery: Delivery, error: Exception) -> Outcome:
        """Count an error of the processor itself as a failed attempt; a stored final notification is kept."""
        deliveries = delivery.message.receive_count
        if self.concluder.is_stored(delivery):
            logger.error(
                "a notification could not be delivered",
                extra={"action": "process", "exception": describe_traceback(error)},
            )
            return Requeue(self.policy_of(delivery.message).backoff_seconds(deliveries), Failure.INTERNAL.value)
        if delivery.past.failed == 0 and deliveries > 1:
            delivery = delivery.with_past(PastAttempts(deliveries - 1, LastAttempt.UNAVAILABLE))
        return await self._fail(delivery, error, Failure.INTERNAL)

    async def _store_or_note_end(self, delivery: Delivery, failed: int) -> None:
        """Record that the attempt has ended: by its final notification if there is one, else by a note."""
        if not await self.concluder.store_before_end(delivery):
            await self._note_end(delivery, failed)

    async def _note_end(self, delivery: Delivery, failed: int) -> None:
        try:
            await self.attempts.note(delivery.message, failed, LastAttempt.ENDED, late=delivery.lease.is_over)
        except Exception:  # the outcome of the task must not depend on it
            logger.exception("the end of an attempt could not be noted", extra={"action": "attempts"})

    def _dependency_backoff_seconds(self, message: ReceivedMessage) -> int:
        """While receiving is paused, a requeued message stays hidden until the open polls end: one would receive it."""
        pause = self.policy_of(message).backoff_seconds(message.receive_count)
        return pause + self.receive_wait_seconds + 1 if self.breaker.is_open else pause


def _reason_of_last(outcome: Outcome) -> DeadLetterReason:
    if not isinstance(outcome, Requeue) or outcome.reason not in set(Failure):
        return DeadLetterReason.POISON_PILL
    return _reason(Failure(outcome.reason))


def _reason(failure: Failure, error: Exception | None = None) -> DeadLetterReason:
    if type(error) is ResultTooLargeError:
        return DeadLetterReason.RESULT_TOO_LARGE
    if failure is Failure.PERMANENT:
        return DeadLetterReason.PERMANENT
    return DeadLetterReason.INTERNAL_ERROR if failure is Failure.INTERNAL else DeadLetterReason.MAX_ATTEMPTS


def _now_ms() -> int:
    return int(time.time() * 1000)


def _describe(processed: Span, message: ReceivedMessage, outcome: Outcome) -> None:
    if processed.traceparent is None:  # tracing is off
        return
    if isinstance(outcome, Acknowledge):
        result = outcome.result
    else:
        result = "requeued" if isinstance(outcome, Requeue) else "lease_lost"
    processed.set(
        {
            "messaging.system": "aws_sqs",
            "messaging.operation.type": "process",
            "messaging.message.id": message.message_id,
            "task.id": task_id_of(message.attributes, message.message_id),
            "task.delivery": message.receive_count,
            "task.outcome": result,
        }
    )
    if result not in EXPECTED_RESULTS:
        processed.fail(outcome.reason if isinstance(outcome, Requeue) else result)
