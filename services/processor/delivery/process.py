"""One delivery from its receipt to its verdict: read, look up, handle, then dead-letter, store and publish."""

import asyncio
import logging
import time
from dataclasses import dataclass

from notification_api import Task
from services.common.aws.task_queue import ReceivedMessage
from services.common.error_text import describe_error, describe_traceback
from services.common.errors import PermanentError, Transient
from services.common.messages.notification import finished
from services.common.messages.task_message import TRACEPARENT, MalformedTask, parse_task, task_id_of
from services.common.telemetry.tracing import Span, SpanKind, exemplar, span
from services.processor.dead_letters.message import Reason
from services.processor.delivery.attempts import Attempts, Last, Past
from services.processor.delivery.conclusion import Conclusion
from services.processor.delivery.delivery import Delivery
from services.processor.delivery.isolation import Quarantine
from services.processor.delivery.task_lock import Claims
from services.processor.delivery.task_log import task_context
from services.processor.handlers.runner import Runner
from services.processor.metrics import HANDLER_ERRORS, ISOLATIONS, QUEUE_WAIT_SECONDS, task_seconds
from services.processor.notify.circuit_breaker import Breaker
from services.processor.notify.notifier import Teller
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import (
    Back,
    Done,
    Failure,
    Lost,
    RetryPolicy,
    Verdict,
    can_be_requeued,
    failure_of,
    is_buried,
    is_killer,
    is_suspect,
)

logger = logging.getLogger(__name__)

BUG = "bug"
"""Why a message is requeued after an error of the processor itself that could not be counted where it happened."""
READ_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Works on deliveries. It settles nothing on the queue: it answers what is to be done with the message."""

    runner: Runner
    teller: Teller
    breaker: Breaker
    conclusion: Conclusion
    attempts: Attempts
    quarantine: Quarantine
    claims: Claims
    policy: RetryPolicy
    receive_wait_seconds: int
    max_task_seconds: float
    longest_hold_seconds: float
    """For how long a lease is extended once work has begun."""

    async def work(self, lease: Lease) -> Verdict:
        """Do whatever is missing of this delivery."""
        message = lease.message
        if message.receive_count > 1 and self.concluded(message) is not None:
            return Done("duplicate")
        task_id, sent = task_id_of(message.attributes, message.message_id), message.attributes.get(TRACEPARENT)
        with task_context(message), span("process task", SpanKind.CONSUMER, parent=sent) as processed:
            verdict = await self._verdict(lease)
            _describe(processed, task_id, message, verdict)
        return verdict

    async def give_up(self, lease: Lease, verdict: Verdict, *, is_last: bool) -> Verdict:
        """Conclude a message that SQS would move away, silently, instead of delivering it again.

        The same goes for a task at its last permitted attempt where the processor itself fails.

        :param is_last: whether this is the last delivery that the queue permits.
        """
        message = lease.message
        if isinstance(verdict, Done):
            return verdict
        if (concluded := self.concluded(message)) is not None:
            return concluded
        is_bug = isinstance(verdict, Back) and verdict.reason == BUG
        if not is_last and not (is_bug and self.policy.is_last(message.receive_count)):
            return verdict
        reason = Reason.INTERNAL if is_bug else _reason_of_last(verdict)
        try:
            return await self.conclusion.give_up(lease, reason, "the queue permits no further delivery")
        except Exception as error:  # noqa: BLE001 — the message is requeued then, or left alone
            logger.error(  # noqa: TRY400 — described without trusting it
                "a task at its last delivery could not be concluded",
                extra={"action": "give-up", "exception": describe_traceback(error)},
            )
            return verdict

    def concluded(self, message: ReceivedMessage) -> Verdict | None:
        """Return the verdict on a message of which nothing but the acknowledgement is left to do."""
        return Done("finished") if self.conclusion.results.is_concluded(message.message_id) else None

    def acknowledged(self, message: ReceivedMessage) -> None:
        """Note that a concluded message is deleted, so that it does not come again."""
        self.conclusion.results.acknowledged(message.message_id)

    async def _verdict(self, lease: Lease) -> Verdict:
        message = lease.message
        try:
            return await self._read(lease)
        except (Transient, PermanentError) as error:
            logger.warning("a step failed, the message is requeued: %s", error, extra={"action": "step"})
            return Back(self.policy.pause_seconds(message.receive_count) + self._until_polls_end(), "step")

    def _until_polls_end(self) -> int:
        """While receiving pauses, a requeued message outlasts the polls that are open, or one would bring it."""
        return self.receive_wait_seconds + 1 if self.breaker.is_open else 0

    async def _read(self, lease: Lease) -> Verdict:
        message = lease.message
        try:
            task, fields = parse_task(message.body, dict(message.attributes), message.message_id)
        except MalformedTask as error:
            return await self.conclusion.unreadable(lease, error)
        delivery = Delivery(lease, task, fields["data"], fields)
        try:
            return await self._known_or_new(delivery)
        except (Transient, PermanentError):
            raise
        except Exception as error:  # noqa: BLE001 — ours: it counts as an attempt, like one of the handler's
            return await self._internal_error(delivery, error)

    async def _known_or_new(self, delivery: Delivery) -> Verdict:
        """Repeat only what is missing of a task that was done already."""
        if self.conclusion.kept(delivery) is not None:
            known = await self.conclusion.known_here(delivery)
            if known is not None:
                return await self.conclusion.again(delivery, known)
        if delivery.is_new:
            return await self._attempt(delivery)
        if (known := await self.conclusion.find(delivery)) is not None:
            return await self.conclusion.again(delivery, known)
        async with self.claims.held(delivery.task.user_id, delivery.task.task_id):
            if (known := await self.conclusion.find(delivery)) is not None:
                return await self.conclusion.again(delivery, known)
            return await self._attempt(delivery)

    async def _attempt(self, delivery: Delivery) -> Verdict:
        if delivery.message.receive_count > 1 and (verdict := await self._unstarted(delivery)) is not None:
            return verdict
        try:
            return await self._tried(delivery)
        except asyncio.CancelledError:  # a drain, or a lost lease; the result first
            await self._store_or_note_end(delivery)
            raise

    async def _unstarted(self, delivery: Delivery) -> Verdict | None:
        """Return the verdict on a redelivery that must not start, by what is noted of the deliveries before it."""
        delivery.past = await self.attempts.past(delivery.message)
        if await self._is_killer(delivery):
            return await self.conclusion.dead_letter(delivery, Reason.DIED, "the last permitted attempt had no end")
        if delivery.past.last is Last.ENDED and self.policy.is_last(delivery.past.failed):
            detail = "the last permitted attempt failed, and its end could not be concluded"
            return await self.conclusion.dead_letter(delivery, Reason.ATTEMPTS, detail)
        if self._is_requeued(delivery):
            return Back(self.quarantine.requeue_seconds(delivery.past.skipped), "isolated")
        return None

    async def _is_killer(self, delivery: Delivery) -> bool:
        """Tell whether the task is given up unrun.

        In an outage of Momento it waits until the outage is over.

        :raises PermanentError: when the cache refuses to answer.
        """
        message = delivery.message
        if is_killer(delivery.past, message.receive_count, self.policy) and delivery.past.last is Last.UNREADABLE:
            delivery.past = await self._read_past(message)
        return is_killer(delivery.past, message.receive_count, self.policy)

    async def _read_past(self, message: ReceivedMessage) -> Past:
        while True:
            await self.breaker.until_works()
            try:
                return await self.attempts.read(message)
            except Transient as error:
                logger.warning("the attempts cannot be read yet: %s", error, extra={"action": "attempts"})
            await asyncio.sleep(READ_AGAIN_SECONDS)

    def _is_requeued(self, delivery: Delivery) -> bool:
        """Tell whether a task that has to run isolated is left to other replicas, so that it holds no slot here."""
        deliveries = delivery.message.receive_count
        is_isolated = is_suspect(delivery.past, deliveries, self.policy)
        return is_isolated and self.quarantine.is_full and can_be_requeued(deliveries, self.policy)

    async def _tried(self, delivery: Delivery) -> Verdict:
        try:
            await self._handled(delivery)
        except Exception as error:  # noqa: BLE001 — a handler may raise anything; it is classified and logged
            if not delivery.lease.over:
                return await self._failed(delivery, error, failure_of(error))
            delivery.past = Past(delivery.past.failed + 1, Last.ENDED)
        if delivery.lease.over:
            await self._store_or_note_end(delivery)
            return Lost()
        try:
            return await self.conclusion.finished(delivery)
        except Transient:
            await self._store_or_note_end(delivery)
            raise

    async def _handled(self, delivery: Delivery) -> None:
        """Run the handler, isolated where the task may have killed its process."""
        past = delivery.past
        if not is_suspect(past, delivery.message.receive_count, self.policy):
            return await self._noted(delivery, Last.BESIDE)
        async with self.quarantine.alone(died_here=past.last is Last.ALONE):
            # Meanwhile a process that was only slow may have noted the end.
            now = await self.attempts.past(delivery.message)
            if now.last is not Last.ENDED:
                ISOLATIONS.labels("ran").inc()
                return await self._noted(delivery, Last.ALONE)
        ISOLATIONS.labels("cleared").inc()
        delivery.past = now
        return await self._noted(delivery, Last.BESIDE)

    async def _noted(self, delivery: Delivery, start: Last) -> None:
        """Run the handler, and leave a note in the cache that the attempt of a redelivery has begun.

        Where it finishes, its history entry says so, and no other note is needed.
        """
        message, past = delivery.message, delivery.past
        if message.receive_count > 1:
            await self.attempts.note(message, past.failed, start, skipped=past.skipped)
        else:
            delivery.lease.wait_seconds = max(0.0, time.time() - message.sent_ms / 1000)
            QUEUE_WAIT_SECONDS.observe(delivery.lease.wait_seconds, exemplar())
        await self._run(delivery)

    async def _run(self, delivery: Delivery) -> None:
        task, lease = delivery.task, delivery.lease
        handed = Task(
            id=task.task_id,
            user_id=task.user_id,
            data=delivery.data,
            fields=delivery.fields,
            attempt=self.policy.attempt(delivery.past, lease.message.receive_count),
            deadline=time.time() + self.max_task_seconds,
            publish_progress=self.teller.progress_of(task.user_id, task.task_id),
        )

        def keep(text: str) -> None:
            delivery.outcome = delivery.result(finished(task.task_id, text, int(time.time() * 1000)))
            self.conclusion.results.keep(delivery.outcome)

        lease.begin(self.longest_hold_seconds)
        lease.attempt = handed.attempt
        started = time.perf_counter()
        try:
            with span("handle"):
                keep(await self.runner.run(handed, self.max_task_seconds, keep))
        except Exception:
            task_seconds("failed").observe(time.perf_counter() - started, exemplar())
            raise
        finally:
            lease.handler_seconds = time.perf_counter() - started
        task_seconds("finished").observe(time.perf_counter() - started, exemplar())

    async def _failed(self, delivery: Delivery, error: Exception, failure: Failure) -> Verdict:
        message, past = delivery.message, delivery.past
        attempt = self.policy.attempt(past, message.receive_count)
        HANDLER_ERRORS.labels(failure.value).inc()
        # Described here, since a logging handler may be an error's victim as well.
        about = {"action": "handle", "failure": failure.value, "attempt": attempt}
        logger.warning("handler failed", extra={**about, "exception": describe_traceback(error)})
        delivery.past = Past(past.failed + 1, Last.ENDED)
        await self._note_end(delivery)
        if not is_buried(failure, attempt, self.policy):
            return Back(self.policy.pause_seconds(message.receive_count), failure.value)
        return await self.conclusion.dead_letter(delivery, _reason(failure), describe_error(error))

    async def _internal_error(self, delivery: Delivery, error: Exception) -> Verdict:
        """Count an error of the processor itself as a failed attempt; a result that is stored stays as it is."""
        if self.conclusion.is_stored(delivery):
            logger.error(
                "a notification could not be delivered",
                extra={"action": "work", "exception": describe_traceback(error)},
            )
            return Back(self.policy.pause_seconds(delivery.message.receive_count), Failure.INTERNAL.value)
        if delivery.past.failed == 0 and delivery.message.receive_count > 1:
            delivery.past = Past(delivery.message.receive_count - 1, Last.UNREADABLE)
        return await self._failed(delivery, error, Failure.INTERNAL)

    async def _store_or_note_end(self, delivery: Delivery) -> None:
        """Record that the attempt has ended: by its result where there is one, else by a note."""
        if not await self.conclusion.store_last(delivery):
            await self._note_end(delivery)

    async def _note_end(self, delivery: Delivery) -> None:
        try:
            await self.attempts.note(delivery.message, delivery.past.failed, Last.ENDED, late=delivery.lease.over)
        except Exception:  # what follows must not depend on it: it decides what becomes of the task
            logger.exception("the end of an attempt could not be noted", extra={"action": "attempts"})


def _reason_of_last(verdict: Verdict) -> Reason:
    is_failure = isinstance(verdict, Back) and verdict.reason in set(Failure)
    return Reason.ATTEMPTS if is_failure else Reason.DIED


def _reason(failure: Failure) -> Reason:
    if failure is Failure.PERMANENT:
        return Reason.PERMANENT
    return Reason.INTERNAL if failure is Failure.INTERNAL else Reason.ATTEMPTS


def _describe(processed: Span, task_id: str, message: ReceivedMessage, verdict: Verdict) -> None:
    if processed.traceparent is None:  # tracing is off
        return
    outcome = verdict.outcome if isinstance(verdict, Done) else type(verdict).__name__.lower()
    processed.set(
        {
            "messaging.system": "aws_sqs",
            "messaging.operation.type": "process",
            "messaging.message.id": message.message_id,
            "task.id": task_id,
            "task.delivery": message.receive_count,
            "task.outcome": outcome,
        }
    )
    if outcome not in {"finished", "repeated", "duplicate"}:
        processed.fail(verdict.reason if isinstance(verdict, Back) else outcome)
