"""Reads and validates the body of a task: a JSON object with `data` and options. Each error says what to do."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientPayloadError, web

from notification_api.task import DEFAULT_TYPE
from services.common.messages.exact_json import NestedTooDeeplyError, NumberNotExactError, loads_64_bit
from services.common.messages.task_message import MAX_DELAY_SECONDS, is_type_name
from services.common.web.app import HTTP
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType

BODY_SHARE = 2 / 3
"""Of the request's time limit. The rest is for sending to the queue."""
MAX_TTL_SECONDS = 86_400
EXAMPLE = 'Send a JSON object like {"data": "…"}.'
_EXACT_NUMBERS = "to be represented exactly (integers: 64 bits, others: double precision). Send it as a string."


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBody:
    """A valid body and its options."""

    payload: bytes
    """The unchanged body."""
    type: str = DEFAULT_TYPE
    delay_seconds: int = 0
    ttl_seconds: int | None = None
    """How long after its delay the task may wait for its first attempt; None: without end."""

    def expires_at_ms(self, accepted_at_ms: int) -> int | None:
        """Return when the task expires; epoch milliseconds."""
        if self.ttl_seconds is None:
            return None
        return accepted_at_ms + (self.delay_seconds + self.ttl_seconds) * 1_000


async def read_task_body(request: web.Request, task_types: Sequence[str]) -> TaskBody:
    """Return the body if it is a valid task.

    :param task_types: the types that are accepted; empty for all.
    :raises Problem: 400, 408, 413 (by the size limit of the application) or 415.
    """
    if request.content_type != "application/json":
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, "Send the task with Content-Type: application/json.")
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, "Send the task in UTF-8.")
    raw = await _read(request)
    fields = _json(raw)
    if not isinstance(fields, dict):
        raise Problem(ProblemType.INVALID_BODY, f"The body is not a JSON object. {EXAMPLE}")
    data = fields.get("data")
    if data is None or (isinstance(data, str) and not data.strip()):
        raise Problem(
            ProblemType.INVALID_BODY, f"`data` must be text that is not empty, or any other JSON but null. {EXAMPLE}"
        )
    return TaskBody(
        payload=raw,
        type=_task_type(fields.get("type", DEFAULT_TYPE), task_types),
        delay_seconds=_whole_seconds(fields, "delaySeconds", 0, MAX_DELAY_SECONDS) or 0,
        ttl_seconds=_whole_seconds(fields, "ttlSeconds", 1, MAX_TTL_SECONDS),
    )


def _task_type(name: object, task_types: Sequence[str]) -> str:
    if not isinstance(name, str) or not is_type_name(name):
        raise Problem(
            ProblemType.INVALID_BODY,
            "`type` must be the name of a task type: 1 to 64 letters, digits, dots, hyphens and underscores, starting"
            " with a letter or a digit.",
        )
    if task_types and name not in task_types:
        raise Problem(
            ProblemType.UNKNOWN_TASK_TYPE,
            f"There is no task type {name!r}. Set `type` to one of: {', '.join(task_types)}.",
        )
    return name


def _whole_seconds(fields: dict[str, Any], name: str, least: int, most: int) -> int | None:
    if name not in fields:
        return None
    seconds = fields[name]
    if type(seconds) is not int or not least <= seconds <= most:  # not isinstance, since True is an int
        raise Problem(ProblemType.INVALID_BODY, f"`{name}` must be a whole number of seconds from {least} to {most}.")
    return seconds


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SHARE * request.app[HTTP].request_timeout_seconds):
            return await request.read()
    except TimeoutError:
        raise Problem(ProblemType.BODY_TIMEOUT, "The body was not received in time. Send the request again.") from None
    except (ConnectionError, ClientPayloadError, web.RequestPayloadError):
        # Mostly the client has disconnected, which is not a failure of the service.
        raise Problem(
            ProblemType.INCOMPLETE_BODY, "The body was not received completely. Send the request again."
        ) from None


def _json(raw: bytes) -> object:
    """Parse strictly: no NaN, invalid UTF-8, deep nesting or number that cannot be represented exactly."""
    try:
        return loads_64_bit(raw)
    except NumberNotExactError as error:
        raise Problem(ProblemType.INVALID_BODY, f"The number {error.number} is too large {_EXACT_NUMBERS}") from None
    except NestedTooDeeplyError:
        raise Problem(ProblemType.INVALID_BODY, "The body is nested too deeply. Send fewer levels.") from None
    except orjson.JSONDecodeError as error:
        raise Problem(ProblemType.INVALID_BODY, f"The body is not JSON: {error}. {EXAMPLE}") from None
