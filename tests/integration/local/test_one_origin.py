"""The API at the port of the application: what reaches the services, and what comes back."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, CIMultiDictProxy

from local.page import forwarder
from local.page.app import create_app
from local.page.forwarder import MAX_BODY_BYTES
from local.page.settings import Settings
from local.web_access.access import WebAccess
from services.common.web.listener import listen
from tests.support.ports import free_port
from tests.support.raw_http import asked, exchange

OWN_PAGE = "http://localhost:5173"


@dataclass
class Request:
    """A request as a service got it."""

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class Service:
    """A service that notes requests and answers all of them the same."""

    name: str
    requests: list[Request] = field(default_factory=list)
    answer: web.Response | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Request(request.method, request.raw_path, request.headers, await request.read()))
        given = self.answer or web.Response(text=self.name)
        return web.Response(status=given.status, reason=given.reason, body=given.body, headers=given.headers)

    @property
    def last(self) -> Request:
        return self.requests[-1]


@dataclass
class Origin:
    """The application's server and the two services behind it."""

    port: int
    token: Service
    ingest: Service
    session: ClientSession

    def url(self, path: str) -> str:
        return f"http://localhost:{self.port}{path}"


def settings_of(port: int, folder: Path, services: dict[str, str]) -> Settings:
    return Settings(
        port=port,
        bundle=folder / "dist",
        mails_url="http://127.0.0.1:9/mails",
        mails_key="the-secret-of-this-run",
        access=WebAccess(frozenset({OWN_PAGE})),
        services=services,
        dev_view=None,
        momento_url="http://localhost:8085",
        cognito_url="http://localhost:4566",
        region="us-east-1",
        user_pool_id="us-east-1_pool",
        user_pool_client_id="client",
    )


@asynccontextmanager
async def application(folder: Path, services: dict[str, str]) -> AsyncIterator[int]:
    """Serve the application on a free port."""
    port = free_port()
    async with served(create_app(settings_of(port, folder, services)), port):
        yield port


@asynccontextmanager
async def served(app: web.Application, port: int) -> AsyncIterator[str]:
    """Serve with the limits of the services; yield the base URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await listen(runner, "127.0.0.1", port)
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    token, ingest = Service("token"), Service("ingest")
    async with AsyncExitStack() as stack:
        urls = {}
        for service in (token, ingest):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", service.handle)
            urls[service.name] = await stack.enter_async_context(served(app, free_port()))
        port = await stack.enter_async_context(application(tmp_path, urls))
        session = await stack.enter_async_context(ClientSession(auto_decompress=False))
        yield Origin(port, token, ingest, session)


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("GET", "/token", "token"),
        ("GET", "/notifications?after=x", "token"),
        ("POST", "/notifications/read", "token"),
        ("POST", "/task", "ingest"),
        ("GET", "/task/abc", "token"),
        ("GET", "/task/abc/result", "token"),
        ("POST", "/task/abc/cancel", "token"),
        ("GET", "/task/", "token"),
        ("POST", "/notification", "ingest"),
        ("GET", "/openapi.json", "token"),
    ],
)
async def test_each_path_reaches_its_service(origin: Origin, method: str, path: str, service: str) -> None:
    async with origin.session.request(method, origin.url(path)) as answer:
        assert (answer.status, await answer.text()) == (200, service)


@pytest.mark.parametrize("path", ["/tokens", "/token/x", "/tasks", "/notificationsx", "/metrics", "/livez", "/Task"])
async def test_no_other_path_reaches_a_service(origin: Origin, path: str) -> None:
    async with origin.session.get(origin.url(path)) as answer:
        assert answer.status == 404
    assert origin.token.requests == origin.ingest.requests == []


async def test_the_request_arrives_unchanged(origin: Origin) -> None:
    body = b'{"data": "gr\xc3\xb6\xc3\x9fer"}'
    headers = {
        "Authorization": "Bearer abc",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
        "X-Request-Id": "id-1",
        "traceparent": "00-1-2-00",
        "User-Agent": "curl/8",
        "Accept": "*/*",
    }
    async with origin.session.post(origin.url("/task?a=%20b&c=1"), data=body, headers=headers):
        got = origin.ingest.last
    assert (got.method, got.target, got.body) == ("POST", "/task?a=%20b&c=1", body)
    arrived = {name.lower(): value for name, value in got.headers.items()}
    of_the_client = {"host", "content-length", "accept-encoding"}
    assert {name: arrived[name] for name in arrived.keys() - of_the_client} == {
        name.lower(): value for name, value in headers.items()
    }
    assert got.headers["Host"].startswith("127.0.0.1:")


async def test_an_encoded_path_is_not_decoded(origin: Origin) -> None:
    target = "/task/a%2F..%2Fb%20c?x=%00"
    answer = await asyncio.to_thread(asked, origin.port, "GET", target, f"Host: localhost:{origin.port}")
    assert answer.status == 200
    assert origin.token.last.target == target


async def test_the_answer_arrives_unchanged(origin: Origin) -> None:
    body = gzip.compress(b"compressed by the service")
    origin.token.answer = web.Response(
        status=429,
        reason="Slow Down",
        body=body,
        headers=CIMultiDict(
            {
                "Content-Type": "application/problem+json",
                "Content-Encoding": "gzip",
                "Retry-After": "7",
                "Location": "/task/1",
                "Vary": "Origin",
                "Access-Control-Allow-Origin": OWN_PAGE,
                "Access-Control-Expose-Headers": "Location",
                "Cache-Control": "no-store",
                "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
                "Server": "the-service",
            }
        ),
    )
    async with origin.session.get(origin.url("/token"), headers={"Origin": OWN_PAGE}) as answer:
        assert (answer.status, answer.reason, await answer.read()) == (429, "Slow Down", body)
        assert dict(answer.headers) == {**origin.token.answer.headers, "Content-Length": str(len(body))}


async def test_headers_of_one_connection_are_not_forwarded(origin: Origin) -> None:
    hop_by_hop = ("Connection: close", "Connection: x-private", "X-Private: 1", "Keep-Alive: timeout=5", "Trailer: x")
    more = (*hop_by_hop, "Proxy-Authorization: secret", "Upgrade: websocket", f"Host: localhost:{origin.port}")
    request = "\r\n".join(["GET /token HTTP/1.1", *more, "X-Kept: 1", "", ""])
    await asyncio.to_thread(exchange, origin.port, request)
    got = origin.token.last.headers
    assert got["X-Kept"] == "1"
    for name in ("X-Private", "Keep-Alive", "Trailer", "Proxy-Authorization", "Upgrade"):
        assert name not in got
    assert got.get("Connection", "") in {"", "keep-alive"}


async def test_a_head_request_has_the_length_and_no_body(origin: Origin) -> None:
    async with origin.session.head(origin.url("/token")) as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "5", b"")


async def test_an_id_token_of_many_groups_is_no_problem(origin: Origin) -> None:
    header = f"Authorization: {'x' * 100_000}"
    answer = await asyncio.to_thread(asked, origin.port, "GET", "/token", f"Host: localhost:{origin.port}", header)
    assert answer.status == 200


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_that_no_service_accepts_is_refused_here(origin: Origin, is_chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b"x" * 65_536

    data = chunks() if is_chunked else io.BytesIO(b"x" * (MAX_BODY_BYTES + 1))
    async with origin.session.post(origin.url("/task"), data=data) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type="application/problem+json"))["requestId"]
    assert origin.ingest.requests == []


async def test_a_client_that_waits_for_the_permission_to_send_gets_it_once(origin: Origin) -> None:
    async with origin.session.post(origin.url("/task"), data=b"body", expect100=True) as answer:
        assert answer.status == 200
    assert origin.ingest.last.body == b"body"
    assert "Expect" not in origin.ingest.last.headers


async def test_a_service_that_does_not_answer_is_a_problem_that_the_own_page_can_read(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    async with (
        application(tmp_path, {"token": closed, "ingest": closed}) as port,
        ClientSession() as session,
        session.post(f"http://localhost:{port}/task", data=b"{}", headers={"Origin": OWN_PAGE}) as answer,
    ):
        problem = await answer.json(content_type="application/problem+json")
    assert answer.status == 502
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Access-Control-Allow-Origin"] == OWN_PAGE
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert problem.keys() == {"type", "title", "status", "detail", "requestId"}
    assert (problem["title"], problem["status"]) == ("Bad Gateway", 502)
    assert "127.0.0.1" not in problem["detail"]


@asynccontextmanager
async def before(handler: Handler) -> AsyncIterator[int]:
    """Serve the application before a token service with this handler."""
    app = web.Application()
    app.router.add_get("/token", handler)
    async with served(app, free_port()) as url, application(Path(), {"token": url}) as port:
        yield port


async def test_a_service_that_takes_too_long_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_request: web.Request) -> web.StreamResponse:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    monkeypatch.setattr(forwarder, "TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    async with (
        before(never) as port,
        ClientSession() as session,
        session.get(f"http://localhost:{port}/token") as answer,
    ):
        assert answer.status == 504
        assert answer.headers["Retry-After"] == "1"


async def test_an_answer_that_breaks_off_is_not_complete_for_the_client() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"part")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with before(break_off) as port, ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(f"http://localhost:{port}/token") as answer:
                await answer.read()


async def test_a_preflight_of_the_developers_own_page_is_answered_by_the_service(origin: Origin) -> None:
    origin.ingest.answer = web.Response(status=204, headers={"Access-Control-Allow-Methods": "GET, POST"})
    headers = {"Origin": OWN_PAGE, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "same-site"}
    async with origin.session.options(origin.url("/task"), headers=headers) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "GET, POST")
    assert origin.ingest.last.method == "OPTIONS"
    assert origin.ingest.last.headers["Origin"] == OWN_PAGE


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Host": "evil.example"},
    ],
)
async def test_requests_of_foreign_web_sites_reach_no_service(origin: Origin, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/token"), ("POST", "/task"), ("OPTIONS", "/task/x")):
        async with origin.session.request(method, origin.url(path), headers=headers) as answer:
            assert answer.status in {403, 421}
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert origin.token.requests == origin.ingest.requests == []
