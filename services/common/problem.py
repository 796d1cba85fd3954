"""Errors as a client sees them: problem+json (RFC 9457), always with the request's id."""

import math
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from services.common.errors import Transient

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is refused; `detail` tells the client what to do about it."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        super().__init__(detail)


def unavailable(error: Transient) -> Problem:
    """Turn a transient error into a 503 that says when to come back, and nothing of the inside."""
    seconds = max(1, math.ceil(error.retry_after_seconds))
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.public_detail, headers={"Retry-After": str(seconds)})


def from_http_exception(error: web.HTTPException) -> Problem:
    """Give aiohttp's own refusals (404, 405, 413…) the same form."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return Problem(error.status, _DETAILS.get(error.status, error.reason), headers=headers)


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
