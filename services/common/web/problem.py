"""Errors as a client sees them: problem+json (RFC 9457), always with the request's id."""

import math
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from services.common.errors import Transient

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is refused; `detail` tells the client what to do about it."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        super().__init__(detail)


Refusal = Callable[[Problem, str | None], web.Response]
REFUSAL: web.AppKey[Refusal] = web.AppKey("refusal")
"""Builds the answer to what never became a request, for the origin that it came from where that is known."""


def plain_refusal(problem: Problem, _origin: str | None) -> web.Response:
    """Answer where no application says otherwise."""
    return problem_response(problem, new_request_id())


def new_request_id() -> str:
    """Return an id for a request that came without one."""
    return secrets.token_hex(8)


def unavailable(error: Transient) -> Problem:
    """Turn a transient error into a 503 that says when to come back, and nothing of the inside."""
    seconds = max(1, math.ceil(error.retry_after_seconds))
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.public_detail, headers={"Retry-After": str(seconds)})


def from_http_exception(error: web.HTTPException) -> Problem:
    """Give aiohttp's own refusals (404, 405, 413…) the same form."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return Problem(error.status, _DETAILS.get(error.status, error.reason), headers=headers)


def from_unreadable(status: int, error: BaseException | None) -> Problem:
    """Say what was wrong with a request that could not be parsed, and nothing of what it held."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LineTooLong) or "Too many headers" in str(error):
        return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "There are too many headers. Send fewer.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(status, "Something went wrong here. Tell us the requestId.")
    return Problem(status, "This is no HTTP request that can be read. Send a valid HTTP/1.1 request.")


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """Write `problem` as an answer."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "requestId": request_id,
    }
    return web.Response(
        status=problem.status, body=orjson.dumps(body), content_type=CONTENT_TYPE, headers=problem.headers
    )


_DETAILS = {
    404: "There is nothing at this path.",
    405: "This path does not take that method; see the Allow header.",
    413: "The body is larger than this service takes.",
}
