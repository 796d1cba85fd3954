"""The request parser: whatever the pieces, the same requests come out, and what has started is known."""

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web import RequestPayloadError
from aiohttp.web_protocol import _ErrInfo
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.web.problem import Problem
from services.common.web.request_parser import MAX_HEADER_BYTES, MAX_HEADERS, MAX_LINE_BYTES, RequestParser

PLAIN = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nbo\r\n\r\ndy"
CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nbody\r\n2;x=y\r\n\r\n\r\n0\r\nTrailer: t\r\n\r\n"
)
EMPTY_CHUNKED = b"POST /empty HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
BODIES = {"/plain": b"", "/length": b"bo\r\n\r\ndy", "/chunked": b"body\r\n", "/empty": b""}
REQUESTS = st.lists(st.sampled_from([PLAIN, LENGTH, CHUNKED, EMPTY_CHUNKED]), min_size=1, max_size=5)


class Connection(BaseProtocol):
    """A connection that starts each request immediately, reads its body and continues like aiohttp's."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.requests = RequestParser(self, loop, 2**16)
        super().__init__(loop, self.requests)  # type: ignore[arg-type]
        self.messages: list[Any] = []

    def data_received(self, data: bytes) -> None:
        found, _, _ = self.requests.feed_data(data)
        self.messages += found
        while found:
            for _ in found:
                self.requests.message_consumed()
            found, _, _ = self.requests.feed_data(b"")
            self.messages += found

    @property
    def paths(self) -> list[str]:
        return [getattr(message, "path", "error") for message, _ in self.messages]

    def has_started(self) -> bool:
        return self.requests.has_started

    def error(self) -> Exception:
        """The error of the last message."""
        message, _ = self.messages[-1]
        assert isinstance(message, _ErrInfo)
        assert isinstance(message.exc, Exception)
        return message.exc


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {len(whole)})
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(max_examples=300, deadline=None)
@given(REQUESTS, st.lists(st.integers(0, 600), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_requests(requests: list[bytes], cuts: list[int]) -> None:
    async def parse() -> Connection:
        connection = Connection()
        for piece in pieces(b"".join(requests), cuts):
            connection.data_received(piece)
        if CHUNKED not in requests and EMPTY_CHUNKED not in requests:
            assert not connection.has_started()
        for message, payload in connection.messages:
            assert await payload.read() == BODIES[message.path]
        return connection

    assert asyncio.run(parse()).paths == [request.split()[1].decode() for request in requests]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([PLAIN, CHUNKED, EMPTY_CHUNKED]), min_size=1, max_size=5), st.lists(st.integers(0, 600))
)
def test_nothing_has_begun_after_the_end_of_chunks_or_headers(requests: list[bytes], cuts: list[int]) -> None:
    async def parse() -> Connection:
        connection = Connection()
        for piece in pieces(b"".join(requests), cuts):
            connection.data_received(piece)
        return connection

    assert not asyncio.run(parse()).has_started()


@settings(max_examples=300, deadline=None)
@given(REQUESTS, st.data())
def test_the_beginning_of_a_next_request_is_noticed(requests: list[bytes], data: st.DataObject) -> None:
    """Also when it comes in one piece with what is before it."""
    begun = PLAIN[: data.draw(st.integers(1, len(PLAIN) - 1))]
    whole = b"".join(requests) + begun
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5))

    async def parse() -> Connection:
        connection = Connection()
        for piece in pieces(whole, cuts):
            connection.data_received(piece)
        assert connection.has_started()
        connection.data_received(PLAIN[len(begun) :])
        assert not connection.has_started()
        return connection

    assert len(asyncio.run(parse()).messages) == len(requests) + 1


async def test_empty_lines_before_a_request_are_no_beginning() -> None:
    connection = Connection()
    connection.data_received(b"\r\n\r\n")
    assert not connection.has_started()
    connection.data_received(PLAIN)
    assert connection.paths == ["/plain"]


@pytest.mark.parametrize("begun", [b"", CHUNKED, PLAIN[:20]], ids=["a connection", "a chunked body", "half a header"])
@pytest.mark.parametrize("size", [1, 700, 2**30])
async def test_empty_lines_are_limited(begun: bytes, size: int) -> None:
    connection = Connection()
    connection.data_received(begun)
    lines = b"\r\n" * 40_000
    for start in range(0, 3_000 if size == 1 else len(lines), size):
        connection.data_received(lines[start : start + size])
    assert connection.requests.is_broken
    assert connection.paths[-1] == "error"


async def test_a_few_empty_lines_before_each_request_are_accepted() -> None:
    connection = Connection()
    for _ in range(5):
        connection.data_received(b"\r\n" * 200 + PLAIN)
    assert connection.paths == ["/plain"] * 5


TARGETS = {
    "a path": b"/" + b"a" * MAX_LINE_BYTES,
    "a query": b"/?" + b"a" * MAX_LINE_BYTES,
    "a host": b"http://" + b"a" * 300 + b"/",
    "a large host": b"http://" + b"a" * 250_000 + b"/",
    "a path of slashes": b"/" * 100,
    "an IDNA host": b"http://xn--" + b"a" * 10_000 + b"/",
}


@pytest.mark.parametrize("size", [1_000, 2**30])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
async def test_a_long_target_is_414(target: bytes, size: int) -> None:
    connection = Connection()
    whole = PLAIN.replace(b"/plain", target)
    for start in range(0, len(whole), size):
        connection.data_received(whole[start : start + size])
    error = connection.error()
    assert isinstance(error, Problem)
    assert error.status == 414
    assert connection.requests.used_bytes == 0


async def test_a_target_just_within_the_limit_is_accepted() -> None:
    connection = Connection()
    target = "/" + "a" * (MAX_LINE_BYTES - 1)
    connection.data_received(PLAIN.replace(b"/plain", target.encode()))
    assert connection.paths == [target]


@pytest.mark.parametrize("digits", [21, 5_000])
async def test_a_content_length_of_many_digits_is_400(digits: int) -> None:
    connection = Connection()
    connection.data_received(LENGTH.replace(b": 8", b": " + b"8".zfill(digits)))
    error = connection.error()
    assert isinstance(error, Problem)
    assert error.status == 400


async def test_whatever_fails_in_parsing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object, *_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(RequestParser, "_handle_expect", fail)
    connection = Connection()
    connection.data_received(PLAIN)
    assert isinstance(connection.error(), Problem)


@pytest.mark.parametrize("sent", [b"x" * 50_000, b"GET / HTTP/1.1\r\n" + b" x" * 50_000, b"GET /" + b"x" * 50_000])
async def test_input_that_cannot_be_parsed_uses_no_memory(sent: bytes) -> None:
    connection = Connection()
    connection.data_received(sent)
    error = connection.error()
    assert len(str(error)) < 1_000
    assert error.__traceback__ is None
    assert error.__context__ is None


def head(*sizes: int) -> bytes:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"x" * size) for number, size in enumerate(sizes))
    return b"GET /large HTTP/1.1\r\nHost: x\r\nOrigin: https://page\r\n" + fields + b"\r\n"


@pytest.mark.parametrize("size", [1_000, 64 * 1024, 2**30])
@pytest.mark.parametrize(
    "sizes", [(200_000, 100_000), (20_000,) * 20, (300_000,)], ids=["two fields", "twenty fields", "one field"]
)
async def test_headers_are_limited_in_all(size: int, sizes: tuple[int, ...]) -> None:
    connection = Connection()
    whole = head(*sizes)
    for start in range(0, len(whole), size):
        connection.data_received(whole[start : start + size])
    error = connection.error()
    assert isinstance(error, Problem)
    assert error.status == 431
    assert connection.paths == ["error"]
    assert connection.requests.used_bytes < MAX_HEADER_BYTES


async def test_headers_just_within_the_limit_are_accepted() -> None:
    connection = Connection()
    connection.data_received(head(200_000, 50_000))
    assert connection.paths == ["/large"]


async def test_each_request_of_a_connection_may_have_as_many_header_bytes() -> None:
    connection = Connection()
    for _ in range(3):
        connection.data_received(head(100_000, 100_000))
    assert connection.paths == ["/large"] * 3
    assert connection.requests.used_bytes < 3 * 200_000  # those of the last one


@pytest.mark.parametrize("is_ended", [True, False], ids=["ended", "without an end"])
async def test_what_a_field_costs_beyond_its_text_counts(is_ended: bool) -> None:
    connection = Connection()
    fields = b"".join(b"%x:a\r\n" % number for number in range(MAX_HEADERS - 2))
    connection.data_received(b"GET /plain HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n" * is_ended)
    assert len(connection.messages) == is_ended
    assert connection.requests.used_bytes > 200 * MAX_HEADERS


def chunks(*sizes: int) -> bytes:
    return CHUNKED.partition(b"4\r\n")[0] + b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)


UNREAD = [
    pytest.param(LENGTH.replace(b": 8", b": 50000").partition(b"bo")[0] + b"x" * 40_000, 40_000, id="of known length"),
    pytest.param(chunks(20_000, 20_000), 40_000, id="chunked"),
    pytest.param(chunks(*[1] * 1_000), 80_000, id="tiny chunks"),
]


@pytest.mark.parametrize(("sent", "least"), UNREAD)
async def test_an_unread_body_counts_until_it_is_admitted(sent: bytes, least: int) -> None:
    connection = Connection()
    connection.data_received(sent)
    payload = connection.messages[0][1]
    unread = connection.requests.used_bytes
    assert unread > least
    connection.requests.admit_body(payload)
    assert connection.requests.used_bytes == unread - payload.total_bytes
    assert connection.requests.admitted_bytes == payload.total_bytes
    connection.requests.release_body()
    assert connection.requests.used_bytes == unread
    await payload.readany()
    assert connection.requests.used_bytes < 3_000


async def test_unread_bodies_of_requests_that_wait_count_as_well() -> None:
    connection = Connection()
    post = LENGTH.replace(b": 8", b": 30000").partition(b"bo")[0] + b"x" * 30_000
    found, _, _ = connection.requests.feed_data(post * 2)
    assert len(found) == 2
    assert connection.requests.used_bytes > 60_000
    connection.requests.reject_all()
    assert connection.requests.used_bytes == 0


async def test_an_abandoned_body_is_freed() -> None:
    connection = Connection()
    connection.data_received(chunks(*[30_000] * 5))
    payload = connection.messages[0][1]
    connection.requests.discard_body(RequestPayloadError("enough"))
    await asyncio.sleep(0)
    assert connection.requests.used_bytes < 3_000
    with pytest.raises(RequestPayloadError):
        await payload.read()
    connection.data_received(b"7530\r\n" + b"x" * 30_000)
    assert connection.requests.used_bytes < 3_000


async def test_too_many_headers_are_an_error_with_the_origin_that_is_known() -> None:
    connection = Connection()
    connection.data_received(head(*[1] * MAX_HEADERS))
    assert "too many headers" in str(connection.error())
    assert connection.requests.origin == "https://page"


@pytest.mark.parametrize(
    "trailers", [b"X: y\r\n" * 20_000, b"X: " + b"y" * 200_000 + b"\r\n"], ids=["many", "a large one"]
)
async def test_trailers_are_limited(trailers: bytes) -> None:
    connection = Connection()
    connection.data_received(CHUNKED.partition(b"Trailer")[0])
    for start in range(0, len(trailers), 10_000):
        connection.data_received(trailers[start : start + 10_000])
    _, payload = connection.messages[0]
    with pytest.raises(RequestPayloadError):
        await payload.read()
    assert connection.requests.is_broken


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
@pytest.mark.parametrize("request_", [PLAIN, LENGTH, CHUNKED], ids=["no body", "a body", "a chunked body"])
@pytest.mark.parametrize("size", [1, 2**30])
async def test_an_upgrade_is_ignored_but_ends_the_input_after_chunks(upgrade: str, request_: bytes, size: int) -> None:
    connection = Connection()
    upgrades = b"\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % upgrade.encode()
    whole = request_.replace(b"\r\n\r\n", upgrades, 1) + LENGTH * 3
    for start in range(0, len(whole), size):
        connection.data_received(whole[start : start + size])
    path = request_.split()[1].decode()
    after = [] if request_ is CHUNKED else ["/length"] * 3
    assert connection.paths == [path, *after]
    assert [await payload.read() for _, payload in connection.messages] == [BODIES[path] for path in connection.paths]
    assert connection.requests.is_broken == (request_ is CHUNKED)


async def test_bytes_behind_an_upgrade_count() -> None:
    connection = Connection()
    upgrade = PLAIN.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost")
    found, is_upgraded, _ = connection.requests.feed_data(upgrade + PLAIN * 100)
    assert (len(found), is_upgraded) == (2, False)
    assert connection.requests.used_bytes > 90 * len(PLAIN)


async def test_headers_in_one_piece_with_chunks_count() -> None:
    connection = Connection()
    fields = b"".join(b"%x:a\r\n" % number for number in range(100))
    connection.requests.feed_data(CHUNKED + PLAIN.replace(b"Host", fields + b"Host") * 10)
    assert connection.requests.used_bytes > 1_000 * 200


async def test_requests_beyond_the_queue_wait_unparsed() -> None:
    connection = Connection()
    found, _, _ = connection.requests.feed_data(PLAIN * 10)
    assert len(found) == 2
    assert connection.requests.used_bytes >= 8 * len(PLAIN)
    connection.requests.message_consumed()
    found, _, _ = connection.requests.feed_data(b"")
    assert len(found) == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_nothing_is_inflated(coding: str) -> None:
    connection = Connection()
    connection.data_received(LENGTH.replace(b"Host", b"Content-Encoding: %s\r\nHost" % coding.encode()))
    assert await connection.messages[0][1].read() == BODIES["/length"]


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue", "foo", "", "foo, bar"])
async def test_the_expect_header_is_removed(expect: str) -> None:
    connection = Connection()
    connection.data_received(LENGTH.replace(b"Host", b"Expect: %s\r\nHost" % expect.encode()))
    message, payload = connection.messages[0]
    assert "Expect" not in message.headers
    assert connection.requests.admit_body(payload) == (expect.lower() == "100-continue")
    assert not connection.requests.admit_body(payload)
