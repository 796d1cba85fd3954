"""The security headers of every response, the same as recommended for production."""

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def content_security_policy(connects_to: Iterable[str]) -> str:
    """Permit only own files, and connections to the given origins."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "manifest-src 'self'",
            " ".join(["connect-src 'self'", *connects_to]),
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def security_headers(connects_to: Iterable[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For `app.on_response_prepare`, which also handles error responses."""
    headers = FIXED_HEADERS | {"Content-Security-Policy": content_security_policy(connects_to)}

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return add
