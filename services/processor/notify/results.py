"""Results of this process: those whose notification is not delivered yet, and messages that were concluded lately.

A result is kept here from the moment that its handler returns until its notification is stored and published. So
neither an outage of Momento nor of SQS makes this process run a handler again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.common.momento.history import HistoryEntry
from services.processor.dead_letters.message import Reason

MAX_KEPT = 4_000
"""About 16 kB each at most. While notifications cannot be delivered nothing new is received, so there are never many
more than slots and messages that gave their slot back."""
KEPT_SECONDS = 86_400.0
MAX_CONCLUDED = 20_000
"""Message ids after which, or `CONCLUDED_SECONDS`, those of the time before the last such moment are forgotten."""
CONCLUDED_SECONDS = 600.0


@dataclass(slots=True, eq=False)
class Result:
    """A task's result, and which steps of its delivery are done."""

    user_id: str
    entry: HistoryEntry
    field: str | None = None
    """Its place in the history where that is not the task id."""
    dead_letter: tuple[Reason, str] | None = None
    """Reason and detail, while the message is still to be sent to the dead-letter queue."""
    stored: bool = False
    published_at: float | None = None
    """When it was first published, epoch seconds; perhaps before it was stored."""
    is_superseded: bool = False
    """Whether a later result of the task is kept in its place: this one is not delivered any more."""
    kept_at: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What it is kept under."""
        return self.user_id, self.field or self.entry.notification.task_id


class Results:
    """Kept results by user and task id, and the messages that were concluded in the last minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], Result] = OrderedDict()
        self._concluded: set[str] = set()
        self._concluded_before: set[str] = set()
        self._rotated_at = clock()

    def keep(self, result: Result) -> None:
        """Keep `result` until `forget`."""
        earlier = self._kept.get(result.key)
        if earlier is result:
            return
        if earlier is not None:
            earlier.is_superseded = True
        result.kept_at = self._clock()
        self._kept[result.key] = result
        self._kept.move_to_end(result.key)
        while self._is_too_old_or_too_many():
            self._kept.popitem(last=False)

    def get(self, user_id: str, field: str) -> Result | None:
        """Return the result that is kept under a task id, or under the field of its own that it has."""
        return self._kept.get((user_id, field))

    def forget(self, result: Result) -> None:
        """Keep `result` no longer: every step is done."""
        if self._kept.get(result.key) is result:
            del self._kept[result.key]

    def conclude(self, message_id: str) -> None:
        """Remember that nothing but the acknowledgement of a message is left to do."""
        if len(self._concluded) >= MAX_CONCLUDED or self._clock() >= self._rotated_at + CONCLUDED_SECONDS:
            self._concluded_before, self._concluded = self._concluded, set()
            self._rotated_at = self._clock()
        self._concluded.add(message_id)

    def acknowledged(self, message_id: str) -> None:
        """Forget a message that is deleted, which is most of them."""
        self._concluded.discard(message_id)

    def is_concluded(self, message_id: str) -> bool:
        """Tell whether a message that comes again has only to be acknowledged."""
        return message_id in self._concluded or message_id in self._concluded_before

    def _is_too_old_or_too_many(self) -> bool:
        oldest = next(iter(self._kept.values()))
        return len(self._kept) > MAX_KEPT or oldest.kept_at <= self._clock() - KEPT_SECONDS
