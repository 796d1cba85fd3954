"""A stage's queues: their depth, how long there has been a backlog, and the number of dead letters."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8s.operator.metrics import BACKLOG_SECONDS, DEAD_LETTERS, OBSERVATIONS
from k8s.operator.resources.aws import aws_call
from notification_api import PermanentError, TransientError

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

Labels = tuple[str, str]
UNKNOWN = float("nan")
"""The value of a gauge that could not be read. Zero or the previous value would be wrong."""
DEPTH_TIMEOUT_SECONDS = 3.0
"""Short, so that a queue that cannot be read is reported within seconds."""
DEAD_LETTERS_SECONDS = 60.0
"""The longest time between two counts of a stage's dead letters while it has work."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """A queue's counts, which SQS calls approximate."""

    visible: int
    in_flight: int
    delayed: int = 0
    """Sent with a delay that has not passed. They are no work yet."""

    @property
    def is_empty(self) -> bool:
        return not self.visible and not self.in_flight


async def read_depth(sqs: "SQSClient", queue_url: str) -> QueueDepth:
    """Read the counts with one request.

    :raises TransientError:
    :raises PermanentError:
    """
    async with aws_call("sqs:GetQueueAttributes", queue_url, DEPTH_TIMEOUT_SECONDS):
        answer = await sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )
    counts = answer["Attributes"]
    return QueueDepth(
        visible=int(counts["ApproximateNumberOfMessages"]),
        in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(counts.get("ApproximateNumberOfMessagesDelayed", 0)),
    )


class BacklogAge:
    """An upper bound for the age of the oldest waiting message, which SQS itself reports to CloudWatch only.

    It is the time since the latest poll that found no waiting message, or since the first poll.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def update(self, labels: Labels, depth: QueueDepth | None, now: float) -> None:
        """Add a poll. After one that failed (None) the age grows on."""
        if depth is not None and (self._since is None or not depth.visible):
            self._since = now
        BACKLOG_SECONDS.labels(*labels).set(UNKNOWN if self._since is None else now - self._since)


class DeadLetterCount:
    """Counts the messages in the dead-letter queue, at intervals since each count costs a request."""

    def __init__(self) -> None:
        self._read_at = float("-inf")

    async def update(self, sqs: "SQSClient", url: str, labels: Labels, *, every_seconds: float, now: float) -> None:
        """Count if it is due. If the queue cannot be read, the gauge becomes NaN and nothing is raised."""
        if now - self._read_at < every_seconds:
            return
        self._read_at = now
        try:
            depth = await read_depth(sqs, url)
        except (TransientError, PermanentError):
            OBSERVATIONS.labels("dead_letters", "unreadable").inc()
            DEAD_LETTERS.labels(*labels).set(UNKNOWN)
        else:
            OBSERVATIONS.labels("dead_letters", "ok").inc()
            # Messages that a person reads are in flight for some minutes.
            DEAD_LETTERS.labels(*labels).set(depth.visible + depth.in_flight + depth.delayed)
