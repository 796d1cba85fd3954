"""Results of this process: those whose notification is not delivered yet, and messages that were dealt with lately.

A result is kept here from the moment that its handler returns until its notification is stored and published. So
neither an outage of Momento nor of SQS makes this process run a handler again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from services.common.news_record import HistoryEntry

MAX_KEPT = 4_000
"""About 16 kB each at most. While notifications cannot be delivered nothing new is received, so there are never many
more than slots and messages that gave their slot back."""
KEPT_SECONDS = 86_400.0
MAX_CONCLUDED = 20_000
"""Message ids remembered at least, where they are not older than that; twice as many at most."""
CONCLUDED_SECONDS = 600.0


@dataclass(slots=True, eq=False)
class Result:
    """What a task came to, and which steps of its delivery are done."""

    user_id: str
    entry: HistoryEntry
    field: str | None = None
    """Its place in the history where that is not the task id."""
    dead_letter: tuple[str, str] | None = None
    """Reason and detail, while the message is still to be sent to the dead-letter queue."""
    stored: bool = False
    published: bool = False
    """Whether it was published since it was stored, or is not to be published again."""

    @property
    def key(self) -> str:
        """What it is kept under."""
        return self.field or self.entry.notification.task_id


class Results:
    """Kept results by task id, and the messages that were concluded in the last minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._kept: TTLCache[str, Result] = TTLCache(MAX_KEPT, ttl=KEPT_SECONDS, timer=clock)
        self._clock = clock
        self._concluded: set[str] = set()
        self._concluded_before: set[str] = set()
        self._rotated_at = clock()

    def keep(self, result: Result) -> None:
        """Keep `result` until `forget`."""
        self._kept[result.key] = result

    def get(self, key: str) -> Result | None:
        """Return the result that is kept under a task id."""
        return self._kept.get(key) if self._kept.currsize else None

    def forget(self, result: Result) -> None:
        """Keep `result` no longer: every step is done."""
        if self._kept.get(result.key) is result:
            del self._kept[result.key]

    def concluded(self, message_id: str) -> None:
        """Remember that nothing but the acknowledgement of a message is left to do."""
        now = self._clock()
        if len(self._concluded) >= MAX_CONCLUDED or now >= self._rotated_at + CONCLUDED_SECONDS:
            self._concluded_before, self._concluded, self._rotated_at = self._concluded, set(), now
        self._concluded.add(message_id)

    def is_concluded(self, message_id: str) -> bool:
        """Tell whether a message that comes again has only to be acknowledged."""
        return message_id in self._concluded or message_id in self._concluded_before
