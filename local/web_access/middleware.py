"""Web access for aiohttp servers."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from local.web_access.access import RequestFacts, WebAccess


def facts_of(request: web.Request) -> RequestFacts:
    """Read the facts of an aiohttp request."""
    address = request.transport.get_extra_info("sockname") if request.transport else None
    headers = ((name, value) for name, value in request.headers.items())
    return RequestFacts.of(request.method, request.raw_path, address[1] if address else 0, headers)


def middleware(access: WebAccess, is_navigable: Callable[[str], bool] = lambda _: False) -> Middleware:
    """Reject what `access` rejects, before any handler.

    :param is_navigable: whether a link on any web page may open the page at a path.
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
    """For `app.on_response_prepare`: allow web pages of allowed origins to read responses, and none to embed them.

    :param exposed: additional response headers that they may read.
    :param applies: whether they may read the resource at a path.
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
