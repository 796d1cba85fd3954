"""A delivery: one receipt of a task, with what is known of the deliveries before it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.common.aws.task_queue import ReceivedMessage
from services.common.messages.notification import Notification
from services.common.messages.task_details import TaskDetails, input_or_title
from services.common.messages.task_message import TaskMessage, parse_task
from services.common.momento.cancel_requests import TaskKey
from services.common.momento.history import HistoryEntry
from services.processor.dead_letter_message import DeadLetterReason, is_redriven
from services.processor.delivery.attempts import NO_ATTEMPTS, PastAttempts
from services.processor.notify.pending import PendingNotification
from services.processor.receiver.lease import Lease


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a task."""

    lease: Lease
    task: TaskMessage
    fields: Mapping[str, Any]
    """The request body of the task."""
    details: TaskDetails
    """What the task's notifications say of it."""
    past: PastAttempts = NO_ATTEMPTS

    @classmethod
    def parse(cls, lease: Lease) -> "Delivery":
        """Parse the message of a lease.

        :raises MalformedTask: when the message is no task.
        """
        message = lease.message
        task, fields = parse_task(message.body, dict(message.attributes), message.message_id)
        return cls(lease, task, fields, details_of(task, fields))

    def with_past(self, past: PastAttempts) -> "Delivery":
        """Return this delivery with what is known of earlier attempts."""
        return replace(self, past=past)

    def with_attempt(self, attempt: int, max_attempts: int, now_ms: int) -> "Delivery":
        """Return this delivery with the attempt that starts now."""
        self.lease.attempt = attempt
        known = self.details  # `replace` would cost each task as much as parsing it
        details = TaskDetails(
            type=known.type,
            input=known.input,
            title=known.title,
            attempt=attempt,
            max_attempts=max_attempts,
            started_at_ms=now_ms,
        )
        return Delivery(self.lease, self.task, self.fields, details, self.past)

    @property
    def message(self) -> ReceivedMessage:
        return self.lease.message

    @property
    def key(self) -> TaskKey:
        """The user and the task, as in the cache."""
        return self.task.user_id, self.task.task_id

    @property
    def available_ms(self) -> int:
        """When the task became available: its delay does not count as waiting. Epoch milliseconds."""
        return self.message.sent_ms + self.task.delay_seconds * 1_000

    def is_expired(self, now_ms: int) -> bool:
        """Return whether the task must not start any more. It may if an attempt may have started before."""
        expires_at_ms = self.task.expires_at_ms
        if expires_at_ms is None or now_ms < expires_at_ms:
            return False
        return self.message.receive_count == 1 or self.past.is_unstarted

    @property
    def is_new(self) -> bool:
        """Whether the task cannot have been concluded before, so that nothing has to be looked up."""
        return self.message.receive_count == 1 and not self.task.idempotent and not is_redriven(self.message)

    @property
    def body_hash(self) -> str | None:
        """Distinguishes the body from another one that was sent with the same Idempotency-Key."""
        if not self.task.idempotent:
            return None
        return hashlib.blake2b(self.task.payload_bytes(), digest_size=16).hexdigest()

    def pending(
        self, notification: Notification, dead_letter: tuple[DeadLetterReason, str] | None = None
    ) -> PendingNotification:
        """Return the final notification of this delivery, still to be delivered."""
        entry = HistoryEntry(
            notification=notification,
            message_id=self.message.message_id if dead_letter else None,
            body_hash=self.body_hash,
        )
        return PendingNotification(self.task.user_id, entry, dead_letter=dead_letter)

    def conflicts_with(self, known: PendingNotification) -> bool:
        """Return whether the known notification is about another body."""
        first = known.entry.body_hash
        return first is not None and self.body_hash is not None and first != self.body_hash


def details_of(task: TaskMessage, fields: Mapping[str, Any]) -> TaskDetails:
    """Return what a task's notifications say of it before an attempt starts."""
    task_input, title = input_or_title(fields["data"])
    return TaskDetails(type=task.type, input=task_input, title=title)
