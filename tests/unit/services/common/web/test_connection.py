"""Connections to the API that send nothing, too little, or are too many; through raw sockets."""

import asyncio
import gc
import json
import logging
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import uvloop
from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler
from prometheus_client import REGISTRY

from services.common.lifecycle import Lifecycle
from services.common.settings import HttpSettings
from services.common.web import connection, listener
from services.common.web.app import create_web_app
from services.common.web.connection import CONNECTIONS
from services.common.web.open_connections import OpenConnections
from services.common.web.problem_types import ProblemType
from tests.support.served_app import Served, served_app
from tests.support.waiting import wait_until

PAGE = "https://app.example.com"
HTTP_SETTINGS = HttpSettings(allowed_origins=frozenset({PAGE}), max_body_bytes=1_000, request_timeout_seconds=5.0)
WHOLE = b"GET /there HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * 20_000_000
"""More than all buffers between server and client."""
SOON_SECONDS = 0.1
LONG_SECONDS = 30.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADERS_SECONDS", SOON_SECONDS)


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
        self.count = 0

    async def handle(self, _request: web.Request) -> web.Response:
        self.count += 1
        self.began.set()
        await self.opened.wait()
        return web.Response(text="passed")


@web.middleware
async def held_up(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wait before a body is admitted, as a request does for the key set."""
    if request.path == "/held-up":
        await request.app[GATE].handle(request)
    return await handler(request)


async def large(_request: web.Request) -> web.Response:
    return web.Response(body=LARGE)


GATE = web.AppKey("gate", Gate)


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    lifecycle = Lifecycle()
    app = create_web_app(HTTP_SETTINGS, lifecycle)
    app.router.add_get("/there", there)
    app.middlewares.insert(1, held_up)
    app.router.add_post("/slow", slow)
    app.router.add_get("/large", large)
    app[GATE] = Gate()
    app.router.add_get("/gate", app[GATE].handle)
    async with served_app(app, lifecycle) as served:
        yield served


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def end(self) -> None:
        """Send nothing more, but go on to read."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Close both sides of the connection immediately."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def is_sent(self) -> bool:
        transport: asyncio.WriteTransport = self._writer.transport
        return transport.get_write_buffer_size() == 0

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


def refused_for_memory() -> float:
    return REGISTRY.get_sample_value("notification_api_memory_refused_total", {"budget": "connections"}) or 0.0


@pytest.mark.parametrize("sent", [b"", b"GET /there HT", WHOLE[:-2]], ids=["nothing", "half a line", "half a header"])
@pytest.mark.usefixtures("impatient")
async def test_a_connection_without_a_whole_request_is_closed(served: Served, sent: bytes) -> None:
    before = closed("slow")
    async with connected(served) as client:
        client.send(sent)
        assert await client.is_closed()
    assert closed("slow") == before + 1


@pytest.mark.usefixtures("impatient")
async def test_slow_headers_do_not_keep_a_connection_open(served: Served) -> None:
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
async def test_half_a_header_after_a_whole_request_does_not_keep_a_connection_open(served: Served) -> None:
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


PARTS_IN_ONE_PACKET = [
    pytest.param(WHOLE + b"GET /there HT", 1, id="half a line after a request"),
    pytest.param(WHOLE + WHOLE + WHOLE[:-2], 2, id="half a header after two"),
    pytest.param(
        b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyGET", 1, id="after a body of known length"
    ),
    pytest.param(
        b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nGET /",
        1,
        id="after a chunked body",
    ),
]


@pytest.mark.parametrize(("sent", "answers"), PARTS_IN_ONE_PACKET)
@pytest.mark.usefixtures("impatient")
async def test_a_part_of_a_request_in_one_packet_with_whole_ones_does_not_keep_a_connection_open(
    served: Served, sent: bytes, answers: int
) -> None:
    before = closed("slow")
    async with connected(served) as client:
        client.send(sent)
        for _ in range(answers):
            assert (await client.answer())[0] == 200
        assert await client.is_closed()
    assert closed("slow") == before + 1


@pytest.mark.usefixtures("impatient")
async def test_a_part_of_a_request_waits_while_the_one_before_it_is_in_progress(served: Served) -> None:
    gate = served.app[GATE]
    async with connected(served) as client:
        client.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n" + WHOLE[:-2])
        await gate.began.wait()
        await asyncio.sleep(2 * SOON_SECONDS)  # time for a closing that must not come
        gate.opened.set()
        assert await client.answer() == (200, b"passed")
        client.send(b"\r\n")
        assert await client.answer() == (200, b"here")


async def test_an_idle_connection_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", SOON_SECONDS)
    before = closed("idle")
    async with connected(served) as client:
        client.send(WHOLE)
        assert await client.answer() == (200, b"here")
        assert await client.is_closed()
    assert closed("idle") == before + 1


def test_a_load_balancer_closes_idle_connections_before_we_do() -> None:
    assert 60 < connection.IDLE_SECONDS <= 90


@pytest.mark.parametrize("count", [1, 2], ids=["one answer", "and another request"])
async def test_a_response_that_is_never_read_does_not_keep_a_connection_open(
    served: Served, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(connection, "WRITE_SECONDS", SOON_SECONDS)
    before = closed("unread")
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        await wait_until(lambda: closed("unread") == before + 1)
        await wait_until(lambda: not open_connections())


async def test_a_closing_response_that_is_never_read_does_not_keep_a_connection_open(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WRITE_SECONDS", SOON_SECONDS)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        await wait_until(lambda: bool(open_connections()))
        await wait_until(lambda: not open_connections())


async def test_an_answer_that_is_read_slowly_but_in_time_is_whole(served: Served) -> None:
    async with connected(served) as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(SOON_SECONDS)
        assert await client.answer() == (200, LARGE)


def open_connections() -> list[object]:
    """Connections of this process that no site has closed yet."""
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is connection.Connection and one._socket is not None]


async def refused(served: Served, sent: bytes, size: int = 2**30) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and problem of the answer to raw bytes, after which the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    with suppress(ConnectionError):
        for start in range(0, len(sent), size):
            writer.write(sent[start : start + size])
            await writer.drain()
    async with asyncio.timeout(LONG_SECONDS):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, json.loads(body)


def assert_problem(answer: tuple[int, dict[str, str], dict[str, object]], problem_type: ProblemType) -> None:
    assert answer[0] == answer[2]["status"] == problem_type.status
    assert answer[2]["type"] == problem_type.uri
    assert answer[1]["Content-Type"] == "application/problem+json"
    assert answer[1]["X-Request-Id"] == answer[2]["requestId"]
    assert answer[1]["Cache-Control"] == "no-store"


FIELDS = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 250_000) for number in range(100))
UNREADABLE = [
    pytest.param(b"HELLO\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no HTTP"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", ProblemType.MALFORMED_REQUEST, id="TLS"),
    pytest.param(b"GET /there\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no version"),
    pytest.param(b"GET /there HTTP/9.9\r\nHost: x\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no known version"),
    pytest.param(
        b"GET /there HTTP/2.0\r\nHost: x\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="a version of another protocol"
    ),
    pytest.param(b"GE T /there HTTP/1.1\r\nHost: x\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no method"),
    pytest.param(b"GET /there HTTP/1.1\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no host"),
    pytest.param(b"GET /there HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="two hosts"),
    pytest.param(
        b"GET /there HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="a header with NUL"
    ),
    pytest.param(b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no path"),
    pytest.param(
        b"GET /there HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", ProblemType.MALFORMED_REQUEST, id="no length"
    ),
    pytest.param(
        b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ProblemType.MALFORMED_REQUEST,
        id="two lengths",
    ),
    pytest.param(
        b"GET /there HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        ProblemType.HEADERS_TOO_LARGE,
        id="too many headers",
    ),
    pytest.param(
        b"GET /there HTTP/1.1\r\nHost: x\r\n" + FIELDS + b"\r\n", ProblemType.HEADERS_TOO_LARGE, id="too large headers"
    ),
    pytest.param(
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n" + FIELDS,
        ProblemType.HEADERS_TOO_LARGE,
        id="too large headers without an end",
    ),
    pytest.param(
        b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", ProblemType.URI_TOO_LONG, id="too long a path"
    ),
    pytest.param(
        b"GET " + b"/" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", ProblemType.URI_TOO_LONG, id="too many slashes"
    ),
    pytest.param(
        b"GET http://" + b"x" * 300 + b"/ HTTP/1.1\r\nHost: x\r\n\r\n", ProblemType.URI_TOO_LONG, id="too long a host"
    ),
    pytest.param(b"\r\n" * 100_000, ProblemType.MALFORMED_REQUEST, id="empty lines"),
    pytest.param(
        b"GET /there HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"0" * 5_000 + b"\r\n\r\n",
        ProblemType.MALFORMED_REQUEST,
        id="many digits",
    ),
]


@pytest.mark.parametrize(("sent", "problem_type"), UNREADABLE)
@pytest.mark.parametrize("size", [2**30, 1_000], ids=["in one piece", "in pieces"])
async def test_what_cannot_be_parsed_is_a_problem_too(
    served: Served, sent: bytes, problem_type: ProblemType, size: int
) -> None:
    assert_problem(await refused(served, sent, size), problem_type)


async def test_each_of_many_requests_after_a_chunked_body_is_answered(served: Served) -> None:
    async with connected(served) as client:
        client.send(
            b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + WHOLE * 100
        )
        assert await client.answer() == (200, b"body")
        for _ in range(100):
            assert await client.answer() == (200, b"here")


async def test_malformed_chunks_after_the_answer_are_not_logged_as_errors(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(served) as client:
        client.send(b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n")
        assert (await client.answer())[0] == 404
        client.send(b"no chunk\r\n")
        assert await client.is_closed()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


async def test_a_page_may_read_why_its_headers_were_too_many(served: Served) -> None:
    start = f"GET /there HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\n".encode()
    for sent in (start + b"X: y\r\n" * 200 + b"\r\n", start + FIELDS + b"\r\n"):
        answer = await refused(served, sent)
        assert_problem(answer, ProblemType.HEADERS_TOO_LARGE)
        assert answer[1]["Access-Control-Allow-Origin"] == PAGE
    answer = await refused(served, sent.replace(PAGE.encode(), b"https://evil.example"))
    assert "Access-Control-Allow-Origin" not in answer[1]


async def test_a_request_before_one_that_cannot_be_parsed_is_answered(served: Served) -> None:
    async with connected(served) as client:
        client.send(WHOLE + b"HELLO\r\n\r\n")
        assert await client.answer() == (200, b"here")
        assert (await client.answer())[0] == 400


async def test_headers_of_all_connections_together_are_limited(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while they have not ended; idle connections are closed for others, and requests in work are not."""
    budget = served.app[CONNECTIONS]
    monkeypatch.setattr(budget, "total_bytes", 1_000_000)
    gate = served.app[GATE]
    async with connected(served) as working, AsyncExitStack() as opened:
        working.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        await gate.began.wait()
        for _ in range(20):
            client = await opened.enter_async_context(connected(served))
            client.send(b"GET /there HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000)
            await wait_until(lambda: budget.used_bytes > 200_000)
            assert budget.used_bytes <= budget.total_bytes
        late = await opened.enter_async_context(connected(served))
        late.send(WHOLE)
        assert await late.answer() == (200, b"here")
        gate.opened.set()
        assert await working.answer() == (200, b"passed")
    await wait_until(lambda: budget.used_bytes == 0)


async def test_headers_of_disconnected_clients_count_while_their_requests_are_in_progress(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the client closes, or is closed to make room for another."""
    budget, gate = served.app[CONNECTIONS], served.app[GATE]
    sent = b"GET /gate HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000
    async with connected(served) as client:
        client.send(sent + b"\r\n\r\n")
        await gate.began.wait()
        client.reset()
    await wait_until(lambda: not open_connections())
    gate.began.clear()
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 1)
    async with connected(served) as client:
        client.send(sent + b"\r\nContent-Length: 10\r\n\r\nx")
        await gate.began.wait()
        async with connected(served) as other:
            other.send(WHOLE)
            assert await other.answer() == (200, b"here")
    await wait_until(lambda: not open_connections())
    assert budget.used_bytes >= 400_000
    gate.opened.set()
    await wait_until(lambda: budget.used_bytes == 0)


async def test_headers_beyond_the_budget_are_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.app[CONNECTIONS], "total_bytes", 100_000)
    sent = b"GET /there HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
    answer = await refused(served, sent)
    assert_problem(answer, ProblemType.OVERLOADED)
    assert answer[1]["Retry-After"] == "1"
    async with connected(served) as client:
        client.send(WHOLE)
        assert await client.answer() == (200, b"here")


async def test_an_idle_connection_does_not_keep_large_headers(served: Served) -> None:
    async with connected(served) as client:
        client.send(b"GET /there HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n")
        assert await client.answer() == (200, b"here")
        assert await client.is_closed()
    await wait_until(lambda: served.app[CONNECTIONS].used_bytes == 0)


async def test_bodies_that_are_not_admitted_count_as_well(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client sends while its request waits for something else, such as the key set."""
    budget, before = served.app[CONNECTIONS], refused_for_memory()
    monkeypatch.setattr(budget, "total_bytes", 150_000)
    async with AsyncExitStack() as opened:
        for _ in range(10):
            client = await opened.enter_async_context(connected(served))
            client.send(b"GET /held-up HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000)
        await wait_until(lambda: served.app[GATE].count + refused_for_memory() >= before + 10)
        assert budget.used_bytes <= budget.total_bytes
        served.app[GATE].opened.set()


CHUNKS = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


async def test_bodies_of_requests_in_progress_that_read_none_count_too(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, before = served.app[CONNECTIONS], refused_for_memory()
    monkeypatch.setattr(budget, "total_bytes", 300_000)
    gate = served.app[GATE]
    async with AsyncExitStack() as opened:
        for count in range(1, 11):
            client = await opened.enter_async_context(connected(served))
            client.send(b"GET /gate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await wait_until(lambda count=count: gate.count == count)  # type: ignore[misc]
            client.send(CHUNKS * 6)
            await wait_until(client.is_sent)
        assert refused_for_memory() >= before + 6
        assert budget.used_bytes <= budget.total_bytes
        assert sum(unread_bytes()) <= budget.total_bytes
        gate.opened.set()
        assert await client.answer() == (200, b"passed")  # what was thrown away was not needed
    await wait_until(lambda: budget.used_bytes == 0)


def unread_bytes() -> list[int]:
    """The unread bytes of each body."""
    return [one._size for one in gc.get_objects() if type(one) is StreamReader]


async def test_a_refusal_for_lack_of_memory_is_not_logged_as_an_error(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served.app[CONNECTIONS], "total_bytes", 100_000)
    assert_problem(
        await refused(served, b"GET /there HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000), ProblemType.OVERLOADED
    )
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


async def test_the_longest_idle_connection_makes_room_for_a_new_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 2)
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


async def test_connections_that_send_nothing_do_not_block_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 3)
    async with AsyncExitStack() as opened:
        for _ in range(10):
            silent = await opened.enter_async_context(connected(served))
            silent.send(b"GET /the")
            client = await opened.enter_async_context(connected(served))
            client.send(WHOLE)
            assert await client.answer() == (200, b"here")


async def test_connections_leave_room_for_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (202, 202))
    before = closed("full")
    async with serving() as served, AsyncExitStack() as opened:
        for _ in range(3):
            client = await opened.enter_async_context(connected(served))
            client.send(WHOLE)
            assert await client.answer() == (200, b"here")
    assert closed("full") == before + 1


BODY_BEGUN = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
WAITING = {
    "a part of a body": BODY_BEGUN,
    "a part of a chunked body": b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "a part of a second request's body": WHOLE + BODY_BEGUN,
    "an answer that is not read": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def crowded(served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes = BODY_BEGUN) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 3)
    gate = served.app[GATE]
    async with AsyncExitStack() as opened:
        working = await opened.enter_async_context(connected(served))
        working.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        await gate.began.wait()
        site = the_site()
        for _ in range(10):
            waiting = await opened.enter_async_context(connected(served))
            waiting.send(sent)
            await wait_until(lambda: bool(site._waiting))
            client = await opened.enter_async_context(connected(served))
            client.send(WHOLE)
            assert await client.answer() == (200, b"here")
            client.send(BODY_BEGUN)
            await wait_until(lambda: not site._idle)
        gate.opened.set()
        assert await working.answer() == (200, b"passed")


def the_site() -> OpenConnections:
    """The connections of the only listener that has any. The search is slow after many tests."""
    gc.collect()
    (site,) = (one for one in gc.get_objects() if type(one) is OpenConnections and one._bytes)
    return site


@pytest.mark.parametrize("sent", WAITING.values(), ids=WAITING)
async def test_requests_that_wait_for_their_clients_do_not_block_others(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """The one gives way that has waited for the longest; a whole request in work never does."""
    await crowded(served, monkeypatch, sent)


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(WHOLE, [200], id="one request"),
        pytest.param(WHOLE * 10, [200] * 10, id="many requests"),
        pytest.param(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", [200], id="a body"),
        pytest.param(WHOLE + BODY_BEGUN, [200, 500], id="half a body"),
        pytest.param(WHOLE + WHOLE[:-2], [200], id="half a header"),
    ],
)
async def test_a_client_that_ends_its_side_gets_its_answers(served: Served, sent: bytes, statuses: list[int]) -> None:
    async with connected(served) as client:
        client.send(sent)
        client.end()
        for status in statuses:
            assert (await client.answer())[0] == status
        assert await client.is_closed()
    await wait_until(lambda: not open_connections())


async def test_a_client_that_ends_its_side_while_it_is_answered_is_closed(served: Served) -> None:
    async with connected(served) as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_until(lambda: bool(open_connections()))
        site = the_site()
        await wait_until(lambda: bool(site._waiting))
        client.end()
        assert await client.answer() == (200, LARGE)
        assert await client.is_closed()
    await wait_until(lambda: not open_connections())


async def test_a_client_that_closes_its_side_and_never_reads_does_not_keep_a_connection_open(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WRITE_SECONDS", SOON_SECONDS)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        await wait_until(lambda: bool(open_connections()))
        await wait_until(lambda: not open_connections())


async def half_closed(served: Served, _monkeypatch: pytest.MonkeyPatch) -> None:
    await test_a_client_that_ends_its_side_gets_its_answers(served, WHOLE * 10, [200] * 10)
    await test_a_client_that_ends_its_side_while_it_is_answered_is_closed(served)


async def test_one_connection_too_many_is_closed_while_the_others_have_requests_in_progress(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 1)
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


@pytest.mark.parametrize(
    "scenario",
    [
        test_an_idle_connection_is_closed,
        test_a_closing_response_that_is_never_read_does_not_keep_a_connection_open,
        test_headers_of_all_connections_together_are_limited,
        test_headers_of_disconnected_clients_count_while_their_requests_are_in_progress,
        test_headers_beyond_the_budget_are_503,
        test_bodies_of_requests_in_progress_that_read_none_count_too,
        test_the_longest_idle_connection_makes_room_for_a_new_one,
        test_connections_that_send_nothing_do_not_block_others,
        crowded,
        half_closed,
        test_one_connection_too_many_is_closed_while_the_others_have_requests_in_progress,
    ],
)
def test_the_same_applies_to_the_event_loop_of_production(
    scenario: Callable[[Served, pytest.MonkeyPatch], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transports of uvloop are others than those of asyncio."""

    async def run() -> None:
        async with serving() as served:
            await scenario(served, monkeypatch)

    uvloop.run(run())
