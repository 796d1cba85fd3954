"""One `kubectl port-forward` to one pod."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from local.forward.endpoints import Endpoint
from local.forward.kubectl import read_lines, run_kubectl

OPEN_TIMEOUT_SECONDS = 10.0
_OPENED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


class TunnelError(Exception):
    """The port-forward could not be opened; the message is kubectl's."""


@dataclass(eq=False, slots=True)
class Tunnel:
    """An open port-forward. `ended` is set when kubectl has ended, `idle` while no connection uses it."""

    endpoint: Endpoint
    port: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Count a connection for the duration of the context."""
        self.connections += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.connections -= 1
            if not self.connections:
                self.idle.set()


@asynccontextmanager
async def open_tunnel(namespace: str, endpoint: Endpoint) -> AsyncIterator[Tunnel]:
    """Open a port-forward on a free port for the duration of the context.

    :raises TunnelError: when it cannot be opened.
    """
    arguments = ("-n", namespace, "port-forward", "--address", "127.0.0.1", f"pod/{endpoint.pod}", f":{endpoint.port}")
    async with run_kubectl(*arguments) as process:
        output = read_lines(process)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_SECONDS):
                port = await _opened_port(output)
        except TimeoutError:
            raise TunnelError("kubectl port-forward took too long") from None
        if port is None:
            assert process.stderr is not None  # noqa: S101 -- for mypy: `run_kubectl` opens a pipe
            raise TunnelError((await process.stderr.read()).decode(errors="replace").strip())
        tunnel = Tunnel(endpoint, port)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(_drain(process.stderr)), group.create_task(_wait_for_end(output, tunnel))]
            yield tunnel
            for task in watching:
                task.cancel()


async def _opened_port(output: AsyncIterator[str]) -> int | None:
    async for line in output:
        if match := _OPENED.match(line):
            return int(match[1])
    return None


async def _wait_for_end(output: AsyncIterator[str], tunnel: Tunnel) -> None:
    async for _ in output:  # a line for each connection
        pass
    tunnel.ended.set()


async def _drain(stream: asyncio.StreamReader | None) -> None:
    """Read and discard: a full pipe would block kubectl."""
    while stream is not None and await stream.read(65_536):
        pass
