"""One delivery from its receipt to its verdict: read, look up, handle, tell, or set aside."""

import asyncio
import logging
import time
from dataclasses import dataclass

from services.common.batcher import Batcher
from services.common.errors import PermanentError, Transient
from services.common.logs import log_context
from services.common.notification import Notification, failed, finished
from services.common.task_message import TRACEPARENT, TaskMessage, UnreadableTask, read_task, task_id_of
from services.common.task_queue import OutgoingMessage, ReceivedMessage
from services.common.tracing import Kind, Span, exemplar, is_traceparent, span
from services.processor.attempts import Attempts, Last, Past
from services.processor.breaker import Breaker
from services.processor.claims import Claims
from services.processor.dead_letter import Reason, bury, is_overruled
from services.processor.lease import Lease
from services.processor.metrics import (
    END_TO_END_SECONDS,
    HANDLER_ERRORS,
    ISOLATIONS,
    QUEUE_WAIT_SECONDS,
    REPEATED,
    task_seconds,
)
from services.processor.outcome import (
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
from services.processor.quarantine import Quarantine
from services.processor.record import Record
from services.processor.run import Runner
from services.processor.task import Task
from services.processor.teller import Teller

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Works on deliveries. It settles nothing on the queue: it answers what is to be done with the message."""

    runner: Runner
    teller: Teller
    breaker: Breaker
    record: Record
    attempts: Attempts
    quarantine: Quarantine
    claims: Claims
    dead_letters: Batcher[OutgoingMessage]
    policy: RetryPolicy
    receive_wait_seconds: int
    max_task_seconds: float
    longest_hold_seconds: float
    """For how long a lease is extended once work has begun."""

    async def work(self, lease: Lease) -> Verdict:
        """Do whatever is missing of this delivery."""
        message = lease.message
        task_id, sent = task_id_of(message.attributes, message.message_id), message.attributes.get(TRACEPARENT)
        with log_context(taskId=task_id, **_trace(sent)), span("process task", Kind.CONSUMER, parent=sent) as processed:
            verdict = await self._verdict(lease)
            _describe(processed, task_id, message, verdict)
        return verdict

    async def _verdict(self, lease: Lease) -> Verdict:
        message = lease.message
        try:
            return await self._read(lease)
        except (Transient, PermanentError) as error:
            logger.warning("a step failed, the message goes back: %s", error, extra={"action": "step"})
            return Back(self.policy.pause_seconds(message.receive_count) + self._until_polls_end(), "step")

    def _until_polls_end(self) -> int:
        """While receiving pauses, a message that goes back outlasts the polls that are open, or one would bring it."""
        return self.receive_wait_seconds + 1 if self.breaker.is_open else 0

    async def _read(self, lease: Lease) -> Verdict:
        message = lease.message
        try:
            task, fields = read_task(message.body, dict(message.attributes), message.message_id)
        except UnreadableTask as error:
            return await self._unreadable(message, error)
        return await self._known_or_new(lease, task, fields["data"], fields)

    async def _known_or_new(self, lease: Lease, task: TaskMessage, data: str, fields: dict[str, object]) -> Verdict:
        """Repeat only what is missing of a task that was done already."""
        message = lease.message
        if message.receive_count == 1 and not task.idempotent:
            return await self._attempt(lease, task, data, fields)
        known = await self._find(message, task.user_id, task.task_id)
        if known is not None:
            return await self._again(message, task.user_id, known)
        async with self.claims.held(task.task_id):
            known = await self._find(message, task.user_id, task.task_id)
            if known is not None:
                return await self._again(message, task.user_id, known)
            return await self._attempt(lease, task, data, fields)

    async def _attempt(self, lease: Lease, task: TaskMessage, data: str, fields: dict[str, object]) -> Verdict:
        message = lease.message
        past = await self.attempts.past(message)
        if is_killer(past, message.receive_count, self.policy):
            if past.last is Last.UNREADABLE:  # as in an outage of Momento, which spends deliveries too
                await self.breaker.check()
            return await self._bury(message, task, data, Reason.DIED, "the last permitted attempt had no end")
        if self._is_requeued(message, past):
            return Back(self.quarantine.requeue_seconds(past.skipped), "isolated")
        try:
            text = await self._handled(lease, task, data, fields, past)
        except Exception as error:  # noqa: BLE001 — a handler may raise anything; it is classified and logged
            return await (self._lost(message, past) if lease.over else self._failed(message, task, data, error, past))
        if lease.over:
            return await self._lost(message, past)
        await self._tell(message, task, finished(task.task_id, text, _now_ms()))
        return Done("finished")

    def _is_requeued(self, message: ReceivedMessage, past: Past) -> bool:
        """Tell whether a task that has to run isolated is left to other replicas, so that it holds no slot here."""
        is_isolated = is_suspect(past, message.receive_count, self.policy)
        return is_isolated and self.quarantine.is_full and can_be_requeued(message.receive_count, self.policy)

    async def _handled(self, lease: Lease, task: TaskMessage, data: str, fields: dict[str, object], past: Past) -> str:
        """Run the handler, isolated where the task may have killed its process."""
        message = lease.message
        if not is_suspect(past, message.receive_count, self.policy):
            return await self._noted(lease, task, data, fields, past, Last.BESIDE)
        async with self.quarantine.alone(died_here=past.last is Last.ALONE):
            # Meanwhile a process that was only slow may have noted the end.
            now = await self.attempts.past(message)
            if now.last is not Last.ENDED:
                ISOLATIONS.labels("ran").inc()
                return await self._noted(lease, task, data, fields, past, Last.ALONE)
        ISOLATIONS.labels("cleared").inc()
        return await self._noted(lease, task, data, fields, now, Last.BESIDE)

    async def _noted(
        self, lease: Lease, task: TaskMessage, data: str, fields: dict[str, object], past: Past, start: Last
    ) -> str:
        """Run the handler, and leave a note in the cache that tells whether the attempt of a redelivery had an end."""
        message = lease.message
        try:
            if message.receive_count > 1:
                await self.attempts.note(message, past.failed, start, skipped=past.skipped)
            else:
                QUEUE_WAIT_SECONDS.observe(max(0.0, time.time() - message.sent_ms / 1000), exemplar())
            text = await self._run(lease, task, data, fields, past)
            if message.receive_count > 1:  # telling may take long, and whose process dies meanwhile is no killer
                await self.attempts.note(message, past.failed, Last.ENDED, late=lease.over)
            return text
        except asyncio.CancelledError:  # a drain, or a lost lease
            await self.attempts.note(message, past.failed, Last.ENDED, late=lease.over)
            raise

    async def _run(self, lease: Lease, task: TaskMessage, data: str, fields: dict[str, object], past: Past) -> str:
        handed = Task(
            id=task.task_id,
            user_id=task.user_id,
            data=data,
            fields=fields,
            attempt=self.policy.attempt(past, lease.message.receive_count),
            deadline=time.time() + self.max_task_seconds,
            tell=self.teller.progress_of(task.user_id, task.task_id),
        )
        lease.begin(self.longest_hold_seconds)
        started = time.perf_counter()
        try:
            with span("handle"):
                text = await self.runner.run(handed, self.max_task_seconds)
        except Exception:
            task_seconds("failed").observe(time.perf_counter() - started, exemplar())
            raise
        task_seconds("finished").observe(time.perf_counter() - started, exemplar())
        return text

    async def _lost(self, message: ReceivedMessage, past: Past) -> Verdict:
        await self.attempts.note(message, past.failed, Last.ENDED, late=True)
        return Lost()

    async def _tell(self, message: ReceivedMessage, task: TaskMessage, notification: Notification) -> None:
        await self.teller.final(task.user_id, notification)
        _observe_end_to_end(message)

    async def _failed(
        self, message: ReceivedMessage, task: TaskMessage, data: str, error: Exception, past: Past
    ) -> Verdict:
        failure, attempt = failure_of(error), self.policy.attempt(past, message.receive_count)
        HANDLER_ERRORS.labels(failure.value).inc()
        logger.warning(
            "handler failed",
            exc_info=error,
            extra={"action": "handle", "failure": failure.value, "attempt": attempt},
        )
        await self.attempts.note(message, past.failed + 1, Last.ENDED)
        if not is_buried(failure, attempt, self.policy):
            return Back(self.policy.pause_seconds(message.receive_count), failure.value)
        reason = Reason.PERMANENT if failure is Failure.PERMANENT else Reason.ATTEMPTS
        return await self._bury(message, task, data, reason, f"{type(error).__name__}: {error}")

    async def _bury(
        self, message: ReceivedMessage, task: TaskMessage, data: str, reason: Reason, detail: str
    ) -> Verdict:
        """Set the task aside first, then tell: whoever is told can rely on it."""
        await bury(self.dead_letters, message, reason, detail)
        logger.error("task set aside", extra={"action": "dead-letter", "reason": reason.value, "detail": detail})
        await self._tell(message, task, failed(task.task_id, data, _now_ms()))
        return Done("failed")

    async def _unreadable(self, message: ReceivedMessage, error: UnreadableTask) -> Verdict:
        """Set aside what is no task, once, and tell the user if at least that could be read."""
        task_id = task_id_of(message.attributes, message.message_id)
        if error.user_id is not None and message.receive_count > 1:
            known = await self._find(message, error.user_id, task_id)
            if known is not None:
                return await self._again(message, error.user_id, known)
        await bury(self.dead_letters, message, Reason.UNREADABLE, str(error))
        logger.error("message is no task: %s", error, extra={"action": "dead-letter"})
        if error.user_id is not None:
            await self.teller.final(error.user_id, failed(task_id, "it could not be read", _now_ms()))
        return Done("unreadable")

    async def _find(self, message: ReceivedMessage, user_id: str, task_id: str) -> Notification | None:
        """Look the task up in the record, where a redriven task's failure before its redrive does not stand."""
        known = await self.record.find(user_id, task_id)
        return None if known is not None and is_overruled(known, message) else known

    async def _again(self, message: ReceivedMessage, user_id: str, known: Notification) -> Verdict:
        REPEATED.inc()
        is_first_news = message.receive_count == 1 or self.record.is_untold(known.task_id)
        # What could not be told may not be on record either: an outage takes topics and cache together.
        await (self.teller.final if self.record.is_untold(known.task_id) else self.teller.again)(user_id, known)
        if is_first_news:  # of this POST: late news, after an outage of Momento, count against the promise
            _observe_end_to_end(message)
        return Done("repeated")


def _observe_end_to_end(message: ReceivedMessage) -> None:
    END_TO_END_SECONDS.observe(max(0.0, time.time() - message.sent_ms / 1000), exemplar())


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
    if outcome not in {"finished", "repeated"}:
        processed.fail(verdict.reason if isinstance(verdict, Back) else outcome)


def _trace(traceparent: str | None) -> dict[str, str]:
    return {"traceId": traceparent.split("-")[1]} if traceparent and is_traceparent(traceparent) else {}


def _now_ms() -> int:
    return int(time.time() * 1000)
