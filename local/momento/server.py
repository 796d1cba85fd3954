"""The whole emulator: both fronts, the admin calls and the upkeep, as one context."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from aiohttp import web

from local.momento.calls.dispatch import Service
from local.momento.errors import PortTakenError, shutting_down
from local.momento.fronts.admin import Admin, guard
from local.momento.fronts.grpc import grpc_front
from local.momento.fronts.grpc_web import MAX_BODY_BYTES, add_routes
from local.momento.upkeep import Upkeep
from local.web_access import WebAccess
from local.web_middleware import middleware

HOST = "127.0.0.1"
"""For clients on this machine, and what disposable tokens name as their endpoint: in a pod too it is reached by a
port-forward."""
_STOP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Running:
    grpc_port: int
    web_port: int
    upkeep: Upkeep


@asynccontextmanager
async def emulator(
    service: Service, grpc_port: int, web_port: int, listen_host: str = HOST, access: WebAccess | None = None
) -> AsyncIterator[Running]:
    """Serve on both ports (0: a free one) until the context ends; raises `PortTakenError`.

    `access` says which web pages may use the gRPC-web front; by default none.
    Whoever uses it runs `Running.upkeep` alongside.
    """
    upkeep = Upkeep(service)
    async with AsyncExitStack() as stack:
        bound_web_port = await stack.enter_async_context(
            _web_site(service, upkeep, access or WebAccess(), listen_host, web_port)
        )
        bound_grpc_port = await stack.enter_async_context(grpc_front(service, listen_host, grpc_port))
        service.credentials.endpoint = f"{HOST}:{bound_grpc_port}"
        # Called first at the end: streams that are told so end by themselves, and the fronts have none to wait for.
        stack.callback(service.caches.end_streams, shutting_down())
        yield Running(bound_grpc_port, bound_web_port, upkeep)


@asynccontextmanager
async def _web_site(service: Service, upkeep: Upkeep, access: WebAccess, host: str, port: int) -> AsyncIterator[int]:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[middleware(access), guard])
    Admin(service, upkeep).add_routes(app)
    add_routes(app, service, access)
    # Without handler cancellation a browser that unsubscribes would leave its stream behind.
    runner = web.AppRunner(
        app, handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=_STOP_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortTakenError(port) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def serve_until(stop: asyncio.Event, running: Running) -> None:
    """Do the upkeep until `stop` is set; raises if the upkeep fails."""
    upkeep = asyncio.ensure_future(running.upkeep.run())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({upkeep, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if upkeep.done():
        upkeep.result()
    upkeep.cancel()
    with suppress(asyncio.CancelledError):
        await upkeep
