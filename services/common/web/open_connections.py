"""The open connections of a port: how many there may be, what they hold, and which one is closed for a new one."""

import resource
from itertools import chain
from typing import Protocol

from services.common.memory import MemoryBudget
from services.common.telemetry.metrics import CONNECTIONS_CLOSED

MAX_FILES = 8_192
"""Enough for 2,000 connections on each of two ports; some systems refuse more than 10,240 (macOS)."""
OTHER_FILES = 200
"""What the process keeps of its limit for other than connections of one port: sockets to AWS, logs, libraries."""


def raise_file_limit() -> None:
    """Raise the soft limit of open files, which often is 1,024, as far as is needed and the hard one permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_within_file_limit() -> int:
    """Return how many connections the limit of open files allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_FILES)


class Closable(Protocol):
    """A connection."""

    @property
    def bytes_in_work(self) -> int:
        """What its requests hold as long as they are worked on, even after the end of the connection."""

    def close_now(self) -> None:
        """Close without an answer."""


class OpenConnections:
    """Counts connections.

    A connection is idle while none of its requests is in work. It waits for its client while the request in work lacks
    a part of its body, or its answer is not read, or the client has ended its side, since most such clients have left.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._held: dict[Closable, int] = {}
        self._left: dict[Closable, int] = {}
        """What is held for clients that have left, by their requests that are still worked on."""
        self._idle: dict[Closable, None] = {}
        """The one that has been idle for the longest first."""
        self._waiting: dict[Closable, None] = {}
        """The one that has waited for its client for the longest first."""

    def admit(self, most: int) -> bool:
        """Make room for one more, at the expense of the connection that has been idle for the longest.

        Where none is idle, the one gives way that has waited for its client for the longest.
        """
        if len(self._held) < most:
            return True
        longest = next(chain(self._idle, self._waiting), None)
        if longest is not None:
            self._close(longest, "full")
        return longest is not None

    def opened(self, connection: Closable) -> None:
        """Note a new connection, which is idle."""
        self._held[connection] = 0
        self._idle[connection] = None

    def closed(self, connection: Closable) -> None:
        """Note the end of a connection; may be called twice."""
        held = self._held.pop(connection, 0)
        if left := min(held, connection.bytes_in_work):
            self._left[connection] = left
        self._budget.take(left - held)
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def worked_off(self, connection: Closable) -> None:
        """Note that no request of the connection is worked on any longer, nor will be."""
        self._budget.take(-self._left.pop(connection, 0))

    def working(self, connection: Closable) -> None:
        """Note that a request of the connection is in work and lacks nothing of its client."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def waiting(self, connection: Closable) -> None:
        """Note that the request in work lacks something of its client."""
        self._idle.pop(connection, None)
        if connection in self._held:
            self._waiting[connection] = None

    def idle(self, connection: Closable) -> None:
        """Note that no request of the connection is in work any longer."""
        self._waiting.pop(connection, None)
        if connection in self._held:
            self._idle[connection] = None

    def hold(self, connection: Closable, size: int) -> bool:
        """Note how many bytes the connection holds; answers whether there is room for them.

        Idle connections are closed to make room.
        """
        if connection not in self._held:
            return False
        more = size - self._held[connection]
        while not self._budget.take(more):
            holders = (one for one in self._idle if one is not connection and self._held[one])
            if (longest := next(holders, None)) is None:
                return False
            self._close(longest, "memory")
        self._held[connection] = size
        return True

    def _close(self, connection: Closable, reason: str) -> None:
        CONNECTIONS_CLOSED.labels(reason).inc()
        self.closed(connection)
        connection.close_now()
