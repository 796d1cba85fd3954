"""Sending of one task: what becomes of its message, and whether it may be on the queue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

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

_MARK = {IDEMPOTENT: "true"}
ROOM_BYTES = 1_536
"""What a message may grow by: the mark of one that is sent again, and the attributes of a dead letter. The dead-letter
queue mostly takes no larger messages than the task queue. Of a queue for small messages it is a quarter at most: a dead
letter that is too large is shortened."""


@dataclass(slots=True, eq=False)
class Sending:
    """A message on its way."""

    message: OutgoingMessage
    may_be_queued: bool = False
    """Whether SQS has taken it, or may have: a call is in flight, or the answer of one was lost."""


async def send_batch(queue: TaskQueue, sendings: Sequence[Sending]) -> list[Exception | None]:
    """Send a batch; keeps `may_be_queued` of each entry up to date."""
    before = [sending.may_be_queued for sending in sendings]
    for sending in sendings:
        sending.may_be_queued = True  # until SQS says otherwise, also where this call is cancelled
    try:
        outcomes = await queue.send([sending.message for sending in sendings])
    except (QueueUnavailable, BatchRefusedError) as error:
        _note(sendings, before, [error] * len(sendings))
        raise
    _note(sendings, before, outcomes)
    return outcomes


def _note(sendings: Sequence[Sending], before: Sequence[bool], outcomes: Sequence[Exception | None]) -> None:
    for sending, was_queued, outcome in zip(sendings, before, outcomes, strict=True):
        sending.may_be_queued = was_queued or outcome is None or isinstance(outcome, QueueAnswerLost)


def sent_again(sending: Sending, error: Exception) -> Sending:
    """Mark what may be on the queue already, so that the processor looks whether the task was done."""
    if isinstance(error, QueueAnswerLost):
        sending.message = replace(sending.message, attributes={**sending.message.attributes, **_MARK})
    return sending


def refuse_too_large(message: OutgoingMessage, limit_bytes: int | None) -> None:
    """Refuse what the queues would not take, with room for the attributes that are added later.

    :raises MessageTooLarge: when it is larger.
    """
    if limit_bytes is not None and message.size() + _room(limit_bytes) > limit_bytes:
        raise MessageTooLarge("larger than the queue's MaximumMessageSize", limit_bytes)


def too_large(message: OutgoingMessage, limit_bytes: int | None) -> Problem:
    """Say to the client what the queue takes."""
    limit = "less"
    if limit_bytes is not None:
        limit = f"at most {limit_bytes}, {_room(limit_bytes)} of them for what is added later"
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The task needs {message.size()} bytes on the queue, which takes {limit}. Send less data, or store it"
        " elsewhere and send a reference. Each quote, backslash and line break of the body counts twice there.",
    )


def _room(limit_bytes: int) -> int:
    return min(ROOM_BYTES, limit_bytes // 4)
