"""The application that every HTTP service extends: request ids, CORS, problem+json, limits, metrics and a log line."""

import asyncio
import logging
import re
import time
from functools import partial
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from notification_api import TransientError
from services.common.lifecycle import Lifecycle
from services.common.memory import MIB, MemoryBudget, share_of_memory
from services.common.settings import HttpSettings
from services.common.telemetry.logs import log_context
from services.common.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from services.common.telemetry.spans import Span, SpanKind
from services.common.telemetry.tracing import exemplar, span
from services.common.web.connection import CONNECTIONS, admitted_body, awaits_continue
from services.common.web.cors import allow_origin, is_preflight, preflight_response
from services.common.web.problem import (
    PROBLEM_RESPONDER,
    Problem,
    ProblemResponder,
    from_http_exception,
    from_transient,
    internal_error,
    new_request_id,
    problem_response,
)
from services.common.web.problem_types import ProblemType

logger = logging.getLogger(__name__)

HTTP = web.AppKey("http", HttpSettings)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
BODIES = web.AppKey("bodies", MemoryBudget)
"""Memory for the bodies of all requests."""
OWNER = web.RequestKey("owner", str)
"""The id of the authenticated user."""
REQUEST_ID = web.RequestKey("request_id", str)

_REQUEST_ID_HEADER = "X-Request-Id"
_GIVEN_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MEMORY_PER_BODY_BYTE = 4
"""While it is read, a body exists in pieces and as a whole; afterwards as the body and as the message for the queue,
which is up to twice as large."""
BODIES_SHARE = 0.5
"""Of the memory for requests. The rest is for calls to the queue, responses and fragmentation."""
CONNECTIONS_SHARE = 0.15
_MAX_CONTENT_TYPE = 256
"""Characters. The time to parse it grows with the square of its length, and aiohttp caches the parsed values."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def create_web_app(http: HttpSettings, lifecycle: Lifecycle) -> web.Application:
    """Create an application with everything that the HTTP services have in common."""
    app = web.Application(middlewares=[_respond, _admit_body], client_max_size=http.max_body_bytes)
    app[HTTP] = http
    app[LIFECYCLE] = lifecycle
    limit = http.memory_limit_bytes
    least = 4 * MEMORY_PER_BODY_BYTE * http.max_body_bytes
    app[BODIES] = MemoryBudget("bodies", share_of_memory(limit, BODIES_SHARE, least_bytes=least))
    app[CONNECTIONS] = MemoryBudget("connections", share_of_memory(limit, CONNECTIONS_SHARE, least_bytes=8 * MIB))
    responder: ProblemResponder = partial(_respond_to_invalid, http)
    app[PROBLEM_RESPONDER] = responder
    return app


def _respond_to_invalid(http: HttpSettings, problem: Problem, origin: str | None) -> web.Response:
    """Respond to a request that could not be parsed."""
    request_id = new_request_id()
    response = problem_response(problem, request_id)
    _set_headers(response, request_id, origin, http)
    with log_context(requestId=request_id):
        _record("other", "unmatched", response.status, 0.0)
    return response


@web.middleware
async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to every request in the same form, errors included, and measure it."""
    started = time.perf_counter()
    request_id = _request_id(request)
    request[REQUEST_ID] = request_id
    method, route = _method(request), _route(request)
    traceparent = request.headers.get("traceparent")
    with log_context(requestId=request_id), span(f"{method} {route}", SpanKind.SERVER, parent=traceparent) as spanned:
        response = await _response(request, handler, request_id)
        _finish(request, response, request_id)
        seconds = time.perf_counter() - started
        # Scheduled, so that the response does not wait for the log line.
        asyncio.get_running_loop().call_soon(_record, method, route, response.status, seconds)
        _describe(spanned, method, route, response.status)
    return response


async def _response(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    if is_preflight(request):
        return preflight_response(request.app[HTTP].cors_allowed_headers)
    try:
        _refuse_encodings(request)
        _refuse_long_content_type(request)
        async with asyncio.timeout(request.app[HTTP].request_timeout_seconds):
            return await handler(request)
    except Exception as error:  # noqa: BLE001 — the boundary at which every error becomes a response
        return problem_response(_as_problem(error), request_id)


@web.middleware
async def _admit_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reserve memory for the body as it arrives. This is the last middleware: bodies of refused requests are not read.

    Bytes that are announced but not sent reserve nothing, so that the memory cannot be used up without sending.
    """
    if not request.body_exists or request.match_info.http_exception is not None:
        return await handler(request)
    max_bytes = request.app[HTTP].max_body_bytes
    size = request.content_length or 0
    if size > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=size)
    if request.method not in _METHODS_WITH_BODY:  # the body is not read
        return await handler(request)
    with request.app[BODIES].reservation(request.get(OWNER)) as reservation:
        reservation.check(MEMORY_PER_BODY_BYTE * size)
        with admitted_body(request, lambda arrived: reservation.grow_to(MEMORY_PER_BODY_BYTE * arrived)):
            return await handler(request)


def _refuse_encodings(request: web.Request) -> None:
    """Refuse compressed bodies, on every route and before anything is read."""
    values = request.headers.getall(hdrs.CONTENT_ENCODING, []) + request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    codings = {coding.strip().lower() for value in values for coding in value.split(",")}
    if not codings <= {"", "identity", "chunked"}:
        raise Problem(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            "Send the body without Content-Encoding.",
            headers={hdrs.ACCEPT_ENCODING: "identity"},
        )


def _refuse_long_content_type(request: web.Request) -> None:
    if any(len(value) > _MAX_CONTENT_TYPE for value in request.headers.getall(hdrs.CONTENT_TYPE, [])):
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, "The Content-Type is too long. Send a shorter one.")


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return from_http_exception(error)
    if isinstance(error, TimeoutError):
        logger.warning("responded 503: the request's time limit passed", extra={"action": "request"})
        return Problem(ProblemType.TIMED_OUT, "The request took too long. Try again.", retry_after_seconds=1)
    if isinstance(error, TransientError):
        logger.warning("responded 503: %s", error, extra={"action": "request", "error": type(error).__name__})
        return from_transient(error)
    logger.error("responded 500", exc_info=error, extra={"action": "request"})
    return internal_error()


def _finish(request: web.Request, response: web.StreamResponse, request_id: str) -> None:
    _set_headers(response, request_id, request.headers.get(hdrs.ORIGIN), request.app[HTTP])
    if request.app[LIFECYCLE].stopping.is_set():
        response.force_close()  # the client's next request goes to another replica
    if awaits_continue(request):
        response.force_close()  # the next bytes may be the body or another request


def _set_headers(response: web.StreamResponse, request_id: str, origin: str | None, http: HttpSettings) -> None:
    response.headers[_REQUEST_ID_HEADER] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    allow_origin(origin, response, http.allowed_origins)


def _method(request: web.Request) -> str:
    return request.method if request.method in _METHODS else "other"


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unmatched"


def _describe(spanned: Span, method: str, route: str, status: int) -> None:
    spanned.set({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        spanned.fail(str(status))


def _record(method: str, route: str, status: int, seconds: float) -> None:
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds, exemplar())
    logger.info(
        "request",
        extra={
            "action": "request",
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 5),
        },
    )


def _request_id(request: web.Request) -> str:
    given = request.headers.get(_REQUEST_ID_HEADER, "")
    return given if _GIVEN_REQUEST_ID.fullmatch(given) else new_request_id()
