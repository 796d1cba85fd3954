"""One origin: the page's port forwards the API's paths to the services, as an Ingress does in a cluster."""

import re
from collections.abc import AsyncIterator, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from local.page.forwarder import Forwarder, open_forwarder

FORWARDER = web.AppKey("forwarder", Forwarder)
_PATHS = {
    "token": re.compile(r"/token|/notifications(?:/.*)?|/task/.*|/openapi\.json"),
    "ingest": re.compile(r"/task|/notification"),
}
"""By service, as in charts/notification-api/templates/ingress.yaml."""
SERVICES = frozenset(_PATHS)


def service_of(path: str) -> str | None:
    """Return the service that has this path; None if the path does not belong to the API."""
    return next((service for service, paths in _PATHS.items() if paths.fullmatch(path)), None)


def forward_api(app: web.Application, urls: Mapping[str, str], origins: frozenset[str]) -> None:
    """Let the application forward the API's paths, after the middlewares that it already has.

    :param urls: the base URLs by service.
    :param origins: see `open_forwarder`.
    """

    @web.middleware
    async def forward(request: web.Request, handler: Handler) -> web.StreamResponse:
        service = service_of(request.path)
        return await (handler(request) if service is None else app[FORWARDER].forward(request, urls[service]))

    async def forwarding(_: web.Application) -> AsyncIterator[None]:
        async with open_forwarder(origins) as app[FORWARDER]:
            yield

    app.middlewares.append(forward)
    app.cleanup_ctx.append(forwarding)
