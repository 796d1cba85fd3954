"""The task on the queue: a body as in the serverless original, and message attributes.

Body: ``{"userId": "<sub>", "payload": "<raw request body>"}``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from notification_api import PermanentError
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

TASK_ID = "taskId"
TRACEPARENT = "traceparent"
IDEMPOTENT = "idempotent"


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
        return attributes


def parse_task(body: str, attributes: dict[str, str], message_id: str) -> tuple[TaskMessage, dict[str, Any]]:
    """Return the task and the fields of its payload.

    Without a valid `taskId` attribute (the serverless original sends none) the message id is the task id.

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
    if not isinstance(fields.get("data"), str):
        raise MalformedTask("the payload has no data text", user_id)
    task = TaskMessage(
        task_id=task_id_of(attributes, message_id),
        user_id=user_id,
        payload=payload,
        traceparent=attributes.get(TRACEPARENT),
        idempotent=attributes.get(IDEMPOTENT) == "true",
    )
    return task, fields


def task_id_of(attributes: Mapping[str, str], message_id: str) -> str:
    """Return the task id of a message, or the message id if it has no valid one."""
    task_id = attributes.get(TASK_ID, "")
    return task_id if _TASK_ID.fullmatch(task_id) else message_id


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
