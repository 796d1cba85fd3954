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


def content_security_policy(connects_to: Iterable[str], form_action: str = "'none'") -> str:
    """Permit only own files, connections to the given origins, and forms that are sent to `form_action`."""
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
            f"form-action {form_action}",
        ]
    )


def security_headers(
    connects_to: Iterable[str], has_forms: Callable[[str], bool]
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For `app.on_response_prepare`, which also handles error responses.

    :param has_forms: whether the page at a path sends forms, to this server, and connects to nothing.
    """
    application = FIXED_HEADERS | {"Content-Security-Policy": content_security_policy(connects_to)}
    form = FIXED_HEADERS | {
        "Content-Security-Policy": content_security_policy((), "'self'"),
        # Without a referrer, browsers send the form with `Origin: null`.
        "Referrer-Policy": "same-origin",
    }

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(form if has_forms(request.path) else application)

    return add
