"""Sends the message of a task, and tracks whether it may be on the queue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.common.aws.task_queue import (
    MessageTooLarge,
    OutgoingMessage,
    QueueAnswerLost,
    QueueUnavailable,
    TaskQueue,
)
from services.common.batcher import BatchRefusedError
from services.common.messages.task_message import IDEMPOTENT
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType

RESERVED_BYTES = 1_536
"""For attributes that are added later: `idempotent` of a retry, and those of a dead letter. The DLQ mostly has the
same limit as the task queue. At most a quarter of the limit is reserved, and a dead letter that is too large
is shortened."""


@dataclass(slots=True, eq=False)
class Sending:
    """A message that is being sent."""

    message: OutgoingMessage
    may_be_queued: bool = False
    """Whether SQS has accepted it or may have: a call is in progress, or its response was lost."""


async def send_batch(queue: TaskQueue, sendings: Sequence[Sending]) -> list[Exception | None]:
    """Send a batch and update `may_be_queued` of each message."""
    before = [sending.may_be_queued for sending in sendings]
    for sending in sendings:
        sending.may_be_queued = True  # until SQS has responded, also if this call is cancelled
    try:
        outcomes = await queue.send([sending.message for sending in sendings])
    except (QueueUnavailable, BatchRefusedError) as error:
        _update(sendings, before, [error] * len(sendings))
        raise
    _update(sendings, before, outcomes)
    return outcomes


def _update(sendings: Sequence[Sending], before: Sequence[bool], outcomes: Sequence[Exception | None]) -> None:
    for sending, was_queued, outcome in zip(sendings, before, outcomes, strict=True):
        sending.may_be_queued = was_queued or outcome is None or isinstance(outcome, QueueAnswerLost)


def mark_idempotent(sending: Sending, error: Exception) -> Sending:
    """Mark a message that may be on the queue already, so that the processor checks for a duplicate."""
    if isinstance(error, QueueAnswerLost):
        sending.message = replace(sending.message, attributes={**sending.message.attributes, IDEMPOTENT: "true"})
    return sending


def check_size(message: OutgoingMessage, limit_bytes: int | None) -> None:
    """Check that the message fits into the queue with the attributes that may be added later.

    :raises MessageTooLarge: when it is too large.
    """
    if limit_bytes is not None and message.size() + _reserved(limit_bytes) > limit_bytes:
        raise MessageTooLarge("larger than the queue's MaximumMessageSize", limit_bytes)


def too_large_problem(message: OutgoingMessage, limit_bytes: int | None) -> Problem:
    """Return the response for a task that is too large."""
    limit = "less"
    if limit_bytes is not None:
        limit = f"at most {limit_bytes}, of which {_reserved(limit_bytes)} are reserved"
    return Problem(
        ProblemType.TASK_TOO_LARGE,
        f"The task needs {message.size()} bytes on the queue, which accepts {limit}. Send less data, or store it"
        " elsewhere and send a reference. Each quote, backslash and line break of the body counts twice.",
    )


def _reserved(limit_bytes: int) -> int:
    return min(RESERVED_BYTES, limit_bytes // 4)
