"""A TCP proxy with the faults that a network between a browser and a server has."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing sends RST, as a lost network does."""
_ALLOW_ALL = (
    "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *, authorization\r\n"
    "Access-Control-Allow-Methods: *\r\nAccess-Control-Max-Age: 0\r\n"
)


class FaultProxy:
    """Forwards everything to `target_port` of this machine, except for the faults that are set."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.lose_answers = False
        """Requests reach the server; the connection breaks where its answer would come."""
        self._target_port = target_port
        self._refusing = False
        self._silent = False
        self._status: int | None = None
        self._allowed_header: bytes | None = None
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, on the same port of 127.0.0.1 each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Reset every connection; new ones are forwarded, unless another fault is set."""
        for connection in list(self._connections):
            connection.reset()

    def freeze(self) -> None:
        """Make the current connections half-open: they stay open and carry nothing."""
        for connection in self._connections:
            connection.flowing.clear()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset current and new connections during the block."""
        self._refusing = True
        self.drop()
        try:
            yield
        finally:
            self._refusing = False

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Refuse connections during the block, where `cut` accepts and resets them."""
        await self.close()
        try:
            yield
        finally:
            await self.open()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Keep current and new connections open without data during the block."""
        self._silent = True
        self.freeze()
        try:
            yield
        finally:
            self._silent = False
            self.drop()

    @contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Every request is answered with `status`, CORS allowed, without reaching the server."""
        self._status = status
        self.drop()
        try:
            yield
        finally:
            self._status = None
            self.drop()

    @contextmanager
    def allowing_only_with(self, header: str) -> Iterator[None]:
        """Refuse the preflights of requests without `header`, as a server does whose CORS rules allow others only."""
        self._allowed_header = header.encode()
        self.drop()
        try:
            yield
        finally:
            self._allowed_header = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)
        if self._silent:
            connection.flowing.clear()
        try:
            if self._refusing:
                connection.reset()
            elif self._status is not None:
                await _answer(reader, writer, self._status)
            elif self._allowed_header is not None:
                await self._pass_on_allowed(connection, reader, writer, self._allowed_header)
            else:
                await self._pass_on(connection, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            connection.reset()
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _pass_on_allowed(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
    ) -> None:
        """Serve one request, after which the server closes the connection: the next one is examined too."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"OPTIONS ") and header not in head.lower():
            writer.write(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            await self._pass_on(connection, reader, writer, head.replace(b"keep-alive", b"close"))

    async def _pass_on(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = b""
    ) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        connection.others.append(upstream_writer)
        upstream_writer.write(head)
        pumps = [
            asyncio.create_task(_pump(connection, reader, upstream_writer)),
            asyncio.create_task(self._answers(connection, upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream_writer.close()

    async def _answers(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """`lose_answers` forwards the answers to preflights, and loses those to the requests after them."""
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.lose_answers and b" 202 " in data[:16]:
                    connection.reset()
                    break
                await connection.flowing.wait()
                writer.write(data)
                await writer.drain()


class _Connection:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.others: list[asyncio.StreamWriter] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._writer = writer

    def reset(self) -> None:
        self.flowing.set()
        for writer in [self._writer, *self.others]:
            connection = writer.get_extra_info("socket")
            if connection is not None and not writer.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()


async def _pump(connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            await connection.flowing.wait()
            writer.write(data)
            await writer.drain()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    actual = 204 if head.startswith(b"OPTIONS ") else status
    writer.write(f"HTTP/1.1 {actual} X\r\n{_ALLOW_ALL}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


@asynccontextmanager
async def fault_proxy(target_port: int) -> AsyncIterator[FaultProxy]:
    """A proxy that listens on a free port of 127.0.0.1 during the block."""
    proxy = FaultProxy(target_port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
