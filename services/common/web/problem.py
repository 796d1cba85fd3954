"""Error responses: problem+json (RFC 9457), always with the request's id."""

import math
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus

import orjson
from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong

from notification_api import TransientError
from services.common.overload import OverloadedError
from services.common.web.problem_types import ProblemType

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """A request is refused. `detail` says why and what the client can do.

    :param retry_after_seconds: when the request may be sent again; rounded up to whole seconds, at least one.
    :param headers: further headers of the response.
    """

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str,
        *,
        retry_after_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.type = problem_type
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after_seconds is not None:
            self.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(retry_after_seconds)))
        super().__init__(detail)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.type.status)


ProblemResponder = Callable[[Problem, str | None], web.Response]
"""Builds the response to a request that could not be parsed, from the problem and the Origin header if it is known."""
PROBLEM_RESPONDER: web.AppKey[ProblemResponder] = web.AppKey("problem_responder")


def default_problem_responder(problem: Problem, _origin: str | None) -> web.Response:
    """Respond for an application that has no `PROBLEM_RESPONDER`."""
    return problem_response(problem, new_request_id())


def new_request_id() -> str:
    """Return an id for a request without one."""
    return secrets.token_hex(8)


def internal_error() -> Problem:
    """Return 500. What happened is in the log."""
    return Problem(ProblemType.INTERNAL_ERROR, "The service failed. Report the requestId to its operators.")


def from_transient(error: TransientError) -> Problem:
    """Return 503 with Retry-After. The error's own message stays in the log."""
    problem_type = ProblemType.OVERLOADED if isinstance(error, OverloadedError) else ProblemType.UNAVAILABLE
    return Problem(problem_type, error.public_detail, retry_after_seconds=error.retry_after_seconds)


def from_http_exception(error: web.HTTPException) -> Problem:
    """Convert the errors that aiohttp raises: 404, 405, 413 and 421."""
    if error.status not in _HTTP_EXCEPTIONS:
        return internal_error()
    problem_type, detail = _HTTP_EXCEPTIONS[error.status]
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return Problem(problem_type, detail, headers=headers)


def from_parse_error(status: int, error: BaseException | None) -> Problem:
    """Say why a request could not be parsed, without quoting it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LineTooLong) or "Too many headers" in str(error):
        return Problem(ProblemType.HEADERS_TOO_LARGE, "The request has too many headers. Send fewer.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_error()
    return Problem(ProblemType.MALFORMED_REQUEST, "The request is not valid HTTP. Send a valid HTTP/1.1 request.")


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """Return the response for `problem`."""
    body = {
        "type": problem.type.uri,
        "title": problem.type.title,
        "status": problem.status,
        "detail": problem.detail,
        "requestId": request_id,
    }
    return web.Response(
        status=problem.status, body=orjson.dumps(body), content_type=CONTENT_TYPE, headers=problem.headers
    )


_HTTP_EXCEPTIONS = {
    404: (ProblemType.PATH_NOT_FOUND, "This path does not exist."),
    405: (ProblemType.METHOD_NOT_ALLOWED, "This path does not support the method. See the Allow header."),
    413: (ProblemType.BODY_TOO_LARGE, "The body is larger than this service accepts. Send less."),
    421: (ProblemType.MISDIRECTED_REQUEST, "This service does not serve the host of the request. Check its address."),
}
