"""The whole emulator: both fronts, the admin calls and the periodic work."""

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
from local.web_access.access import WebAccess
from local.web_access.middleware import middleware

REMOVE_EXPIRED_SECONDS = 30.0
SAVE_SECONDS = 1.0
"""So much is lost at most if the process is killed."""
_STREAMS_PER_TURN = 200


class Maintenance:
    """Sends heartbeats, removes expired items and saves changed ones.

    Set `settings_changed` to apply a new heartbeat interval at once.
    """

    def __init__(self, service: Service) -> None:
        self.settings_changed = asyncio.Event()
        self._service = service

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_heartbeats_regularly())
            tasks.create_task(self._remove_expired_regularly())
            tasks.create_task(self._save_items_regularly())

    async def _send_heartbeats_regularly(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._service.settings.heartbeat_seconds):
                    await self.settings_changed.wait()
                self.settings_changed.clear()
            except TimeoutError:
                await self._send_heartbeats()

    async def _send_heartbeats(self) -> None:
        if self._service.settings.heartbeats_silenced:
            return
        streams = [
            stream for _, cache in self._service.caches for _, topic in cache.topics for stream in topic.subscriptions
        ]
        for index, stream in enumerate(streams):
            stream.heartbeat()
            if index % _STREAMS_PER_TURN == 0:
                await asyncio.sleep(0)  # thousands of streams must not delay a publish

    async def _remove_expired_regularly(self) -> None:
        while True:
            await asyncio.sleep(REMOVE_EXPIRED_SECONDS)
            for _, cache in self._service.caches:
                cache.items.remove_expired()

    async def _save_items_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            self._service.caches.save_items()


HOST = "127.0.0.1"
"""The address to listen on, and the endpoint in disposable tokens: a pod too is reached by a port-forward."""
_WEB_STOP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Running:
    grpc_port: int
    web_port: int
    maintenance: Maintenance


@asynccontextmanager
async def emulator(
    service: Service, grpc_port: int, web_port: int, listen_host: str = HOST, access: WebAccess | None = None
) -> AsyncIterator[Running]:
    """Serve on both ports (0: a free one) until the context ends; raises `PortTakenError`.

    `access` decides which web pages may use the gRPC-web front; by default none.
    The caller runs `Running.maintenance` as a task.
    """
    maintenance = Maintenance(service)
    async with AsyncExitStack() as stack:
        stack.callback(service.caches.save_items)
        bound_web_port = await stack.enter_async_context(
            _web_site(service, maintenance, access or WebAccess(), listen_host, web_port)
        )
        bound_grpc_port = await stack.enter_async_context(grpc_front(service, listen_host, grpc_port))
        service.credentials.endpoint = f"{HOST}:{bound_grpc_port}"
        # Called first at the end: the streams end, so that the fronts do not wait for them.
        stack.callback(service.caches.end_streams, shutting_down())
        yield Running(bound_grpc_port, bound_web_port, maintenance)


@asynccontextmanager
async def _web_site(
    service: Service, maintenance: Maintenance, access: WebAccess, host: str, port: int
) -> AsyncIterator[int]:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[middleware(access), guard])
    Admin(service, maintenance.settings_changed.set).add_routes(app)
    add_routes(app, service, access)
    # Without handler cancellation a stream would remain after its browser has disconnected.
    runner = web.AppRunner(
        app, handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=_WEB_STOP_SECONDS
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
    """Run the maintenance until `stop` is set; raises if it fails."""
    maintenance = asyncio.ensure_future(running.maintenance.run())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({maintenance, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if maintenance.done():
        maintenance.result()
    maintenance.cancel()
    with suppress(asyncio.CancelledError):
        await maintenance
