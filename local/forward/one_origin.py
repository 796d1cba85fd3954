"""The application and the API of a forwarded stage under one origin, as `make up` serves them.

The application's pod does not know the stage's Services, so the paths are distinguished here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from local.forward.relay import Relay, listen, port_in_use
from local.page.api import FORWARDER, forward_api
from local.web_access.access import LOOPBACK_NAMES
from services.common.web.listener import CannotListenError
from services.common.web.listener import listen as listen_for_requests

STOP_TIMEOUT_SECONDS = 1.0


@asynccontextmanager
async def one_origin(page: Relay, api_urls: Mapping[str, str]) -> AsyncIterator[None]:
    """Serve the API's paths from `api_urls`, and all others from the application's pod, on the port of its target.

    The application and the services check the Origin header; the Host header is checked here.

    :raises ForwardError: when the port is in use.
    """
    port = page.target.local_port
    async with listen(page, port=0) as page_port:
        runner = web.AppRunner(
            _application(f"http://127.0.0.1:{page_port}", api_urls), shutdown_timeout=STOP_TIMEOUT_SECONDS
        )
        await runner.setup()
        try:
            await listen_for_requests(runner, "127.0.0.1", port, frozenset(f"{name}:{port}" for name in LOOPBACK_NAMES))
            yield
        except CannotListenError:
            raise port_in_use(page.target) from None
        finally:
            await runner.cleanup()


def _application(page_url: str, api_urls: Mapping[str, str]) -> web.Application:
    app = web.Application()
    forward_api(app, api_urls, origins=frozenset())

    async def forward_to_page(request: web.Request) -> web.StreamResponse:
        return await app[FORWARDER].forward(request, page_url)

    app.router.add_route("*", "/{path:.*}", forward_to_page)
    return app
