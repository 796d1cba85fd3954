"""One delivery of a task: the lease, what was read of the message, and what is known of earlier deliveries."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.common.aws.task_queue import ReceivedMessage
from services.common.messages.notification import Notification
from services.common.messages.task_message import TaskMessage
from services.common.momento.history import HistoryEntry
from services.processor.dead_letters.message import Reason, is_redriven
from services.processor.delivery.attempts import NO_PAST, Past
from services.processor.notify.results import Result
from services.processor.receiver.lease import Lease


@dataclass(slots=True, eq=False)
class Delivery:
    """What a worker works on."""

    lease: Lease
    task: TaskMessage
    data: str
    fields: Mapping[str, Any]
    past: Past = NO_PAST
    outcome: Result | None = None
    """What the handler's run has resulted in."""

    @property
    def message(self) -> ReceivedMessage:
        return self.lease.message

    @property
    def is_new(self) -> bool:
        """Whether the task cannot have been concluded before, so that nothing has to be looked up."""
        return self.message.receive_count == 1 and not self.task.idempotent and not is_redriven(self.message)

    def result(self, notification: Notification, dead_letter: tuple[Reason, str] | None = None) -> Result:
        """Return the result of this delivery."""
        entry = HistoryEntry(
            notification=notification,
            message_id=self.message.message_id if dead_letter else None,
            body_hash=self.body_hash,
        )
        return Result(self.task.user_id, entry, dead_letter=dead_letter)

    @property
    def body_hash(self) -> str | None:
        """What tells the body from another one that came with the same Idempotency-Key."""
        if not self.task.idempotent:
            return None
        return hashlib.blake2b(self.task.payload_bytes(), digest_size=16).hexdigest()

    def conflicts_with(self, known: Result) -> bool:
        """Tell whether the known result is that of another body."""
        first = known.entry.body_hash
        return first is not None and self.body_hash is not None and first != self.body_hash
