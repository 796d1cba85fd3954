"""A port of this machine that leads to whichever pod of a Service is ready."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from local.forward.endpoints import Endpoint, Endpoints
from local.forward.errors import ForwardError
from local.forward.pipe import joined
from local.forward.targets import Target
from local.forward.tunnel import Tunnel, TunnelError, tunnel

WAIT_FOR_POD_SECONDS = 30.0
"""How long a connection is held while no pod is ready; then it is closed."""
DRAIN_SECONDS = 30.0
"""How long the connections to a pod that is going may last."""
AGAIN_SECONDS = 0.5
REFUSED_SECONDS = 0.05

MOVE = "move all ports: LOCAL_PORT_BASE=9000 make forward STAGE=…"

Say = Callable[[str], object]


class Relay:
    """Somebody has to run `run`, which keeps a tunnel; connections take the tunnel of the moment."""

    def __init__(self, target: Target, endpoints: Endpoints, say: Say) -> None:
        self.target = target
        self.complaint = ""
        """Why the last tunnel could not be opened."""
        self._endpoints = endpoints
        self._say = say
        self._tunnel: Tunnel | None = None
        self._switched = asyncio.Condition()

    async def run(self) -> None:
        """Keep a tunnel to a ready pod, until cancelled; the one before stays for the connections that it has."""
        async with asyncio.TaskGroup() as group:
            while True:
                endpoint = await self._next_endpoint()
                ended = asyncio.Event()
                group.create_task(self._keep(endpoint, ended))
                while not ended.is_set() and endpoint in self._ready():
                    await first(self._endpoints.change(), ended.wait())

    async def usable(self) -> Tunnel:
        """The tunnel of the moment, once there is one."""
        async with self._switched:
            await self._switched.wait_for(lambda: self._tunnel is not None and not self._tunnel.ended.is_set())
            assert self._tunnel is not None  # noqa: S101 -- for mypy: just waited for
            return self._tunnel

    def _ready(self) -> list[Endpoint]:
        return self._endpoints.ready(self.target.service, self.target.port_name)

    async def _next_endpoint(self) -> Endpoint:
        while not (ready := self._ready()):
            await self._endpoints.change()
        return ready[0]

    async def _keep(self, endpoint: Endpoint, ended: asyncio.Event) -> None:
        try:
            async with tunnel(self.target.namespace, endpoint) as made:
                await self._use(made)
                await first(made.ended.wait(), self._replaced(made))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await first(made.ended.wait(), made.idle.wait())
        except TunnelError as error:
            self.complaint = str(error)
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            ended.set()

    async def _use(self, made: Tunnel) -> None:
        if self._tunnel is not None:
            self._say(f"{self.target.what}: now from pod {made.endpoint.pod}")
        async with self._switched:
            self._tunnel = made
            self._switched.notify_all()

    async def _replaced(self, made: Tunnel) -> None:
        """Wait for another one: until it stands, this one is the best there is."""
        async with self._switched:
            await self._switched.wait_for(lambda: self._tunnel is not made)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client. What goes wrong closes it, as the network would."""
        with contextlib.closing(writer), contextlib.suppress(OSError, TimeoutError):
            made, there, back = await self._connected()
            with made.in_use(), contextlib.closing(back):
                await joined((reader, back), (there, writer))

    async def _connected(self) -> tuple[Tunnel, asyncio.StreamReader, asyncio.StreamWriter]:
        """Through a tunnel that takes connections; one may have ended without having said so yet."""
        async with asyncio.timeout(WAIT_FOR_POD_SECONDS):
            while True:
                made = await self.usable()
                try:
                    return made, *await asyncio.open_connection("127.0.0.1", made.port)
                except OSError:
                    await asyncio.sleep(REFUSED_SECONDS)


async def first(*awaited: Coroutine[object, object, object]) -> None:
    """Return when one of them does; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def listening(relay: Relay) -> AsyncIterator[None]:
    """Listen for the relay on this machine alone. Raises ForwardError where the port is taken."""
    port = relay.target.local_port
    try:
        server = await asyncio.start_server(relay.serve, "127.0.0.1", port)
    except OSError:
        target = relay.target
        stop = "Stop what has it" if target.is_extra else f"Stop what has it (`make up`, or another forward), or {MOVE}"
        raise ForwardError(f"Port {port} ({target.what}) is taken. {target.if_taken or stop}.") from None
    try:
        yield
    finally:
        server.close()
