"""The largest message that a queue accepts (MaximumMessageSize), if it is known."""

import time
from collections.abc import Callable

VALID_SECONDS = 900.0
"""The known value expires, since the queue's attribute may be changed."""
_SMALLEST, _LARGEST = 1_024, 1_048_576
"""The range of MaximumMessageSize in SQS."""
_BATCH_SHARE = 0.96
"""The limit applies to a whole batch as well. The rest is for what SQS counts beside bodies and attributes."""


class QueueLimit:
    """The limit of one queue, unknown at first."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known_bytes: int | None = None
        self._known_until = 0.0

    @property
    def message_bytes(self) -> int | None:
        """The largest message, or None if unknown."""
        return self._known_bytes if self._clock() < self._known_until else None

    @property
    def batch_bytes(self) -> int | None:
        """The largest batch that is safe to send, or None if unknown."""
        limit = self.message_bytes
        return None if limit is None else int(limit * _BATCH_SHARE)

    def set(self, limit_bytes: int) -> None:
        """Set the limit from the queue's attribute."""
        if _SMALLEST <= limit_bytes <= _LARGEST:
            self._known_bytes = limit_bytes
            self._known_until = self._clock() + VALID_SECONDS

    def lower(self, limit_bytes: int) -> None:
        """Lower the limit because SQS refused a larger message."""
        self.set(min(limit_bytes, self.message_bytes or limit_bytes))
