"""The task on the queue: a body as in the serverless original, and message attributes.

Body: ``{"userId": "<sub>", "payload": "<raw request body>"}``. The payload is a JSON object with `data`. Attributes,
all of them optional strings: `taskId`, `traceparent`, `idempotent`, `type`, `delaySeconds`, `expiresAt`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from notification_api import PermanentError
from notification_api.handlers import TYPE_NAME
from notification_api.task import DEFAULT_TYPE
from services.common.messages.exact_json import NestedTooDeeplyError, NumberNotExactError, loads_exact

# SQS refuses these two, which JSON allows unescaped (SendMessage, "Message characters").
_REFUSED_BY_SQS = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
# What may be in a JSON text and has to be escaped in a JSON string or for SQS; the backslash first.
_ESCAPES = (
    *((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t")),
    *((chr(code).encode(), escape.encode()) for code, escape in _REFUSED_BY_SQS.items()),
)
_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Ingest creates UUIDs. The id is in every notification, whose size is limited.
_TASK_ID = re.compile(r"[\x21-\x7e]{1,128}")
_DELAY_SECONDS = re.compile(r"[0-9]{1,3}")
_EPOCH_MS = re.compile(r"[1-9][0-9]{12,14}")
"""From the year 2001. So a time in seconds is ignored, and does not expire the task."""

TASK_ID = "taskId"
TRACEPARENT = "traceparent"
IDEMPOTENT = "idempotent"
TYPE = "type"
DELAY_SECONDS = "delaySeconds"
EXPIRES_AT = "expiresAt"

INVALID_TYPE = "(invalid)"
"""The type of a task whose `type` attribute is not a type's name. No type can have this name, so it is unknown."""
MAX_DELAY_SECONDS = 900
"""The maximum of DelaySeconds in SQS."""


class MalformedTask(PermanentError):
    """A message on the queue is not a task. `user_id` is set if it could be read."""

    def __init__(self, message: str, user_id: str | None = None) -> None:
        self.user_id = user_id
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMessage:
    """A task as ingest sends it and the processor receives it."""

    task_id: str
    user_id: str
    payload: str | bytes
    """The unchanged request body, JSON. Ingest uses bytes, since text may use four bytes per character."""
    traceparent: str | None = None
    idempotent: bool = False
    """Whether another message may have the same task id: the client sent an Idempotency-Key, or ingest repeated a call
    whose response was lost."""
    type: str = DEFAULT_TYPE
    """Selects the handler."""
    delay_seconds: int = 0
    """How long after sending the task becomes available; 0 to 900."""
    expires_at_ms: int | None = None
    """Until when the first attempt may start; epoch milliseconds. None: without end."""

    def payload_bytes(self) -> bytes:
        """Return the payload in UTF-8."""
        return self.payload.encode() if isinstance(self.payload, str) else self.payload

    def encoded_body(self) -> bytes:
        """Return the message body in UTF-8. A payload in bytes is not decoded."""
        if isinstance(self.payload, str):
            return self.body().encode()
        payload = self.payload
        for raw, escaped in _ESCAPES:
            payload = payload.replace(raw, escaped)
        return b'{"userId":"%b","payload":"%b"}' % (self.user_id.encode(), payload)

    def body(self) -> str:
        """Return the message body."""
        if isinstance(self.payload, bytes):
            return self.encoded_body().decode()
        return orjson.dumps({"userId": self.user_id, "payload": self.payload}).decode().translate(_REFUSED_BY_SQS)

    def attributes(self) -> dict[str, str]:
        """Return the message attributes; all are strings."""
        attributes = {TASK_ID: self.task_id}
        if self.traceparent:
            attributes[TRACEPARENT] = self.traceparent
        if self.idempotent:
            attributes[IDEMPOTENT] = "true"
        if self.type != DEFAULT_TYPE:
            attributes[TYPE] = self.type
        if self.delay_seconds:
            attributes[DELAY_SECONDS] = str(self.delay_seconds)
        if self.expires_at_ms is not None:
            attributes[EXPIRES_AT] = str(self.expires_at_ms)
        return attributes


def parse_task(body: str, attributes: dict[str, str], message_id: str) -> tuple[TaskMessage, dict[str, Any]]:
    """Return the task and the fields of its payload.

    Without a valid `taskId` attribute (the serverless original sends none) the message id is the task id. A
    `delaySeconds` or `expiresAt` that is invalid is ignored, and an invalid `type` becomes `INVALID_TYPE`.

    :raises MalformedTask: when the message is not a task.
    """
    envelope = _object(body, "body")
    user_id = envelope.get("userId")
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise MalformedTask("the body has no valid userId")
    payload = envelope.get("payload")
    if not isinstance(payload, str):
        raise MalformedTask("the body has no payload text", user_id)
    fields = _object(payload, "payload", user_id)
    if fields.get("data") is None:
        raise MalformedTask("the payload has no data", user_id)
    task = TaskMessage(
        task_id=task_id_of(attributes, message_id),
        user_id=user_id,
        payload=payload,
        traceparent=attributes.get(TRACEPARENT),
        idempotent=attributes.get(IDEMPOTENT) == "true",
        type=task_type_of(attributes),
        delay_seconds=delay_seconds_of(attributes),
        expires_at_ms=_expires_at_ms(attributes),
    )
    return task, fields


def task_id_of(attributes: Mapping[str, str], message_id: str) -> str:
    """Return the task id of a message, or the message id if it has no valid one."""
    task_id = attributes.get(TASK_ID, "")
    return task_id if is_task_id(task_id) else message_id


def is_task_id(text: str) -> bool:
    """Return whether the text may be the id of a task."""
    return _TASK_ID.fullmatch(text) is not None


def is_type_name(text: str) -> bool:
    """Return whether the text can be the name of a task type."""
    return TYPE_NAME.fullmatch(text) is not None


def task_type_of(attributes: Mapping[str, str]) -> str:
    """Return the task type of a message, which may be unknown: `default` without one, `INVALID_TYPE` if invalid."""
    name = attributes.get(TYPE)
    if name is None:
        return DEFAULT_TYPE
    return name if is_type_name(name) else INVALID_TYPE


def delay_seconds_of(attributes: Mapping[str, str]) -> int:
    """Return how long after sending a message became available, or 0 if that is unknown."""
    text = attributes.get(DELAY_SECONDS)
    if text is None:
        return 0
    seconds = int(text) if _DELAY_SECONDS.fullmatch(text) else 0
    return seconds if seconds <= MAX_DELAY_SECONDS else 0


def _expires_at_ms(attributes: Mapping[str, str]) -> int | None:
    text = attributes.get(EXPIRES_AT)
    return int(text) if text is not None and _EPOCH_MS.fullmatch(text) else None


def _object(text: str, what: str, user_id: str | None = None) -> dict[str, Any]:
    try:
        value = loads_exact(text)
    except (NumberNotExactError, NestedTooDeeplyError) as error:
        raise MalformedTask(f"the {what} cannot be read: {error}", user_id) from None
    except ValueError as error:
        raise MalformedTask(f"the {what} is not JSON: {error}", user_id) from None
    if not isinstance(value, dict):
        raise MalformedTask(f"the {what} is not a JSON object", user_id)
    return value
