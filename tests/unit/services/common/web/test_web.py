"""The web application that every HTTP service starts from, through a real server."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import REGISTRY

from notification_api import PermanentError, TransientError
from services.common.lifecycle import Lifecycle
from services.common.overload import OverloadedError
from services.common.settings import HttpSettings
from services.common.telemetry.logs import quiet_libraries
from services.common.web.app import BODIES, OWNER, create_web_app
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from tests.support.served_app import Answer, Served, log_lines, served_app
from tests.support.waiting import wait_until

PAGE = "https://app.example.com"
HTTP_SETTINGS = HttpSettings(allowed_origins=frozenset({PAGE}), max_body_bytes=1_000, request_timeout_seconds=5.0)
SECRET = "s3cr3t-payload"


class Busy(TransientError):
    retry_after_seconds = 7.2
    public_detail = "Come back later."


def raising(error: Exception) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_request: web.Request) -> web.Response:
        raise error

    return handler


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


class Gate:
    """A request that waits until the test lets it pass."""

    def __init__(self) -> None:
        self.began, self.opened, self.passed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(self, _request: web.Request) -> web.Response:
        self.began.set()
        await self.opened.wait()
        self.passed.set()
        return web.Response()


class Noted(web.Response):
    """An answer that notes when it is written."""

    def __init__(self, happened: list[str]) -> None:
        super().__init__()
        self._happened = happened

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        self._happened.append("answered")


@web.middleware
async def owned(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know the user, as a service does."""
    if user := request.headers.get("X-User"):
        request[OWNER] = user
    return await handler(request)


GATE = web.AppKey("gate", Gate)
HAPPENED = web.AppKey[list[str]]("happened", list)


async def noted(request: web.Request) -> web.Response:
    return Noted(request.app[HAPPENED])


async def hang(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    lifecycle = Lifecycle()
    app = create_web_app(replace(HTTP_SETTINGS, **getattr(request, "param", {})), lifecycle)
    app.router.add_post("/echo/{name}", echo)
    app.middlewares.insert(1, owned)
    app.router.add_route("*", "/hang", hang)
    app[GATE] = Gate()
    app.router.add_route("*", "/gate", app[GATE].handle)
    app[HAPPENED] = []
    app.router.add_get("/noted", noted)
    app.router.add_route("*", "/bug", raising(RuntimeError("our own mistake")))
    app.router.add_get("/busy", raising(Busy("inside: 10.1.2.3 refused")))
    app.router.add_get("/full", raising(OverloadedError("inside: full")))
    app.router.add_get("/odd", raising(web.HTTPNotAcceptable()))
    app.router.add_get("/permanent", raising(PermanentError("inside: never")))
    app.router.add_get(
        "/refused",
        raising(Problem(ProblemType.IDEMPOTENCY_KEY_REUSED, "Say it otherwise.", headers={"X-Why": "because"})),
    )
    app.router.add_get("/slow-inside", raising(TimeoutError()))
    async with served_app(app, lifecycle) as served:
        yield served


def assert_problem(answer: Answer, problem_type: ProblemType, detail: str) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "requestId"}
    assert answer.json["type"] == problem_type.uri
    assert answer.json["title"] == problem_type.title
    assert answer.json["status"] == answer.status == problem_type.status
    assert detail in answer.json["detail"]
    assert answer.json["requestId"] == answer.headers["X-Request-Id"]
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Cache-Control"] == "no-store"


ERRORS = [
    pytest.param("GET", "/nothing", ProblemType.PATH_NOT_FOUND, "path does not exist", id="no such path"),
    pytest.param("PUT", "/busy", ProblemType.METHOD_NOT_ALLOWED, "See the Allow header", id="no such method"),
    pytest.param("GET", "/bug", ProblemType.INTERNAL_ERROR, "Report the requestId", id="our own mistake"),
    pytest.param("GET", "/permanent", ProblemType.INTERNAL_ERROR, "Report the requestId", id="what can never succeed"),
    pytest.param("GET", "/busy", ProblemType.UNAVAILABLE, "Come back later.", id="transient"),
    pytest.param("GET", "/full", ProblemType.OVERLOADED, "briefly unavailable", id="a limit of all users"),
    pytest.param("GET", "/odd", ProblemType.INTERNAL_ERROR, "Report the requestId", id="an unexpected HTTP exception"),
    pytest.param("GET", "/refused", ProblemType.IDEMPOTENCY_KEY_REUSED, "Say it otherwise.", id="refused"),
    pytest.param("GET", "/slow-inside", ProblemType.TIMED_OUT, "took too long", id="a deadline within"),
]


@pytest.mark.parametrize(("method", "path", "problem_type", "detail"), ERRORS)
async def test_every_error_is_a_problem_that_the_page_may_read(
    served: Served, method: str, path: str, problem_type: ProblemType, detail: str
) -> None:
    answer = await served.ask(method, path, headers={"Origin": PAGE})
    assert_problem(answer, problem_type, detail)
    assert b"inside" not in answer.body
    assert b"mistake" not in answer.body


async def test_a_body_above_the_limit_is_413(served: Served) -> None:
    answer = await served.ask("POST", "/echo/a", data=b"x" * 1_001, headers={"Origin": PAGE})
    assert_problem(answer, ProblemType.BODY_TOO_LARGE, "larger than this service accepts")
    assert (await served.ask("POST", "/echo/a", data=b"x" * 1_000)).body == b"x" * 1_000


async def test_a_chunked_body_above_the_limit_is_413(served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    assert_problem(
        await served.ask("POST", "/echo/a", data=chunks(), headers={"Origin": PAGE}),
        ProblemType.BODY_TOO_LARGE,
        "larger",
    )


async def test_an_unsupported_method_gets_the_supported_ones(served: Served) -> None:
    answer = await served.ask("DELETE", "/echo/a")
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


async def test_a_transient_error_has_retry_after(served: Served) -> None:
    assert (await served.ask("GET", "/busy")).headers["Retry-After"] == "8"


async def test_a_refusals_own_headers_are_sent(served: Served) -> None:
    assert (await served.ask("GET", "/refused")).headers["X-Why"] == "because"


@pytest.mark.parametrize("served", [{"request_timeout_seconds": 0.05}], indirect=True)
async def test_a_request_that_takes_too_long_is_503(served: Served) -> None:
    answer = await served.ask("GET", "/hang", headers={"Origin": PAGE})
    assert_problem(answer, ProblemType.TIMED_OUT, "took too long")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("expect", ["foo", "100-continue", "100-Continue", ""])
async def test_an_expectation_does_not_bypass_what_every_answer_has(served: Served, expect: str) -> None:
    answer = await served.ask("GET", "/refused", headers={"Origin": PAGE, "Expect": expect})
    assert_problem(answer, ProblemType.IDEMPOTENCY_KEY_REUSED, "Say it otherwise.")


@pytest.mark.parametrize("expect", ["foo", "100-continue", "100-continue, foo"])
@pytest.mark.parametrize(
    ("method", "path", "problem_type"),
    [("GET", "/nothing", ProblemType.PATH_NOT_FOUND), ("PUT", "/busy", ProblemType.METHOD_NOT_ALLOWED)],
)
async def test_an_expectation_does_not_bypass_it_on_unknown_routes_and_methods(
    served: Served, method: str, path: str, problem_type: ProblemType, expect: str
) -> None:
    answer = await served.ask(method, path, headers={"Origin": PAGE, "Expect": expect})
    assert_problem(answer, problem_type, "")


CODINGS = ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, br", "gzp", "ü"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/echo/a"), ("GET", "/busy"), ("PUT", "/busy"), ("POST", "/nothing")]
)
async def test_an_encoded_body_is_415_on_every_route(served: Served, coding: str, method: str, path: str) -> None:
    headers = {"Origin": PAGE, "Content-Encoding": coding}
    answer = await served.ask(method, path, data=b"not encoded at all", headers=headers)
    assert_problem(answer, ProblemType.UNSUPPORTED_MEDIA_TYPE, "without Content-Encoding")
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "Identity", "", "identity, identity"])
async def test_the_identity_encoding_is_accepted(served: Served, coding: str) -> None:
    answer = await served.ask("POST", "/echo/a", data=b"plain", headers={"Content-Encoding": coding})
    assert answer.body == b"plain"


async def raw(served: Served, sent: bytes) -> bytes:
    """What is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_two_content_encodings_are_415_too(served: Served) -> None:
    answer = await raw(
        served,
        b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n"
        b"Connection: close\r\nContent-Length: 1\r\n\r\nx",
    )
    assert answer.startswith(b"HTTP/1.1 415 ")


async def test_a_transfer_coding_that_would_have_to_be_inflated_is_415(served: Served) -> None:
    answer = await raw(
        served,
        b"POST /echo/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n"
        b"1\r\nx\r\n0\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(("method", "path"), [("POST", "/echo/a"), ("GET", "/busy"), ("POST", "/nothing")])
async def test_a_long_content_type_is_415_on_every_route(served: Served, method: str, path: str) -> None:
    headers = {"Origin": PAGE, "Content-Type": 'application/json;a="' + ";" * 100_000}
    assert_problem(
        await served.ask(method, path, data=b"{}", headers=headers), ProblemType.UNSUPPORTED_MEDIA_TYPE, "Content-Type"
    )


REFUSED_BEFORE_THE_BODY = [
    pytest.param(b"POST /nothing", b"", 404, id="no such path"),
    pytest.param(b"POST /echo/a", b"Content-Encoding: gzip\r\n", 415, id="encoded"),
    pytest.param(b"POST /echo/a", b"", 413, id="too large"),
]


@pytest.mark.parametrize(("line", "more", "status"), REFUSED_BEFORE_THE_BODY)
async def test_a_client_that_waits_to_be_asked_is_not_asked_for_a_body_that_is_refused(
    served: Served, line: bytes, more: bytes, status: int
) -> None:
    sent = line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\nExpect: 100-continue\r\n" + more + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in head  # what comes next may be the body or another request


def budget_refused() -> float:
    return REGISTRY.get_sample_value("notification_api_memory_refused_total", {"budget": "bodies"}) or 0.0


async def test_a_body_for_which_there_is_no_memory_is_503_before_it_is_read(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, before = served.app[BODIES], budget_refused()
    monkeypatch.setattr(budget, "total_bytes", 3 * 4 * 1_000)
    gate = served.app[GATE]
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(served.ask("POST", "/gate", data=b"x" * 1_000)) for _ in range(3)]
        await wait_until(lambda: budget.used_bytes == budget.total_bytes)
        answer = await served.ask("POST", "/echo/a", data=b"x", headers={"Origin": PAGE})
        assert_problem(answer, ProblemType.OVERLOADED, "Too many requests are being received")
        assert answer.headers["Retry-After"] == "1"
        assert (await served.ask("GET", "/busy")).json["detail"] == "Come back later."  # it needs none
        gate.opened.set()
    assert {task.result().status for task in waiting} == {200}
    assert budget.used_bytes == 0
    assert budget_refused() == before + 1
    assert (await served.ask("POST", "/echo/a", data=b"x")).status == 200


@pytest.mark.parametrize(("count", "status"), [(1, 200), (9, 200), (10, 503), (11, 503)])
async def test_a_chunked_body_reserves_what_has_arrived(
    served: Served, monkeypatch: pytest.MonkeyPatch, count: int, status: int
) -> None:
    budget, before = served.app[BODIES], budget_refused()
    monkeypatch.setattr(budget, "total_bytes", 4 * 1_000 - 1)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    answer = await served.ask("POST", "/echo/a", data=chunks(), headers={"Origin": PAGE})
    assert answer.status == status
    if status == 503:
        assert_problem(answer, ProblemType.OVERLOADED, "Too many requests are being received")
        assert answer.headers["Retry-After"] == "1"
        assert budget_refused() == before + 1
    assert budget.used_bytes == 0


KNOWN_LENGTH = b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"


@pytest.mark.parametrize("framing", [KNOWN_LENGTH, CHUNKED], ids=["known length", "chunked"])
async def test_bodies_that_are_announced_and_not_sent_cost_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, framing: bytes
) -> None:
    budget = served.app[BODIES]
    monkeypatch.setattr(budget, "total_bytes", 3 * 4 * 1_000)
    async with AsyncExitStack() as opened:
        for count in range(1, 21):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            opened.callback(writer.close)
            writer.write(b"POST /echo/a HTTP/1.1\r\nHost: x\r\n" + framing + b"x")
            await wait_until(lambda count=count: budget.used_bytes == 4 * count)  # type: ignore[misc]
        assert (await served.ask("POST", "/echo/a", data=b"x" * 1_000)).status == 200
    await wait_until(lambda: budget.used_bytes == 0)


@pytest.mark.parametrize("framing", [KNOWN_LENGTH, CHUNKED], ids=["known length", "chunked"])
async def test_a_body_in_the_middle_of_which_the_memory_is_full_is_503_that_can_be_read(
    served: Served, monkeypatch: pytest.MonkeyPatch, framing: bytes
) -> None:
    budget = served.app[BODIES]
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /echo/a HTTP/1.1\r\nHost: x\r\n" + framing + b"x" * 10)
    await wait_until(lambda: budget.used_bytes == 40)
    monkeypatch.setattr(budget, "total_bytes", 79)
    writer.write(b"x" * 10)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * 980 + b"\r\n0\r\n\r\n" * (framing == CHUNKED))
        await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert b"Connection: close" in head
    assert budget.used_bytes == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST"])
async def test_a_body_counts_as_such_only_where_the_method_has_one(served: Served, method: str) -> None:
    gate, budget = served.app[GATE], served.app[BODIES]
    asking = asyncio.create_task(served.ask(method, "/gate", data=b"x" * 500))
    await gate.began.wait()
    assert budget.used_bytes == (2_000 if method == "POST" else 0)
    gate.opened.set()
    assert (await asking).status == 200
    assert (await served.ask(method, "/gate", data=b"x" * 1_001)).status == 413


async def test_the_share_of_a_user_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = served.app[BODIES]
    monkeypatch.setattr(budget, "total_bytes", 4 * 4 * 1_000)
    gate = served.app[GATE]
    asking = asyncio.create_task(served.ask("POST", "/gate", data=b"x" * 1_000, headers={"X-User": "alice"}))
    await wait_until(lambda: budget.used_bytes == 4_000)
    for user, status in (("alice", 503), ("bob", 200)):
        assert (await served.ask("POST", "/echo/a", data=b"x", headers={"X-User": user})).status == status
    gate.opened.set()
    assert (await asking).status == 200


@pytest.mark.parametrize("served", [{"request_timeout_seconds": 0.05}], indirect=True)
async def test_memory_is_released_when_a_request_fails(served: Served) -> None:
    budget = served.app[BODIES]
    for path in ("/hang", "/bug", "/busy", "/nothing"):
        for method in ("GET", "POST"):
            await served.ask(method, path, data=b"x" * 500)
            assert budget.used_bytes == 0


async def test_a_client_that_expects_100_continue_gets_it(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(4) == b"body"
    writer.close()
    await writer.wait_closed()


async def test_an_allowed_origin_may_read_answers_and_their_headers(served: Served) -> None:
    answer = await served.ask("POST", "/echo/a", data=b"hello", headers={"Origin": PAGE})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Expose-Headers"] == "Date, Location, Retry-After, X-Request-Id"
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", f"{PAGE}.evil.example", "http://app.example.com", PAGE.upper()]
)
@pytest.mark.parametrize("path", ["/busy", "/nothing"])
async def test_no_other_origin_may(served: Served, origin: str | None, path: str) -> None:
    answer = await served.ask("GET", path, headers={"Origin": origin} if origin else {})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"  # a shared cache must not return it to the page


@pytest.mark.parametrize("path", ["/echo/a", "/hang", "/nothing"])
async def test_a_preflight_is_answered_without_a_token(served: Served, path: str) -> None:
    asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = await served.ask("OPTIONS", path, headers=asks)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"authorization", "content-type", "idempotency-key", "traceparent"} <= allowed
    assert {"baggage", "sentry-trace", "tracestate"} <= allowed
    assert answer.headers["Access-Control-Max-Age"] == "7200"


@pytest.mark.parametrize("served", [{"cors_allowed_headers": frozenset({"x-tenant", "baggage"})}], indirect=True)
async def test_more_headers_may_be_allowed(served: Served) -> None:
    asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-tenant"}
    allowed = (await served.ask("OPTIONS", "/echo/a", headers=asks)).headers["Access-Control-Allow-Headers"].split(", ")
    assert len(allowed) == len(set(allowed))
    assert {"x-tenant", "authorization", "tracestate"} <= set(allowed)


async def test_a_preflight_of_another_origin_is_not_granted(served: Served) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in (await served.ask("OPTIONS", "/echo/a", headers=asks)).headers


async def test_options_that_is_no_preflight_is_a_method_like_others(served: Served) -> None:
    assert (await served.ask("OPTIONS", "/echo/a")).status == 405


@pytest.mark.parametrize("given", ["abc", "A-b_c.1", "x" * 64])
async def test_a_given_request_id_is_kept(served: Served, given: str) -> None:
    answer = await served.ask("GET", "/busy", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given
    assert answer.json["requestId"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "<script>", "ü"])
async def test_a_request_id_that_could_do_harm_is_replaced(served: Served, given: str) -> None:
    answer = await served.ask("GET", "/busy", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-Id"])


async def test_each_request_has_an_id_of_its_own(served: Served) -> None:
    ids = {(await served.ask("GET", "/busy")).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


async def test_answers_are_never_sniffed(served: Served) -> None:
    assert (await served.ask("POST", "/echo/a", data=b"<b>")).headers["X-Content-Type-Options"] == "nosniff"


async def test_a_draining_service_closes_connections_with_their_next_answer(served: Served) -> None:
    before = await served.ask("POST", "/echo/a", data=b"x")
    assert before.headers.get("Connection") != "close"
    served.lifecycle.stop()
    after = await served.ask("POST", "/echo/a", data=b"x")
    assert (after.status, after.headers["Connection"]) == (200, "close")


def counted(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("notification_api_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_route_template(served: Served) -> None:
    before = counted("POST", "/echo/{name}", 200)
    for name in ("a", "b", "c?x=y"):
        await served.ask("POST", f"/echo/{name}", data=b"x")
    assert counted("POST", "/echo/{name}", 200) == before + 3


async def test_paths_and_methods_that_are_not_ours_share_one_label(served: Served) -> None:
    before = counted("other", "unmatched", 404)
    await served.ask("PROPFIND", "/coffee")
    await served.ask("MKCOL", "/tea")
    assert counted("other", "unmatched", 404) == before + 2


async def test_requests_are_timed(served: Served) -> None:
    labels = {"method": "POST", "route": "/echo/{name}"}
    before = REGISTRY.get_sample_value("notification_api_http_request_duration_seconds_count", labels) or 0.0
    await served.ask("POST", "/echo/a", data=b"x")
    after = REGISTRY.get_sample_value("notification_api_http_request_duration_seconds_count", labels)
    assert after == before + 1


async def test_a_request_is_logged_without_its_content(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": f"Bearer {SECRET}", "X-Request-Id": "abc", "Cookie": SECRET}
    await served.ask("POST", f"/echo/{SECRET}?token={SECRET}", data=SECRET, headers=headers)
    await served.ask("GET", f"/{SECRET}", headers=headers)
    own_records = [record for record in caplog.records if record.name.startswith("services.")]
    assert [record.route for record in own_records] == ["/echo/{name}", "unmatched"]  # type: ignore[attr-defined]
    assert SECRET not in log_lines(own_records)


async def test_the_response_does_not_wait_for_the_log_line(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = served.app[HAPPENED]
    monkeypatch.setattr(
        logging.getLogger("services.common.web.app"), "info", lambda *_, **__: happened.append("logged")
    )
    await served.ask("GET", "/noted")
    assert happened == ["answered", "logged"]


async def test_an_internal_error_is_logged_with_its_traceback(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    await served.ask("GET", "/bug")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "RuntimeError: our own mistake" in log_lines([record])


async def test_a_client_that_is_gone_does_not_stop_its_request(served: Served) -> None:
    gate = served.app[GATE]
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        await gate.began.wait()
        writer.close()
        await writer.wait_closed()
        gate.opened.set()
        await gate.passed.wait()


async def test_input_that_is_not_http_is_refused_and_its_headers_are_not_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quiet_libraries()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        f"GET /bug HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\nAuthorization: Bearer {SECRET}\x00\r\n\r\n".encode()
    )
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    assert "Content-Type: application/problem+json" in head
    assert f"Access-Control-Allow-Origin: {PAGE}" in head
    assert f"X-Request-Id: {json.loads(body)['requestId']}" in head
    writer.close()
    await writer.wait_closed()
    assert SECRET not in log_lines(caplog.records)
