"""Final notifications of this process that are not delivered yet.

A notification is kept here from the moment that its handler returns until it is stored and published. So neither an
outage of Momento nor one of SQS makes this process run a handler again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.common.memory import MIB
from services.common.momento.history import HistoryEntry
from services.processor.dead_letter_message import DeadLetterReason

MAX_PENDING = 4_000
"""About 16 kB each at most. While notifications cannot be delivered no message is received, so there are seldom many
more than slots and messages that have released their slot."""
MAX_RESULT_BYTES = 64 * MIB
"""Whole results together. Their messages keep their slots until they are stored, so there are seldom more than slots;
the notifications beyond these bytes are dropped, and their tasks run again."""
MAX_AGE_SECONDS = 86_400.0


@dataclass(slots=True, eq=False)
class PendingNotification:
    """A task's final notification, and which steps of its delivery are done."""

    user_id: str
    entry: HistoryEntry
    field: str | None = None
    """Its field in the history if that is not the task id."""
    result: bytes | None = None
    """The whole result, JSON, until it is stored; None if the notification contains it."""
    dead_letter: tuple[DeadLetterReason, str] | None = None
    """Reason and detail, while the message has yet to be sent to the dead-letter queue."""
    stored: bool = False
    published_at: float | None = None
    """When it was first published, epoch seconds; possibly before it was stored."""
    is_superseded: bool = False
    """Whether a later one of the same task has replaced it: it is not delivered any more."""
    pending_since: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """The user, and the field in the user's history."""
        return self.user_id, self.field or self.entry.notification.task_id


class PendingNotifications:
    """Pending notifications by user and task id."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pending: OrderedDict[tuple[str, str], PendingNotification] = OrderedDict()

    def add(self, notification: PendingNotification) -> None:
        """Keep the notification until `remove`; it replaces an earlier one of the same task."""
        earlier = self._pending.get(notification.key)
        if earlier is notification:
            return
        if earlier is not None:
            earlier.is_superseded = True
        notification.pending_since = self._clock()
        self._pending[notification.key] = notification
        self._pending.move_to_end(notification.key)
        while self._is_oldest_surplus():
            self._pending.popitem(last=False)
        if notification.result is not None:
            self._drop_surplus_results()

    def get(self, user_id: str, field: str) -> PendingNotification | None:
        """Return the notification of a task, or of the field in the history that it has instead."""
        return self._pending.get((user_id, field))

    def remove(self, notification: PendingNotification) -> None:
        """Remove a notification that is delivered."""
        if self._pending.get(notification.key) is notification:
            del self._pending[notification.key]

    def _drop_surplus_results(self) -> None:
        results = {key: len(one.result) for key, one in self._pending.items() if one.result is not None}
        surplus_bytes = sum(results.values()) - MAX_RESULT_BYTES
        for key, size_bytes in results.items():
            if surplus_bytes <= 0:
                return
            del self._pending[key]
            surplus_bytes -= size_bytes

    def _is_oldest_surplus(self) -> bool:
        oldest = next(iter(self._pending.values()))
        return len(self._pending) > MAX_PENDING or oldest.pending_since <= self._clock() - MAX_AGE_SECONDS
