"""The notification on a user's topic: at most 4,096 UTF-8 bytes, cut between characters, never empty."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import orjson
import regex

from services.common.messages.task_details import NO_DETAILS, TaskDetails, optional

MAX_BYTES = 4_096
"""Momento's limit for a topic message (momentohq/public-dev-docs, topic limits)."""
SHORT_MESSAGE = 300
"""Characters of a message with which a notification always fits, without data and error: in JSON a character takes at
most six bytes, and the input, the title, the type and the task's id are bounded."""
CUT = "… (cut)"
"""The end of a message that was too long."""

_JOINER = "\u200d"


class Status(StrEnum):
    """The task status in a notification."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    PROGRESS = "progress"


class Format(StrEnum):
    """How a notification is encoded."""

    JSON = "json"
    TEXT = "text"
    """The message alone, as the serverless original sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message about one task for its user.

    Its JSON form, on the topic and in the history: ``{"taskId": …, "status": …, "message": …, "time": …}`` and the
    optional fields of `_optional`. A new field is added there, in `from_fields`, and in
    `sdk/javascript/src/notifications/notification.ts`. Entries of the history and clients are of different versions, so
    a field that is missing needs a default.
    """

    task_id: str
    status: Status
    message: str
    time_ms: int
    """Epoch milliseconds."""
    details: TaskDetails = NO_DETAILS
    data: Any = None
    """The structured data of the result, JSON; None if there is none or it did not fit."""
    truncated: bool = False
    """Whether the message was cut or the data left out; the result store has the whole of a finished task."""
    percent: float | None = None
    """Of a progress notification: 0 to 100."""
    next_attempt_at_ms: int | None = None
    """Of a progress notification about a failed attempt: when the next one starts at the earliest; epoch ms."""
    error: str | None = None
    """Of a failed task: what its handler lets the user read."""
    reason: str | None = None
    """Of a failed task: why it failed, such as `max_attempts`."""

    def encode(self, form: Format) -> str:
        """Return the text for the topic, cut to `MAX_BYTES`."""
        if form is Format.TEXT:
            return _fit(self.message or self.status.value, lambda message: message)
        text = self._json(without_surrogates(self.message))
        if len(text.encode()) <= MAX_BYTES:
            return text
        # Only the whole result of a finished task is stored.
        shorter = replace(self, data=None, truncated=self.status is Status.FINISHED, error=None)
        return _fit(self.message, shorter._json)

    def fits(self) -> bool:
        """Return whether the JSON form is complete."""
        if self.data is None and self.error is None and len(self.message) <= SHORT_MESSAGE:
            return not self.truncated  # most notifications, without encoding them
        return not self.truncated and len(self._json(without_surrogates(self.message)).encode()) <= MAX_BYTES

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], default_task_id: str) -> Self:
        """Return the notification of a parsed JSON form. Unknown fields are ignored, and optional ones of another type.

        :raises KeyError, TypeError, ValueError: when a required field is missing or has another type or value.
        """
        return cls(
            task_id=text_of(fields.get("taskId", default_task_id)),
            status=Status(text_of(fields["status"])),
            message=text_of(fields["message"]),
            time_ms=whole_number_of(fields["time"]),
            details=TaskDetails.from_fields(fields),
            data=fields.get("data"),
            truncated=fields.get("truncated") is True,
            percent=optional(fields, "percent", int, float),
            next_attempt_at_ms=optional(fields, "nextAttemptAt", int),
            error=optional(fields, "error", str),
            reason=optional(fields, "reason", str),
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON form, of any size."""
        return {
            "taskId": self.task_id,
            "status": self.status.value,
            "message": self.message,
            "time": self.time_ms,
            **self.details.fields(),
            **self._optional(),
        }

    def _json(self, message: str) -> str:
        return orjson.dumps({**self.fields(), "message": message}).decode()

    def _optional(self) -> dict[str, Any]:
        optional = {
            "data": self.data,
            "truncated": self.truncated or None,
            "percent": self.percent,
            "nextAttemptAt": self.next_attempt_at_ms,
            "error": self.error,
            "reason": self.reason,
        }
        return {name: value for name, value in optional.items() if value is not None}


def user_topic(user_id: str) -> str:
    """Return the name of a user's topic: the verified `sub`, so no user can choose another one's."""
    return user_id


def finished(
    task_id: str, text: str, time_ms: int, details: TaskDetails = NO_DETAILS, data: Any = None
) -> Notification:
    """Return the notification of a finished task."""
    return Notification(
        task_id=task_id,
        status=Status.FINISHED,
        message=f"Finished task: {text}",
        time_ms=time_ms,
        details=details,
        data=data,
    )


def failed(
    task_id: str,
    text: str,
    time_ms: int,
    details: TaskDetails = NO_DETAILS,
    *,
    error: str | None = None,
    reason: str | None = None,
) -> Notification:
    """Return the notification of a failed task.

    :param text: the task's data. What the handler raised is logged, and not sent to the user.
    :param error: the text that the handler raised for the user, if it did.
    """
    return Notification(
        task_id=task_id,
        status=Status.FAILED,
        message=f"Failed task: {text if error is None else error}",
        time_ms=time_ms,
        details=details,
        error=error,
        reason=reason,
    )


def cancelled(task_id: str, time_ms: int, details: TaskDetails = NO_DETAILS) -> Notification:
    """Return the notification of a cancelled task."""
    message = f"Cancelled task: {details.title_text}"
    return Notification(task_id=task_id, status=Status.CANCELLED, message=message, time_ms=time_ms, details=details)


def expired(task_id: str, time_ms: int, details: TaskDetails = NO_DETAILS) -> Notification:
    """Return the notification of a task that was not started in time."""
    message = f"Expired task: {details.title_text}"
    return Notification(task_id=task_id, status=Status.EXPIRED, message=message, time_ms=time_ms, details=details)


def progress(
    task_id: str,
    text: str,
    time_ms: int,
    details: TaskDetails = NO_DETAILS,
    *,
    percent: float | None = None,
    next_attempt_at_ms: int | None = None,
) -> Notification:
    """Return a progress notification. It is never empty, since the web SDK treats an empty message as an error."""
    return Notification(
        task_id=task_id,
        status=Status.PROGRESS,
        message=text or "Working",
        time_ms=time_ms,
        details=details,
        percent=percent,
        next_attempt_at_ms=next_attempt_at_ms,
    )


def text_of(value: object) -> str:
    """:raises TypeError: when the value is not text."""
    if isinstance(value, str):
        return value
    raise TypeError


def whole_number_of(value: object) -> int:
    """:raises TypeError: when the value is not an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError


def _fit(message: str, write: Callable[[str], str]) -> str:
    """Encode the longest start of `message` that fits. It is found by bisection, since escapes change the length."""
    message = without_surrogates(message)
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
    return write(_whole_characters(message, fits) + CUT)


def _whole_characters(message: str, end: int) -> str:
    """Return the first `end` code points without an incomplete character (grapheme cluster) at the end."""
    # One code point more shows whether a character continues after `end`.
    *_, last = regex.finditer(r"\X", message[: end + 1])
    return message[: last.start()].rstrip(_JOINER)


def without_surrogates(message: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode."""
    return message.encode("utf-8", "replace").decode()
