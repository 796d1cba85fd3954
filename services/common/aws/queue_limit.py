"""How large a message a queue takes: its MaximumMessageSize, as far as it is known."""

import time
from collections.abc import Callable

VALID_SECONDS = 900.0
"""The attribute of a queue may be changed; what is known of it is forgotten after that time."""
_SMALLEST, _LARGEST = 1_024, 1_048_576
"""What SQS takes for MaximumMessageSize."""
_BATCH_SHARE = 0.96
"""Of the limit, which applies to a whole batch as well: room for what SQS counts beside bodies and attributes."""


class QueueLimit:
    """The limit of one queue. Nothing is known at first."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known_bytes: int | None = None
        self._known_until = 0.0

    @property
    def message_bytes(self) -> int | None:
        """The largest message, or None where that is unknown."""
        return self._known_bytes if self._clock() < self._known_until else None

    @property
    def batch_bytes(self) -> int | None:
        """The largest batch that is safe to send, or None where that is unknown."""
        limit = self.message_bytes
        return None if limit is None else int(limit * _BATCH_SHARE)

    def set(self, limit_bytes: int) -> None:
        """Note what the queue's attribute says."""
        if _SMALLEST <= limit_bytes <= _LARGEST:
            self._known_bytes = limit_bytes
            self._known_until = self._clock() + VALID_SECONDS

    def lower(self, limit_bytes: int) -> None:
        """Note what a refusal says: no more than that."""
        self.set(min(limit_bytes, self.message_bytes or limit_bytes))
