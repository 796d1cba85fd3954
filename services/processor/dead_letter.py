"""Setting a message aside: the dead-letter queue, with attributes that say why, when, how often and by whom."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from services.common.batcher import Batcher
from services.common.notification import Notification, Status
from services.common.task_queue import OutgoingMessage, ReceivedMessage
from services.common.version import VERSION
from services.processor.metrics import DEAD_LETTERED

MAX_ATTRIBUTES = 10
"""SQS takes no more on one message."""
MAX_MESSAGE_BYTES = 1_048_576
"""SQS takes no larger one, attributes included; none of ours comes near, but another producer's may."""
MAX_DETAIL = 256
REDRIVEN = "redriven"
"""The attribute of a task that was put back from the dead-letter queue."""
_NEEDED = frozenset({"taskId", "idempotent", REDRIVEN})


class Reason(StrEnum):
    """Why a message is in the dead-letter queue."""

    UNREADABLE = "unreadable"
    PERMANENT = "permanent"
    ATTEMPTS = "attempts"
    DIED = "died"
    """The last permitted attempt ended without a verdict: its process died."""


def dead_letter(message: ReceivedMessage, reason: Reason, detail: str) -> OutgoingMessage:
    """Write the message for the dead-letter queue; its own attributes stay, as many as there is room for."""
    ours = {
        "deadLetterReason": reason.value,
        "deadLetterDetail": _printable(detail)[:MAX_DETAIL] or "none",
        "deadLetteredAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "deadLetterAttempts": str(message.receive_count),
        "deadLetterVersion": VERSION,
        "deadLetterMessageId": message.message_id,
    }
    letter = OutgoingMessage(
        body=message.body,
        attributes={**_first(message.attributes, MAX_ATTRIBUTES - len(ours)), **ours},
        group_id=message.group_id,
    )
    surplus = letter.size() - MAX_MESSAGE_BYTES
    return letter if surplus <= 0 else replace(letter, body=_without_end(message.body, surplus))


def without_dead_letter_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that the message had before."""
    return {name: value for name, value in attributes.items() if not name.startswith("deadLetter")}


def is_overruled(known: Notification, message: ReceivedMessage) -> bool:
    """Tell whether `known` is the failure that a redrive is to mend: of a redriven task, from before it was sent.

    StartMessageMoveTask leaves a message's attributes as they were, so those that set it aside mark it too.
    """
    is_redriven = any(name == REDRIVEN or name.startswith("deadLetter") for name in message.attributes)
    return is_redriven and known.status is Status.FAILED and known.time_ms <= message.sent_ms


async def bury(queue: Batcher[OutgoingMessage], message: ReceivedMessage, reason: Reason, detail: str) -> None:
    """Put the message into the dead-letter queue; returns when SQS has acknowledged it.

    :raises Transient, PermanentError: when it could not be put there.
    """
    letter = dead_letter(message, reason, detail)
    await queue.submit(letter, letter.size())
    DEAD_LETTERED.labels(reason.value).inc()


def _first(attributes: Mapping[str, str], count: int) -> dict[str, str]:
    """Keep `count` attributes, those that a redrive needs before others."""
    names = sorted(without_dead_letter_attributes(attributes), key=lambda name: name not in _NEEDED)
    return {name: attributes[name] for name in names[:count]}


def _without_end(body: str, surplus_bytes: int) -> str:
    return body.encode()[:-surplus_bytes].decode(errors="ignore")


def _printable(text: str) -> str:
    """Leave out what SQS refuses in attribute values."""
    return "".join(character if character.isprintable() else " " for character in text)
