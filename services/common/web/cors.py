"""Cross-origin answers: an allowed origin may read every answer, errors included; no credentials mode.

Bearer tokens travel in a header that only our own page's code sets, so cookies and their mode are never needed.
"""

from collections.abc import Iterable

from aiohttp import hdrs, web

ALLOWED_METHODS = "GET, POST"
ALLOWED_HEADERS = (
    *("authorization", "content-type", "idempotency-key", "x-request-id"),
    *("baggage", "sentry-trace", "traceparent", "tracestate"),  # what tracing adds in browsers by itself
)
EXPOSED_HEADERS = "Date, Retry-After, X-Request-Id"  # the date, as a browser's own clock may be wrong
PREFLIGHT_SECONDS = "7200"  # the longest that Chromium keeps one


def is_preflight(request: web.Request) -> bool:
    """Tell whether a browser asks what it may send."""
    return request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


def preflight_response(more_headers: Iterable[str] = ()) -> web.Response:
    """Answer a preflight; `allow_origin` adds what makes it count.

    :param more_headers: names of request headers that are allowed besides ours.
    """
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ALLOWED_METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ", ".join(sorted({*ALLOWED_HEADERS, *more_headers})),
            hdrs.ACCESS_CONTROL_MAX_AGE: PREFLIGHT_SECONDS,
        },
    )


def allow_origin(origin: str | None, response: web.StreamResponse, allowed: frozenset[str]) -> None:
    """Let the page that asked read `response`, if its origin is one of ours."""
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    if origin in allowed:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS
