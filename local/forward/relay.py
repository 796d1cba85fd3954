"""A port of this machine that leads to a ready pod of a Service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from local.forward.endpoints import Endpoint, Endpoints
from local.forward.kubectl import ForwardError
from local.forward.targets import Target
from local.forward.tunnel import Tunnel, TunnelError, open_tunnel

CHUNK_BYTES = 65_536


async def copy_both_ways(*directions: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy the bytes of each direction until both sides have closed."""
    await asyncio.gather(*(_copy(reader, writer) for reader, writer in directions))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then close the other side for writing, so that half-closed connections work."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


WAIT_FOR_POD_SECONDS = 30.0
"""How long a connection waits while no pod is ready; then it is closed."""
DRAIN_SECONDS = 30.0
"""How long connections to a terminating pod may last."""
RETRY_SECONDS = 0.5
CONNECT_RETRY_SECONDS = 0.05

MOVE_PORTS_HINT = "move all ports: LOCAL_PORT_BASE=9000 make forward STAGE=…"

Info = Callable[[str], object]


class Relay:
    """Connections use the current tunnel. The caller runs `run` as a task, which keeps a tunnel open."""

    def __init__(self, target: Target, endpoints: Endpoints, info: Info) -> None:
        self.target = target
        self.problem = ""
        """Why the last tunnel could not be opened; empty if it was."""
        self._endpoints = endpoints
        self._info = info
        self._tunnel: Tunnel | None = None
        self._tunnel_changed = asyncio.Condition()

    async def run(self) -> None:
        """Keep a tunnel to a ready pod until cancelled. The previous one stays open for its connections."""
        async with asyncio.TaskGroup() as group:
            while True:
                endpoint = await self._next_endpoint()
                ended = asyncio.Event()
                group.create_task(self._run_tunnel(endpoint, ended))
                while not ended.is_set() and endpoint in self._ready():
                    await wait_for_first(self._endpoints.wait_for_change(), ended.wait())

    async def wait_for_tunnel(self) -> Tunnel:
        """Return the current tunnel, once there is one."""
        async with self._tunnel_changed:
            await self._tunnel_changed.wait_for(lambda: self._tunnel is not None and not self._tunnel.ended.is_set())
            assert self._tunnel is not None  # noqa: S101 -- for mypy: `wait_for` has returned
            return self._tunnel

    def _ready(self) -> list[Endpoint]:
        return self._endpoints.ready(self.target.service, self.target.port_name)

    async def _next_endpoint(self) -> Endpoint:
        while not (ready := self._ready()):
            await self._endpoints.wait_for_change()
        return ready[0]

    async def _run_tunnel(self, endpoint: Endpoint, ended: asyncio.Event) -> None:
        try:
            async with open_tunnel(self.target.namespace, endpoint) as tunnel:
                await self._use(tunnel)
                await wait_for_first(tunnel.ended.wait(), self._replaced(tunnel))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await wait_for_first(tunnel.ended.wait(), tunnel.idle.wait())
        except TunnelError as error:
            self.problem = str(error)
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            ended.set()

    async def _use(self, tunnel: Tunnel) -> None:
        if self._tunnel is not None:
            self._info(f"{self.target.what}: now to pod {tunnel.endpoint.pod}")
        async with self._tunnel_changed:
            self._tunnel = tunnel
            self._tunnel_changed.notify_all()

    async def _replaced(self, tunnel: Tunnel) -> None:
        """Wait until another tunnel is open: until then this one is used."""
        async with self._tunnel_changed:
            await self._tunnel_changed.wait_for(lambda: self._tunnel is not tunnel)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client. Errors close it."""
        with contextlib.closing(writer), contextlib.suppress(OSError, TimeoutError):
            tunnel, pod_reader, pod_writer = await self._connect()
            with tunnel.connection(), contextlib.closing(pod_writer):
                await copy_both_ways((reader, pod_writer), (pod_reader, writer))

    async def _connect(self) -> tuple[Tunnel, asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect through the current tunnel. Retry, since it may have ended without being marked so yet."""
        async with asyncio.timeout(WAIT_FOR_POD_SECONDS):
            while True:
                tunnel = await self.wait_for_tunnel()
                try:
                    return tunnel, *await asyncio.open_connection("127.0.0.1", tunnel.port)
                except OSError:
                    await asyncio.sleep(CONNECT_RETRY_SECONDS)


async def wait_for_first(*awaitables: Coroutine[object, object, object]) -> None:
    """Return when one of them does, and cancel the others."""
    tasks = [asyncio.create_task(each) for each in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def listen(relay: Relay, port: int | None = None) -> AsyncIterator[int]:
    """Listen on a port of this machine only, and yield it.

    :param port: 0 for a free one; None for the port of the relay's target.
    :raises ForwardError: when the port is in use.
    """
    try:
        server = await asyncio.start_server(relay.serve, "127.0.0.1", relay.target.local_port if port is None else port)
    except OSError:
        raise port_in_use(relay.target) from None
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def port_in_use(target: Target) -> ForwardError:
    """Return the error for a target whose port another program uses, with what to do."""
    moving = "" if target.is_extra else f" (`make up`, or another forward), or {MOVE_PORTS_HINT}"
    advice = target.if_in_use or f"Stop what uses it{moving}"
    return ForwardError(f"Port {target.local_port} ({target.what}) is in use. {advice}.")
