"""Error responses: problem+json (RFC 9457), always with the request's id."""

import math
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from notification_api import TransientError

CONTENT_TYPE = "application/problem+json"
INTERNAL_ERROR = "The service failed. Report the requestId to its operators."


class Problem(Exception):
    """A request is refused. `detail` says why and what the client can do."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        super().__init__(detail)


ProblemResponder = Callable[[Problem, str | None], web.Response]
"""Builds the response to a request that could not be parsed, from the problem and the Origin header if it is known."""
PROBLEM_RESPONDER: web.AppKey[ProblemResponder] = web.AppKey("problem_responder")


def default_problem_responder(problem: Problem, _origin: str | None) -> web.Response:
    """Respond for an application that has no `PROBLEM_RESPONDER`."""
    return problem_response(problem, new_request_id())


def new_request_id() -> str:
    """Return an id for a request without one."""
    return secrets.token_hex(8)


def from_transient(error: TransientError) -> Problem:
    """Return 503 with Retry-After. The error's own message stays in the log."""
    seconds = max(1, math.ceil(error.retry_after_seconds))
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.public_detail, headers={"Retry-After": str(seconds)})


def from_http_exception(error: web.HTTPException) -> Problem:
    """Convert aiohttp's errors (404, 405, 413…)."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return Problem(error.status, _DETAILS.get(error.status, error.reason), headers=headers)


def from_parse_error(status: int, error: BaseException | None) -> Problem:
    """Say why a request could not be parsed, without quoting it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LineTooLong) or "Too many headers" in str(error):
        return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has too many headers. Send fewer.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(status, INTERNAL_ERROR)
    return Problem(status, "The request is not valid HTTP. Send a valid HTTP/1.1 request.")


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """Return the response for `problem`."""
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
    404: "This path does not exist.",
    405: "This path does not support the method. See the Allow header.",
    413: "The body is larger than this service accepts.",
}
