"""The web application that every HTTP service starts from: ids, CORS, problem+json, limits, metrics, one log line."""

import asyncio
import logging
import re
import time
from functools import partial
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from services.common.errors import Transient
from services.common.lifecycle import Lifecycle
from services.common.memory import MIB, MemoryBudget, share_of_memory
from services.common.settings import HttpSettings
from services.common.telemetry.logs import log_context
from services.common.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from services.common.telemetry.tracing import Span, SpanKind, exemplar, span
from services.common.web.connections import CONNECTIONS, admitted_body, is_body_unasked
from services.common.web.cors import allow_origin, is_preflight, preflight_response
from services.common.web.problem import (
    REFUSAL,
    Problem,
    Refusal,
    from_http_exception,
    new_request_id,
    problem_response,
    unavailable,
)

logger = logging.getLogger(__name__)

HTTP = web.AppKey("http", HttpSettings)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
BODIES = web.AppKey("bodies", MemoryBudget)
"""What the bodies of all requests may use of the memory."""
OWNER = web.RequestKey("owner", str)
"""The user whose request it is, once that is known."""
REQUEST_ID = web.RequestKey("request_id", str)

_REQUEST_ID_HEADER = "X-Request-Id"
_GIVEN_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HELD_PER_BODY_BYTE = 4
"""A body is in pieces and as a whole while it is read; then there are the body and, up to twice as large, what is made
of it for the queue."""
BODIES_SHARE = 0.5
"""Of the memory that is left for requests. The rest is for calls to the queue, answers and fragmentation."""
CONNECTIONS_SHARE = 0.15
_MAX_CONTENT_TYPE = 256
"""The time that it takes to parse one grows with the square of its length, and aiohttp caches what it has parsed."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class _TookTooLong(Transient):
    """The time limit of a request passed."""

    public_detail = "This took longer than it may. Try again."


def create_web_app(http: HttpSettings, lifecycle: Lifecycle) -> web.Application:
    """Build an application with everything that our HTTP services have in common."""
    app = web.Application(middlewares=[_answered, _admitted], client_max_size=http.max_body_bytes)
    app[HTTP] = http
    app[LIFECYCLE] = lifecycle
    limit = http.memory_limit_bytes
    least = 4 * HELD_PER_BODY_BYTE * http.max_body_bytes
    app[BODIES] = MemoryBudget("bodies", share_of_memory(limit, BODIES_SHARE, least_bytes=least))
    app[CONNECTIONS] = MemoryBudget("connections", share_of_memory(limit, CONNECTIONS_SHARE, least_bytes=8 * MIB))
    refusal: Refusal = partial(_refused, http)
    app[REFUSAL] = refusal
    return app


def _refused(http: HttpSettings, problem: Problem, origin: str | None) -> web.Response:
    """Answer what never became a request."""
    request_id = new_request_id()
    response = problem_response(problem, request_id)
    _complete(response, request_id, origin, http)
    with log_context(requestId=request_id):
        _record("other", "unmatched", response.status, 0.0)
    return response


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request in the same form, whatever happens to it, and measure it."""
    started = time.perf_counter()
    request_id = _request_id(request)
    request[REQUEST_ID] = request_id
    method, route = _method(request), _route(request)
    traceparent = request.headers.get("traceparent")
    with log_context(requestId=request_id), span(f"{method} {route}", SpanKind.SERVER, parent=traceparent) as spanned:
        response = await _response(request, handler, request_id)
        _finish(request, response, request_id)
        seconds = time.perf_counter() - started
        # Once the answer is on its way: nobody has to wait for a log line.
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
    except Exception as error:  # noqa: BLE001 — the one border where every error becomes an answer
        return problem_response(_as_problem(error), request_id)


@web.middleware
async def _admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take memory for the body as it arrives. The last middleware: what is refused before is not read at all.

    Bytes that were announced and not sent cost nothing, so that nobody can use up the memory without sending.
    """
    if not request.body_exists or request.match_info.http_exception is not None:
        return await handler(request)
    most = request.app[HTTP].max_body_bytes
    size = request.content_length or 0
    if size > most:
        raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=size)
    if request.method not in _METHODS_WITH_BODY:  # nobody reads it
        return await handler(request)
    with request.app[BODIES].reservation(request.get(OWNER)) as held:
        held.check(HELD_PER_BODY_BYTE * size)
        with admitted_body(request, lambda arrived: held.grow_to(HELD_PER_BODY_BYTE * arrived)):
            return await handler(request)


def _refuse_encodings(request: web.Request) -> None:
    """Refuse a body that would have to be inflated, on every route and before anything of it is read."""
    named = request.headers.getall(hdrs.CONTENT_ENCODING, []) + request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    codings = {coding.strip().lower() for value in named for coding in value.split(",")}
    if not codings <= {"", "identity", "chunked"}:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send the body without Content-Encoding.",
            headers={hdrs.ACCEPT_ENCODING: "identity"},
        )


def _refuse_long_content_type(request: web.Request) -> None:
    if any(len(value) > _MAX_CONTENT_TYPE for value in request.headers.getall(hdrs.CONTENT_TYPE, [])):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The Content-Type is too long. Send a shorter one.")


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return from_http_exception(error)
    if isinstance(error, TimeoutError):
        error = _TookTooLong("the request's time limit passed")
    if isinstance(error, Transient):
        logger.warning("answered 503: %s", error, extra={"action": "request", "error": type(error).__name__})
        return unavailable(error)
    logger.error("answered 500", exc_info=error, extra={"action": "request"})
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here. Tell us the requestId.")


def _finish(request: web.Request, response: web.StreamResponse, request_id: str) -> None:
    _complete(response, request_id, request.headers.get(hdrs.ORIGIN), request.app[HTTP])
    if request.app[LIFECYCLE].stopping.is_set():
        response.force_close()  # the client's next request goes to a replica that stays
    if is_body_unasked(request):
        response.force_close()  # what comes next may be the body or another request


def _complete(response: web.StreamResponse, request_id: str, origin: str | None, http: HttpSettings) -> None:
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
