"""Dead letters: messages on the dead-letter queue, with attributes that say why, when and after how many receives."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from services.common.aws.task_queue import MessageTooLarge, OutgoingMessage, ReceivedMessage
from services.common.batcher import Batcher
from services.common.messages.notification import Status
from services.common.messages.task_message import DELAY_SECONDS, EXPIRES_AT, IDEMPOTENT, TASK_ID, TYPE
from services.common.momento.history import HistoryEntry
from services.common.version import VERSION
from services.processor.metrics import DEAD_LETTERED

logger = logging.getLogger(__name__)

MAX_ATTRIBUTES = 10
"""SQS accepts no more on one message."""
MAX_MESSAGE_BYTES = 1_048_576
"""SQS accepts no larger one, attributes included; ingest sends none near it, but other producers may."""
COMMON_LIMIT_BYTES = 262_144
"""What a queue accepts unless it is known to accept less or more (MaximumMessageSize before 2025)."""
SMALLEST_LIMIT_BYTES = 1_024
"""No queue has a smaller MaximumMessageSize."""
MAX_DETAIL = 256
REDRIVEN = "redriven"
"""The attribute of a redriven task: the ids of the messages whose failures the redrive overrules, newest first."""
REDRIVEN_BY_EARLIER_VERSION = "true"
_NEEDED = frozenset({TASK_ID, IDEMPOTENT, REDRIVEN, TYPE})
_OF_FIRST_SENDING = frozenset({DELAY_SECONDS, EXPIRES_AT})
"""A redriven task runs at once, and does not expire: a person has sent it again. Dead letters do not have them either,
since StartMessageMoveTask leaves a message's attributes as they are; only those that SQS itself moved do."""


class DeadLetterReason(StrEnum):
    """Why a message is in the dead-letter queue."""

    MALFORMED = "malformed"
    PERMANENT = "permanent"
    MAX_ATTEMPTS = "max_attempts"
    POISON_PILL = "poison_pill"
    """The process of the last permitted attempt died."""
    INTERNAL_ERROR = "internal_error"
    """The processor itself failed at the last permitted attempt."""
    UNKNOWN_TYPE = "unknown_type"
    """No handler is registered for the type of the task."""
    RESULT_TOO_LARGE = "result_too_large"
    """The handler's result cannot be stored."""


def dead_letter(
    message: ReceivedMessage, reason: DeadLetterReason, detail: str, max_bytes: int = MAX_MESSAGE_BYTES
) -> OutgoingMessage:
    """Return the message for the dead-letter queue; it keeps as many of its own attributes as there is room for.

    If it would be too large, other attributes and the detail are left out first, and then the end of the body.
    """
    ours = {
        "deadLetterReason": reason.value,
        "deadLetterDetail": _printable(detail[:MAX_DETAIL]) or "none",
        "deadLetteredAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "deadLetterReceiveCount": str(message.receive_count),
        "deadLetterVersion": VERSION,
        "deadLetterMessageId": message.message_id,
    }
    letter = OutgoingMessage(
        body=message.body,
        attributes={**_first(message.attributes, MAX_ATTRIBUTES - len(ours)), **ours},
        group_id=message.group_id,
    )
    if letter.size() <= max_bytes:
        return letter
    needed = {name: value for name, value in letter.attributes.items() if name in _NEEDED or name in ours}
    letter = replace(letter, attributes={**needed, "deadLetterDetail": "none"})
    surplus = letter.size() - max_bytes
    return letter if surplus <= 0 else replace(letter, body=_without_end(message.body, surplus))


def redrivable_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that a redriven task keeps: all but those of a dead letter, its delay and its expiry."""
    return {
        name: value
        for name, value in attributes.items()
        if not name.startswith("deadLetter") and name not in _OF_FIRST_SENDING
    }


def is_redriven(message: ReceivedMessage) -> bool:
    """Return whether the task was in the dead-letter queue before.

    StartMessageMoveTask leaves a message's attributes as they were, so those of the dead letter mark it too.
    """
    return any(name == REDRIVEN or name.startswith("deadLetter") for name in message.attributes)


def is_overruled(known: HistoryEntry, message: ReceivedMessage) -> bool:
    """Return whether `known` is a failure that a redrive overrules, by the id of the message that failed.

    An entry of an earlier version has no such id, and a message that it redrove names none: any failure but the
    message's own is then overruled, since running a task again is better than losing it.
    """
    if known.notification.status is not Status.FAILED or not is_redriven(message):
        return False
    overruled = {*message.attributes.get(REDRIVEN, "").split(), message.attributes.get("deadLetterMessageId")}
    if known.message_id is None or REDRIVEN_BY_EARLIER_VERSION in overruled:
        return known.message_id != message.message_id
    return known.message_id in overruled


async def send_to_dead_letter_queue(
    queue: Batcher[OutgoingMessage],
    message: ReceivedMessage,
    reason: DeadLetterReason,
    detail: str,
    on_sent: Callable[[], None],
) -> None:
    """Send the message to the dead-letter queue.

    :param on_sent: called when SQS has acknowledged it.
    :raises TransientError, PermanentError: when it could not be sent.
    """
    letter = dead_letter(message, reason, detail)
    while True:
        try:
            await queue.submit(letter, letter.size())
            break
        except MessageTooLarge as error:
            shorter = dead_letter(message, reason, detail, error.limit_bytes or _smaller_limit(letter.size()))
            if shorter.size() >= letter.size():
                raise
            letter = shorter
    on_sent()
    DEAD_LETTERED.labels(reason.value).inc()
    logger.error(
        "task dead-lettered",
        extra={
            "action": "dead-letter",
            "reason": reason.value,
            "detail": detail[:MAX_DETAIL],
            "isBodyCut": letter.body != message.body,
        },
    )


def _smaller_limit(size_bytes: int) -> int:
    """Return what to try after SQS has refused `size_bytes` without saying how much it accepts."""
    return COMMON_LIMIT_BYTES if size_bytes > COMMON_LIMIT_BYTES else max(SMALLEST_LIMIT_BYTES, size_bytes // 2)


def _first(attributes: Mapping[str, str], count: int) -> dict[str, str]:
    """Return `count` attributes, those that a redrive needs before others."""
    names = sorted(redrivable_attributes(attributes), key=lambda name: name not in _NEEDED)
    return {name: attributes[name] for name in names[:count]}


def _without_end(body: str, surplus_bytes: int) -> str:
    return body.encode()[:-surplus_bytes].decode(errors="ignore")


def _printable(text: str) -> str:
    """Replace what SQS refuses in attribute values."""
    return "".join(character if character.isprintable() else " " for character in text)
