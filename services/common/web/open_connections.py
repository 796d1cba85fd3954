"""The open connections of a port: their number, their memory, and which one to close for a new one."""

from itertools import chain
from typing import Protocol

from services.common.memory import MemoryBudget
from services.common.telemetry.metrics import CONNECTIONS_CLOSED


class Closable(Protocol):
    """A connection."""

    @property
    def bytes_in_progress(self) -> int:
        """The memory that its requests in progress use, even after the connection has ended."""

    def close_now(self) -> None:
        """Close without a response."""


class OpenConnections:
    """Counts connections and their memory.

    A connection is idle while none of its requests is in progress. It is waiting while the request in progress lacks
    a part of its body, or its response is not read, or the client has closed its side (most such clients have left).
    Otherwise it is busy.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._bytes: dict[Closable, int] = {}
        self._closed_bytes: dict[Closable, int] = {}
        """Memory of closed connections whose requests are still in progress."""
        self._idle: dict[Closable, None] = {}
        """The longest idle first."""
        self._waiting: dict[Closable, None] = {}
        """The longest waiting first."""

    def admit(self, max_connections: int) -> bool:
        """Return whether one more connection may be opened; closes one at the limit.

        The longest idle connection is closed, or else the one that has been waiting for its client for the longest.
        """
        if len(self._bytes) < max_connections:
            return True
        longest = next(chain(self._idle, self._waiting), None)
        if longest is not None:
            self._close(longest, "full")
        return longest is not None

    def opened(self, connection: Closable) -> None:
        """Add a connection, which is idle."""
        self._bytes[connection] = 0
        self._idle[connection] = None

    def closed(self, connection: Closable) -> None:
        """Remove a connection; may be called twice."""
        used = self._bytes.pop(connection, 0)
        if remaining := min(used, connection.bytes_in_progress):
            self._closed_bytes[connection] = remaining
        self._budget.take(remaining - used)
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def handler_ended(self, connection: Closable) -> None:
        """Release the memory of a closed connection: no request of it is in progress any longer."""
        self._budget.take(-self._closed_bytes.pop(connection, 0))

    def mark_busy(self, connection: Closable) -> None:
        """Note that a request is in progress and does not wait for the client."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def mark_waiting(self, connection: Closable) -> None:
        """Note that the request in progress waits for the client."""
        self._idle.pop(connection, None)
        if connection in self._bytes:
            self._waiting[connection] = None

    def mark_idle(self, connection: Closable) -> None:
        """Note that no request is in progress."""
        self._waiting.pop(connection, None)
        if connection in self._bytes:
            self._idle[connection] = None

    def set_bytes(self, connection: Closable, size: int) -> bool:
        """Set the memory that the connection uses; return whether there is room for it.

        Idle connections are closed to make room.
        """
        if connection not in self._bytes:
            return False
        more = size - self._bytes[connection]
        while not self._budget.take(more):
            candidates = (one for one in self._idle if one is not connection and self._bytes[one])
            if (longest := next(candidates, None)) is None:
                return False
            self._close(longest, "memory")
        self._bytes[connection] = size
        return True

    def _close(self, connection: Closable, reason: str) -> None:
        CONNECTIONS_CLOSED.labels(reason).inc()
        self.closed(connection)
        connection.close_now()
