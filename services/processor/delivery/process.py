"""Processes one message, from its receipt to its outcome: parse, look up, lock, run, conclude."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from notification_api import PermanentError, TransientError
from services.common.aws.task_queue import ReceivedMessage
from services.common.error_text import describe_traceback
from services.common.messages.task_message import EXPIRES_AT, TRACEPARENT, MalformedTask, task_id_of
from services.common.telemetry.spans import Span, SpanKind
from services.common.telemetry.tracing import span
from services.processor.dead_letter_message import DeadLetterReason
from services.processor.delivery.attempt_runner import AttemptRunner, dead_letter_reason
from services.processor.delivery.attempts import Attempts, LastAttempt, PastAttempts
from services.processor.delivery.cancel_watch import CancelWatch
from services.processor.delivery.conclude import Concluder
from services.processor.delivery.delivery import Delivery
from services.processor.delivery.retry_policy import Failure, RetryPolicies
from services.processor.delivery.task_lock import TaskLock
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Acknowledge, Outcome, Requeue
from services.processor.receiver.task_log import EXPECTED_RESULTS, task_context

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class DeliveryProcessor:
    """Processes messages and returns the outcome of each. The acknowledger deletes or requeues the message."""

    attempt_runner: AttemptRunner
    breaker: CircuitBreaker
    concluder: Concluder
    attempts: Attempts
    cancels: CancelWatch
    task_lock: TaskLock
    policies: RetryPolicies
    receive_wait_seconds: int
    max_receive_count: int | None = None
    """Deliveries after which SQS itself moves a message to the dead-letter queue, if that is known."""

    def can_requeue_unstarted(self, message: ReceivedMessage) -> bool:
        """Return whether a message can be requeued before its start without costing the task an attempt."""
        return not self._is_last_delivery(message) and self.policies.of(message).can_requeue_unstarted(
            message.receive_count
        )

    async def process_message(self, lease: Lease) -> Outcome:
        """Process one message; an error of the processor itself is an outcome, too."""
        message = lease.message
        if message.receive_count > 1 and message.message_id in self.concluder.concluded:
            with suppress(MalformedTask):
                lease.task = Delivery.parse(lease).key
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
                policy = self.policies.of(message)
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
                        delivery = await self.attempt_runner.with_past(delivery)
                        return await self.attempt_runner.run(delivery)
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
                if lease.task is not None and self.cancels.is_requested(lease.task):
                    delivery = Delivery.parse(lease)
                    if self.concluder.find_pending(delivery) is None:
                        return await self.concluder.conclude_cancelled(delivery, "running")
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

    async def note_release(self, lease: Lease) -> None:
        """Note that this process has not died, and that no attempt has started.

        Without the first the last permitted delivery is isolated, without the second a task does not expire.
        """
        message = lease.message
        is_unstarted = lease.attempt is None and message.receive_count == 1
        may_expire = is_unstarted and EXPIRES_AT in message.attributes
        if may_expire or self.policies.of(message).is_last(message.receive_count + 1):
            await self.attempts.note_release(message, is_unstarted=is_unstarted)

    async def _fail_internally(self, delivery: Delivery, error: Exception) -> Outcome:
        """Count an error of the processor itself as a failed attempt; a stored final notification is kept."""
        deliveries = delivery.message.receive_count
        if self.concluder.is_stored(delivery):
            logger.error(
                "a notification could not be delivered",
                extra={"action": "process", "exception": describe_traceback(error)},
            )
            return Requeue(self.policies.of(delivery.message).backoff_seconds(deliveries), Failure.INTERNAL.value)
        if delivery.past.failed == 0 and deliveries > 1:
            delivery = delivery.with_past(PastAttempts(deliveries - 1, LastAttempt.UNAVAILABLE))
        return await self.attempt_runner.fail(delivery, error, Failure.INTERNAL)

    def _dependency_backoff_seconds(self, message: ReceivedMessage) -> int:
        """While receiving is paused, a requeued message stays hidden until the open polls end: one would receive it."""
        pause = self.policies.of(message).backoff_seconds(message.receive_count)
        return pause + self.receive_wait_seconds + 1 if self.breaker.is_open else pause


def _reason_of_last(outcome: Outcome) -> DeadLetterReason:
    if not isinstance(outcome, Requeue) or outcome.reason not in set(Failure):
        return DeadLetterReason.POISON_PILL
    return dead_letter_reason(Failure(outcome.reason))


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
