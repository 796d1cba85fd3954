"""Concludes tasks: dead-letters those that failed for good, stores the final notification and publishes it.

Each step that is done is remembered, in this process and in the history, so that a later delivery of the same message
does only what is missing.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from notification_api import Result, TransientError
from services.common.aws.task_queue import OutgoingMessage, ReceivedMessage
from services.common.background import Background
from services.common.backoff import Backoff
from services.common.batcher import Batcher
from services.common.messages.notification import (
    MAX_BYTES,
    Status,
    cancelled,
    expired,
    failed,
    finished,
    without_surrogates,
)
from services.common.messages.task_details import NO_DETAILS, TaskDetails
from services.common.messages.task_message import MalformedTask, delay_seconds_of, parse_task, task_id_of
from services.common.momento.history import HistoryEntry
from services.common.telemetry.tracing import exemplar
from services.processor.dead_letter_message import DeadLetterReason, is_overruled, send_to_dead_letter_queue
from services.processor.delivery.delivery import Delivery, details_of
from services.processor.metrics import CANCELLED, DUPLICATES, EXPIRED, end_to_end_seconds
from services.processor.notify.notifier import Notifier
from services.processor.notify.pending import PendingNotification, PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.notify.status_writer import StatusWriter
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Acknowledge, Outcome

logger = logging.getLogger(__name__)

CONFLICT = "the Idempotency-Key was used before with another body; send the request again with a new key"
INTERRUPTED_SECONDS = 2.0
"""How long a dead letter that is being sent is waited for when its task is cancelled."""
DEAD_LETTER_SECONDS = 3_600.0
"""How long sending a dead letter is retried within one delivery."""
DEAD_LETTER_RETRY_BASE_SECONDS = 1.0
DEAD_LETTER_RETRY_CAP_SECONDS = 120.0
"""A try whose answer is lost leaves a duplicate, so the pauses between tries grow long."""
UNMEASURED = {Status.CANCELLED, Status.EXPIRED}
"""Their users did not wait for a result, so the SLO does not contain them."""
MAX_CONCLUDED = 20_000
"""Message ids after which, or after `CONCLUDED_SECONDS`, a new generation of them begins; two generations are kept."""
CONCLUDED_SECONDS = 600.0


class ConcludedMessages:
    """Ids of messages that this process concluded in the last minutes: only their acknowledgement may be missing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._current: set[str] = set()
        self._previous: set[str] = set()
        self._rotated_at = clock()

    def add(self, message_id: str) -> None:
        """Note that only the acknowledgement of a message is missing."""
        if len(self._current) >= MAX_CONCLUDED or self._clock() >= self._rotated_at + CONCLUDED_SECONDS:
            self._previous, self._current = self._current, set()
            self._rotated_at = self._clock()
        self._current.add(message_id)

    def discard(self, message_id: str) -> None:
        """Forget a message that is deleted, as most are."""
        self._current.discard(message_id)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._current or message_id in self._previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluder:
    """Concludes tasks, and finds those that were concluded before."""

    pending: PendingNotifications
    concluded: ConcludedMessages
    history: ResilientHistory
    notifier: Notifier
    statuses: StatusWriter
    dead_letters: Batcher[OutgoingMessage]
    background: Background

    def is_stored(self, delivery: Delivery) -> bool:
        """Return whether the history has the task's final notification, although it is not published yet."""
        pending = self.find_pending(delivery)
        return pending is not None and pending.stored and self.history.is_on

    def find_pending(self, delivery: Delivery) -> PendingNotification | None:
        """Return the task's notification that this process has yet to deliver, unless a redrive overrules it."""
        return self._find_pending(delivery.task.user_id, delivery.task.task_id, delivery.message)

    async def find(self, delivery: Delivery) -> PendingNotification | None:
        """Return the final notification of a task that was concluded before, unless a redrive overrules it."""
        task = delivery.task
        pending = self.find_pending(delivery)
        if pending is None:
            return None if delivery.is_new else await self._find(task.user_id, task.task_id, delivery.message)
        if pending.stored:
            return pending
        # Another process may have concluded the task meanwhile.
        entry = await self.history.find(task.user_id, task.task_id)
        if entry is None or is_overruled(entry, delivery.message):
            return pending
        if entry.notification.time_ms == pending.entry.notification.time_ms:  # it is stored, and the answer was lost
            pending.stored = True
            return pending
        self.pending.remove(pending)
        return PendingNotification(task.user_id, entry, stored=True)

    def keep_unpublished(self, delivery: Delivery, result: Result) -> PendingNotification:
        """Return the final notification of a finished task, and keep it until it is delivered."""
        pending = delivery.pending(
            finished(delivery.task.task_id, result.message, _now_ms(), delivery.details, result.data)
        )
        if not pending.entry.notification.fits():
            _separate_result(pending)
        self.pending.add(pending)
        return pending

    async def store_before_end(self, delivery: Delivery) -> bool:
        """Store the final notification before its delivery is interrupted; returns whether it is stored.

        A failure whose dead letter is not sent yet is not stored: a later delivery that found it would not send it.
        """
        pending = self.find_pending(delivery)
        if pending is None or pending.dead_letter is not None:
            return False
        await self.history.store_before_end(pending, is_late=delivery.lease.is_over)
        return pending.stored

    async def conclude_finished(self, delivery: Delivery, pending: PendingNotification) -> Outcome:
        """Conclude a task whose handler has just finished."""
        return await self._deliver(delivery.lease, pending, "finished")

    async def conclude_duplicate(self, delivery: Delivery, known: PendingNotification) -> Outcome:
        """Repeat the missing steps of a task that was concluded before, or refuse another body with its key."""
        if delivery.conflicts_with(known):
            return await self._conclude_conflict(delivery)
        DUPLICATES.inc()
        return await self._deliver(delivery.lease, known, "duplicate")

    async def conclude_cancelled(self, delivery: Delivery, status: str) -> Outcome:
        """Conclude a task that its user has cancelled.

        :param status: ``running`` if the handler was stopped, ``queued`` if it did not run in this delivery.
        """
        pending = delivery.pending(cancelled(delivery.task.task_id, _now_ms(), delivery.details))
        self.pending.add(pending)
        outcome = await self._deliver(delivery.lease, pending, "cancelled")
        CANCELLED.labels(status).inc()
        return outcome

    async def conclude_expired(self, delivery: Delivery) -> Outcome:
        """Conclude a task that was not started in time."""
        pending = delivery.pending(expired(delivery.task.task_id, _now_ms(), delivery.details))
        self.pending.add(pending)
        outcome = await self._deliver(delivery.lease, pending, "expired")
        EXPIRED.inc()
        return outcome

    async def conclude_failed(
        self,
        delivery: Delivery,
        reason: DeadLetterReason,
        detail: str,
        *,
        error: str | None = None,
        failure: str | None = None,
    ) -> Outcome:
        """Conclude a task that failed for good: dead letter first, so that a notified user can rely on it.

        :param error: what the user may read, if the handler said it.
        :param failure: the reason in the notification, by default that of the dead letter.
        """
        pending = self.find_pending(delivery)
        if pending is None or pending.entry.message_id != delivery.message.message_id:
            notification = failed(
                delivery.task.task_id,
                data_text(delivery.fields["data"]),
                _now_ms(),
                delivery.details,
                error=error,
                reason=failure or reason.value,
            )
            pending = delivery.pending(notification, (reason, detail))
            self.pending.add(pending)
        return await self._deliver(delivery.lease, pending, "failed")

    async def conclude_malformed(self, lease: Lease, error: MalformedTask) -> Outcome:
        """Dead-letter a message that is no task, and notify the user if at least the user could be read."""
        message = lease.message
        logger.error("message is no task: %s", error, extra={"action": "dead-letter"})
        user_id, task_id = error.user_id, task_id_of(message.attributes, message.message_id)
        if user_id is None:
            return await self._conclude_without_user(lease, DeadLetterReason.MALFORMED, str(error))
        known = self._find_pending(user_id, task_id, message)
        if known is None and message.receive_count > 1:
            known = await self._find(user_id, task_id, message)
        if known is not None:
            DUPLICATES.inc()
            return await self._deliver(lease, known, "duplicate")
        pending = self._add_failed(
            message, user_id, task_id, "it could not be read", (DeadLetterReason.MALFORMED, str(error))
        )
        return await self._deliver(lease, pending, "malformed")

    async def conclude_last_delivery(self, lease: Lease, reason: DeadLetterReason, detail: str) -> Outcome:
        """Conclude a message at its last delivery: by its final notification if there is one, else as failed.

        An error of the processor itself may have led here, so every step that can be left out may fail.

        :raises Exception: when it could not be concluded.
        """
        message = lease.message
        task_id, user_id = task_id_of(message.attributes, message.message_id), message.group_id
        data, details = "", NO_DETAILS
        with suppress(Exception):
            task, fields = parse_task(message.body, dict(message.attributes), message.message_id)
            task_id, user_id, data = task.task_id, task.user_id, data_text(fields["data"])
            details = details_of(task, fields)
        if user_id is None:
            return await self._conclude_without_user(lease, reason, detail)
        pending = self.pending.get(user_id, _conflict_field(task_id, message))
        if pending is None:
            with suppress(Exception):
                pending = await self._find(user_id, task_id, message)
        if pending is None:
            pending = self._add_failed(message, user_id, task_id, data, (reason, detail), details)
        try:
            return await self._deliver(lease, pending, pending.entry.notification.status.value)
        except TransientError:
            if pending.dead_letter is not None:  # SQS moves the message itself, without the reason
                await self.notifier.deliver(pending, on_store_delayed=lease.release_slot)
            raise

    def _find_pending(self, user_id: str, task_id: str, message: ReceivedMessage) -> PendingNotification | None:
        pending = self.pending.get(user_id, task_id)
        if pending is None or is_overruled(pending.entry, message):
            return None
        # A dead letter that is still to be sent is this message's own; about another one the history may know better.
        is_of_other = pending.dead_letter is not None and pending.entry.message_id != message.message_id
        return None if is_of_other else pending

    async def _find(self, user_id: str, task_id: str, message: ReceivedMessage) -> PendingNotification | None:
        if (pending := self._find_pending(user_id, task_id, message)) is not None:
            return pending
        entry = await self.history.find(user_id, task_id)
        if entry is None or is_overruled(entry, message):
            return None
        return PendingNotification(user_id, entry, stored=True)

    def _add_failed(
        self,
        message: ReceivedMessage,
        user_id: str,
        task_id: str,
        text: str,
        dead_letter: tuple[DeadLetterReason, str],
        details: TaskDetails = NO_DETAILS,
    ) -> PendingNotification:
        notification = failed(task_id, text, _now_ms(), details, reason=dead_letter[0].value)
        entry = HistoryEntry(notification=notification, message_id=message.message_id)
        pending = PendingNotification(user_id, entry, dead_letter=dead_letter)
        self.pending.add(pending)
        return pending

    async def _conclude_without_user(self, lease: Lease, reason: DeadLetterReason, detail: str) -> Outcome:
        message_id = lease.message.message_id
        await self._send_to_dead_letter_queue(lease, reason, detail, lambda: self.concluded.add(message_id))
        return Acknowledge("malformed")

    async def _conclude_conflict(self, delivery: Delivery) -> Outcome:
        logger.warning("an Idempotency-Key was used for two bodies", extra={"action": "conflict"})
        task = delivery.task
        notification = failed(task.task_id, CONFLICT, _now_ms(), delivery.details, error=CONFLICT)
        entry = HistoryEntry(notification=notification)
        # Beside the entry of the first body, which stays.
        pending = PendingNotification(task.user_id, entry, field=_conflict_field(task.task_id, delivery.message))
        return await self._deliver(delivery.lease, self.pending.get(*pending.key) or pending, "conflict")

    async def _deliver(self, lease: Lease, pending: PendingNotification, result: str) -> Outcome:
        message = lease.message
        lease.remove_limit()
        # A redelivered task that only the history knows was delivered, and measured, by an earlier delivery.
        is_first = message.receive_count == 1 or self.pending.get(*pending.key) is pending
        try:
            if pending.dead_letter is not None:
                await self._send_to_dead_letter_queue(lease, *pending.dead_letter, lambda: _mark_sent(pending))
            await self.notifier.deliver(pending, on_store_delayed=lease.release_slot)
        except asyncio.CancelledError:
            if pending.dead_letter is None:
                await self.history.store_before_end(pending, is_late=lease.is_over)
            raise
        is_measured = is_first and pending.entry.notification.status not in UNMEASURED
        if is_measured and pending.published_at is not None:
            available_at = message.sent_ms / 1000 + delay_seconds_of(message.attributes)
            seconds = max(0.0, pending.published_at - available_at)
            end_to_end_seconds(lease.task_type).observe(seconds, exemplar())
        self.concluded.add(message.message_id)
        if pending.field is None:  # a conflict is not the state of its task
            is_redelivery = message.receive_count > 1
            self.statuses.concluded(pending.user_id, pending.entry.notification, is_redelivery=is_redelivery)
        if self.history.is_trim_due():
            self.background.spawn("trim", self._trim(pending.user_id))
        return Acknowledge(result)

    async def _trim(self, user_id: str) -> None:
        try:
            await self.history.trim(user_id)
        except Exception:  # no reason to stop the service
            logger.exception("a history could not be trimmed", extra={"action": "history"})

    async def _send_to_dead_letter_queue(
        self, lease: Lease, reason: DeadLetterReason, detail: str, on_sent: Callable[[], None]
    ) -> None:
        """Send the message to the dead-letter queue. While that fails the message releases its slot and waits.

        :raises TransientError: when it was not sent within `DEAD_LETTER_SECONDS`.
        """
        lease.remove_limit()
        lease.dead_letter_reason = reason.value
        gives_up_at = time.monotonic() + DEAD_LETTER_SECONDS
        backoff = Backoff(DEAD_LETTER_RETRY_BASE_SECONDS, DEAD_LETTER_RETRY_CAP_SECONDS)
        while True:
            try:
                return await self._try_to_send(lease.message, reason, detail, on_sent)
            except TransientError as error:
                if time.monotonic() >= gives_up_at:
                    raise
                logger.warning("a dead letter could not be sent yet: %s", error, extra={"action": "dead-letter"})
            lease.release_slot()
            await asyncio.sleep(backoff.next_seconds())

    async def _try_to_send(
        self, message: ReceivedMessage, reason: DeadLetterReason, detail: str, on_sent: Callable[[], None]
    ) -> None:
        """Send it; if this is cancelled, wait a moment for the answer."""
        sending = self.background.spawn(
            "dead-letter", send_to_dead_letter_queue(self.dead_letters, message, reason, detail, on_sent), may_fail=True
        )
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=INTERRUPTED_SECONDS)
            raise


def data_text(data: Any) -> str:
    """Return the start of a task's data as text, no longer than can be published."""
    text: str = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return text[: MAX_BYTES + 1]


def _separate_result(pending: PendingNotification) -> None:
    """Take the whole result out of a notification that is too large, to be stored by itself."""
    whole = pending.entry.notification
    pending.result = orjson.dumps({"message": without_surrogates(whole.message), "data": whole.data})
    shorter = replace(whole, message=whole.message[: MAX_BYTES + 1], data=None, truncated=True)
    pending.entry = replace(pending.entry, notification=shorter)


def _conflict_field(task_id: str, message: ReceivedMessage) -> str:
    return f"{task_id} {message.message_id}"


def _mark_sent(pending: PendingNotification) -> None:
    pending.dead_letter = None


def _now_ms() -> int:
    return int(time.time() * 1000)
