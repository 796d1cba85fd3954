"""The notification as it is published: at most 4,096 UTF-8 bytes, cut at a character, never empty."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import orjson

MAX_BYTES = 4_096
"""Momento's hard limit on a topic message (research: public-dev-docs, topic limits)."""
CUT = "… (cut)"
"""What a message that was too long ends with."""

_JOINER = "\u200d"
# What belongs to the character before it, besides marks: joiners, variation selectors, vowels and finals of Hangul,
# skin tones, tags of flags (Unicode 16, UAX #29, Extend and V/T).
_CONTINUING = re.compile("[\u200c\u200d\ufe00-\ufe0f\u1160-\u11ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


class Status(StrEnum):
    """What became of a task."""

    FINISHED = "finished"
    FAILED = "failed"
    PROGRESS = "progress"


class Format(StrEnum):
    """How a notification is written."""

    JSON = "json"
    TEXT = "text"
    """The message alone, as the serverless original sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """News of one task for its user."""

    task_id: str
    status: Status
    message: str
    time_ms: int
    """Epoch milliseconds."""

    def encode(self, form: Format) -> str:
        """Write it in `form`, cut to what a topic takes."""
        if form is Format.TEXT:
            return _fit(self.message or self.status.value, lambda message: message)
        return _fit(self.message, self._json)

    def _json(self, message: str) -> str:
        fields = {
            "taskId": self.task_id,
            "status": self.status.value,
            "message": message,
            "time": self.time_ms,
        }
        return orjson.dumps(fields).decode()


def finished(task_id: str, text: str, time_ms: int) -> Notification:
    """News that a task is done."""
    return Notification(task_id=task_id, status=Status.FINISHED, message=f"Finished task: {text}", time_ms=time_ms)


def failed(task_id: str, text: str, time_ms: int) -> Notification:
    """News that a task will never be done; why is for the operators' logs, not for the user."""
    return Notification(task_id=task_id, status=Status.FAILED, message=f"Failed task: {text}", time_ms=time_ms)


def progress(task_id: str, text: str, time_ms: int) -> Notification:
    """News on the way; an empty text gets words, since the web SDK takes an empty message for an error."""
    return Notification(task_id=task_id, status=Status.PROGRESS, message=text or "Working", time_ms=time_ms)


def _fit(message: str, write: Callable[[str], str]) -> str:
    """Write the longest start of `message` that fits, by bisection: escapes make the length unpredictable."""
    message = _without_surrogates(message)
    text = write(message)
    if len(text.encode()) <= MAX_BYTES:
        return text
    fits, too_long = 0, min(len(message), MAX_BYTES)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(write(message[:middle] + CUT).encode()) <= MAX_BYTES:
            fits = middle
        else:
            too_long = middle
    return write(message[: _character_start(message, fits)] + CUT)


def _character_start(message: str, end: int) -> int:
    """Move `end` back so that no mark is cut from its letter, and no joined emoji and no flag in two."""
    while end > 0 and _continues(message, end):
        end -= 1
    return end


def _continues(message: str, index: int) -> bool:
    after, before = message[index], message[index - 1]
    if before == _JOINER or _CONTINUING.match(after) or unicodedata.category(after).startswith("M"):
        return True
    return _is_flag_letter(after) and _flag_letters_before(message, index) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(message: str, index: int) -> int:
    start = index
    while start > 0 and _is_flag_letter(message[start - 1]):
        start -= 1
    return index - start


def _without_surrogates(message: str) -> str:
    """Replace lone surrogates, which no UTF-8 text can hold."""
    return message.encode("utf-8", "replace").decode()
