"""What a stage's queues tell for alerts: how long there has been a backlog, and whether anything was given up."""

from typing import TYPE_CHECKING

from k8s.operator.metrics import BACKLOG_SECONDS, DEAD_LETTERS, OBSERVATIONS
from k8s.operator.scaling.observe import Depth, read_depth
from services.common.errors import PermanentError, Transient

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

Labels = tuple[str, str]
UNKNOWN = float("nan")
"""What is not known is no number: zero would be a lie, and the last value would be one soon."""
DEAD_LETTERS_SECONDS = 60.0
"""How old the count of dead letters of a stage with work may be."""


class BacklogAge:
    """Bounds the age of the oldest message that waits, which SQS itself tells CloudWatch alone.

    Counted from the last look that found none, or else from the first look.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def see(self, labels: Labels, depth: Depth | None, now: float) -> None:
        """Take in a look. One that failed lets the time go on."""
        if depth is not None and (self._since is None or not depth.visible):
            self._since = now
        BACKLOG_SECONDS.labels(*labels).set(UNKNOWN if self._since is None else now - self._since)


class DeadLetters:
    """Counts what is in the dead-letter queue, now and then: each time costs one request."""

    def __init__(self) -> None:
        self._read_at = float("-inf")

    async def look(self, sqs: "SQSClient", url: str, labels: Labels, *, every_seconds: float, now: float) -> None:
        """Read it when that is due. What cannot be read is no number, and nothing is raised for it."""
        if now - self._read_at < every_seconds:
            return
        self._read_at = now
        try:
            depth = await read_depth(sqs, url)
        except (Transient, PermanentError):
            OBSERVATIONS.labels("dead_letters", "unreadable").inc()
            DEAD_LETTERS.labels(*labels).set(UNKNOWN)
        else:
            OBSERVATIONS.labels("dead_letters", "ok").inc()
            # A look by a person hides letters for some minutes.
            DEAD_LETTERS.labels(*labels).set(depth.visible + depth.in_flight)
