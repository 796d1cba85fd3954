"""Connections to the API that send nothing, too little, or are too many; through raw sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from services.common import connections
from services.common.lifecycle import Lifecycle
from services.common.settings import HttpSettings
from services.common.web import web_app
from tests.support.served_app import Served, served_app

HTTP_SETTINGS = HttpSettings(allowed_origins=frozenset(), max_body_bytes=1_000, request_timeout_seconds=5.0)
WHOLE = b"GET /there HTTP/1.1\r\nHost: x\r\n\r\n"
SOON_SECONDS = 0.1
LONG_SECONDS = 30.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", SOON_SECONDS)


async def there(_request: web.Request) -> web.Response:
    return web.Response(text="here")


async def slow(request: web.Request) -> web.Response:
    body = await request.read()
    await asyncio.sleep(2 * SOON_SECONDS)
    return web.Response(body=body)


class Gate:
    """A request that waits until the test lets it pass."""

    def __init__(self) -> None:
        self.began, self.opened = asyncio.Event(), asyncio.Event()

    async def handle(self, _request: web.Request) -> web.Response:
        self.began.set()
        await self.opened.wait()
        return web.Response(text="passed")


GATE = web.AppKey("gate", Gate)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    lifecycle = Lifecycle()
    app = web_app(HTTP_SETTINGS, lifecycle)
    app.router.add_get("/there", there)
    app.router.add_post("/slow", slow)
    app[GATE] = Gate()
    app.router.add_get("/gate", app[GATE].handle)
    async with served_app(app, lifecycle) as served:
        yield served


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of one answer."""
        async with asyncio.timeout(LONG_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            return int(head.split()[1]), await self._reader.readexactly(int(length.split()[1]))

    async def is_closed(self) -> bool:
        """Wait until the other side has closed, without a word."""
        try:
            async with asyncio.timeout(LONG_SECONDS):
                return await self._reader.read() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def closed(reason: str) -> float:
    name = "notification_api_http_connections_closed_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.mark.parametrize("sent", [b"", b"GET /there HT", WHOLE[:-2]], ids=["nothing", "half a line", "half a header"])
@pytest.mark.usefixtures("impatient")
async def test_a_connection_without_a_whole_request_is_closed(served: Served, sent: bytes) -> None:
    before = closed("slow")
    async with connected(served) as client:
        client.send(sent)
        assert await client.is_closed()
    assert closed("slow") == before + 1


@pytest.mark.usefixtures("impatient")
async def test_headers_that_trickle_in_do_not_hold_a_connection(served: Served) -> None:
    async with connected(served) as client:
        client.send(b"GET /there HTTP/1.1\r\n")

        async def trickle() -> None:
            while True:
                client.send(b"X: y\r\n")
                await asyncio.sleep(SOON_SECONDS / 5)

        trickling = asyncio.create_task(trickle())
        assert await client.is_closed()
        trickling.cancel()


@pytest.mark.usefixtures("impatient")
async def test_half_a_header_after_a_whole_request_does_not_hold_a_connection_either(served: Served) -> None:
    async with connected(served) as client:
        client.send(WHOLE)
        assert await client.answer() == (200, b"here")
        client.send(WHOLE[:-2])
        assert await client.is_closed()


@pytest.mark.usefixtures("impatient")
async def test_a_connection_is_kept_for_the_next_request_and_through_a_slow_one(served: Served) -> None:
    before = closed("slow")
    async with connected(served) as client:
        client.send(WHOLE)
        assert await client.answer() == (200, b"here")
        await asyncio.sleep(3 * SOON_SECONDS)  # time for a closing that must not come
        client.send(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        await asyncio.sleep(2 * SOON_SECONDS)  # slow with its body, which is another matter
        client.send(b"dy")
        assert await client.answer() == (200, b"body")
        client.send(WHOLE * 2)
        assert [await client.answer() for _ in range(2)] == [(200, b"here")] * 2
    assert closed("slow") == before


async def test_the_longest_idle_connection_makes_room_for_a_new_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    before = closed("full")
    async with connected(served) as first, connected(served) as second:
        for client in (first, second, first):
            client.send(WHOLE)
            assert await client.answer() == (200, b"here")
        async with connected(served) as third:
            third.send(WHOLE)
            assert await third.answer() == (200, b"here")
            assert await second.is_closed()
        first.send(WHOLE)
        assert await first.answer() == (200, b"here")
    assert closed("full") == before + 1


async def test_connections_that_send_nothing_lock_nobody_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    async with AsyncExitStack() as opened:
        for _ in range(10):
            silent = await opened.enter_async_context(connected(served))
            silent.send(b"GET /the")
            client = await opened.enter_async_context(connected(served))
            client.send(WHOLE)
            assert await client.answer() == (200, b"here")


async def test_one_connection_too_many_is_closed_while_requests_are_in_work_on_the_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    before = closed("full")
    gate = served.app[GATE]
    async with connected(served) as client:
        client.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        await gate.began.wait()
        async with connected(served) as other:
            assert await other.is_closed()
        assert closed("full") == before + 1
        gate.opened.set()
        assert await client.answer() == (200, b"passed")
        async with connected(served) as other:
            other.send(WHOLE)
            assert await other.answer() == (200, b"here")
