"""`local.web_access` for aiohttp's servers."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from local.web_access import Facts, WebAccess


def facts_of(request: web.Request) -> Facts:
    """The facts of an aiohttp request."""
    address = request.transport.get_extra_info("sockname") if request.transport else None
    headers = ((name, value) for name, value in request.headers.items())
    return Facts.of(request.method, request.raw_path, address[1] if address else 0, headers)


def middleware(access: WebAccess, is_navigable: Callable[[str], bool] = lambda _: False) -> Middleware:
    """Refuse what `access` refuses, before any handler.

    :param is_navigable: whether the page at a path may be opened by a link on any page.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if refused := access.refusal(facts_of(request), navigable=is_navigable(request.path)):
            return web.Response(status=refused.status, text=f"{refused.reason}\n")
        return await handler(request)

    return check


def cors(
    access: WebAccess, exposed: str = "", applies: Callable[[str], bool] = lambda _: True
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For `app.on_response_prepare`: let pages of allowed origins read answers, and none include them.

    :param exposed: response headers that they may read besides the usual ones.
    :param applies: whether they may read what is at a path.
    """

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not applies(request.path):
            return
        response.headers[hdrs.VARY] = hdrs.ORIGIN
        origins = tuple(request.headers.getall(hdrs.ORIGIN, ()))
        if access.is_served(origins):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origins[0]
            if exposed:
                response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = exposed

    return add
