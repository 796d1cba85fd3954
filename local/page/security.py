"""The security headers of every answer: a page here is as safe as one in production."""

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def content_security_policy(talks_to: Iterable[str]) -> str:
    """Nothing but our own files, and connections to our own services."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "manifest-src 'self'",
            " ".join(["connect-src 'self'", *talks_to]),
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def security_headers(talks_to: Iterable[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For `app.on_response_prepare`, which also sees the answers of errors."""
    headers = FIXED_HEADERS | {"Content-Security-Policy": content_security_policy(talks_to)}

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return add
