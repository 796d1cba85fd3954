"""One `kubectl port-forward` to one pod."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from local.forward.endpoints import Endpoint
from local.forward.kubectl import lines, running

OPEN_WITHIN_SECONDS = 10.0
_OPENED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


class TunnelError(Exception):
    """The port-forward could not be opened; the text is kubectl's."""


@dataclass(eq=False, slots=True)
class Tunnel:
    """An open port-forward. `ended` is set when kubectl gives up, `idle` while no connection uses it."""

    endpoint: Endpoint
    port: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For the length of a connection."""
        self.connections += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.connections -= 1
            if not self.connections:
                self.idle.set()


@asynccontextmanager
async def tunnel(namespace: str, endpoint: Endpoint) -> AsyncIterator[Tunnel]:
    """Open one on a free port; closed with the context. Raises TunnelError."""
    arguments = ("-n", namespace, "port-forward", "--address", "127.0.0.1", f"pod/{endpoint.pod}", f":{endpoint.port}")
    async with running(*arguments) as process:
        output = lines(process)
        try:
            async with asyncio.timeout(OPEN_WITHIN_SECONDS):
                opened = await _opened(output)
        except TimeoutError:
            raise TunnelError("kubectl port-forward took too long") from None
        if opened is None:
            assert process.stderr is not None  # noqa: S101 -- for mypy: `running` asks for a pipe
            raise TunnelError((await process.stderr.read()).decode(errors="replace").strip())
        made = Tunnel(endpoint, opened)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(_drain(process.stderr)), group.create_task(_until_ended(output, made))]
            yield made
            for task in watching:
                task.cancel()


async def _opened(output: AsyncIterator[str]) -> int | None:
    async for line in output:
        if match := _OPENED.match(line):
            return int(match[1])
    return None


async def _until_ended(output: AsyncIterator[str], made: Tunnel) -> None:
    async for _ in output:  # a line for each connection
        pass
    made.ended.set()


async def _drain(stream: asyncio.StreamReader | None) -> None:
    """A full pipe would hold kubectl up."""
    while stream is not None and await stream.read(65_536):
        pass
