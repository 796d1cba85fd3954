"""Reads and validates the body of a task: a JSON object with `data`. Each error says what to do."""

import asyncio
from http import HTTPStatus

import orjson
from aiohttp import ClientPayloadError, web

from services.common.messages.exact_json import NestedTooDeeplyError, NumberNotExactError, loads_64_bit
from services.common.web.app import HTTP
from services.common.web.problem import Problem

BODY_SHARE = 2 / 3
"""Of the request's time limit. The rest is for sending to the queue."""
EXAMPLE = 'Send a JSON object like {"data": "…"}.'
_EXACT_NUMBERS = "to be represented exactly (integers: 64 bits, others: double precision). Send it as a string."


async def read_payload(request: web.Request) -> bytes:
    """Return the unchanged body if it is a valid task.

    :raises Problem: 400, 408, 413 (by the size limit of the application) or 415.
    """
    if request.content_type != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the task with Content-Type: application/json.")
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the task in UTF-8.")
    raw = await _read(request)
    fields = _json(raw)
    if not isinstance(fields, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not a JSON object. {EXAMPLE}")
    data = fields.get("data")
    if not isinstance(data, str) or not data.strip():
        raise Problem(HTTPStatus.BAD_REQUEST, f"`data` must be a string that is not empty. {EXAMPLE}")
    return raw


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SHARE * request.app[HTTP].request_timeout_seconds):
            return await request.read()
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT, "The body was not received in time. Send the request again."
        ) from None
    except (ConnectionError, ClientPayloadError, web.RequestPayloadError):
        # Mostly the client has disconnected, which is not a failure of the service.
        raise Problem(HTTPStatus.BAD_REQUEST, "The body was not received completely. Send the request again.") from None


def _json(raw: bytes) -> object:
    """Parse strictly: no NaN, invalid UTF-8, deep nesting or number that cannot be represented exactly."""
    try:
        return loads_64_bit(raw)
    except NumberNotExactError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The number {error.number} is too large {_EXACT_NUMBERS}") from None
    except NestedTooDeeplyError:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is nested too deeply. Send fewer levels.") from None
    except orjson.JSONDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}. {EXAMPLE}") from None
