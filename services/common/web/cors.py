"""CORS: pages of an allowed origin may read every response, errors included.

Credentials mode is off: bearer tokens are sent in a header, so cookies are not used.
"""

from collections.abc import Iterable

from aiohttp import hdrs, web

ALLOWED_METHODS = "GET, POST"
ALLOWED_HEADERS = (
    *("authorization", "content-type", "idempotency-key", "x-request-id"),
    *("baggage", "sentry-trace", "traceparent", "tracestate"),  # added by tracing in browsers
)
EXPOSED_HEADERS = "Date, Location, Retry-After, X-Request-Id"  # Date, since a browser's clock may be wrong
PREFLIGHT_SECONDS = "7200"  # the longest that Chromium caches


def is_preflight(request: web.Request) -> bool:
    """Return whether the request is a CORS preflight."""
    return request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


def preflight_response(more_headers: Iterable[str] = ()) -> web.Response:
    """Respond to a preflight; `allow_origin` adds the origin.

    :param more_headers: further request headers to allow.
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
    """Let the page read `response` if its origin is allowed."""
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    if origin in allowed:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS
