"""The operations port responds like the API, with the same limits for connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.common.lifecycle import Lifecycle
from services.common.web.operations import create_operations_app
from tests.support.raw_http import exchange
from tests.support.served_app import Served, served_app


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    lifecycle = Lifecycle()
    async with served_app(create_operations_app(lifecycle), lifecycle) as served:
        yield served


REFUSED = [
    pytest.param("GET", "/nothing", {}, 404, id="no such path"),
    pytest.param("POST", "/livez", {}, 405, id="no such method"),
    pytest.param("GET", "/nothing", {"Expect": "foo"}, 404, id="an expectation"),
    pytest.param("GET", "/livez", {f"X-{number}": "y" for number in range(200)}, 431, id="too many headers"),
    pytest.param("GET", "/livez", {f"X-{number}": "y" * 200_000 for number in range(2)}, 431, id="too large headers"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED)
async def test_a_refusal_is_a_problem(
    served: Served, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await served.ask(method, path, headers=headers)
    assert answer.status == answer.json["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["requestId"]


async def test_an_expectation_or_an_encoding_is_ignored_where_no_body_is_read(served: Served) -> None:
    answer = await served.ask("GET", "/livez", headers={"Expect": "foo", "Content-Encoding": "br"}, data=b"x" * 100_000)
    assert (answer.status, answer.body) == (200, b"live\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/nothing"])
async def test_no_page_of_another_origin_may_include_an_answer(served: Served, path: str) -> None:
    answer = await served.ask("GET", path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /livez HTTP/1.1\r\nHost: localhost:9081\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: LOCALHOST:9081\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: evil.example:9081\r\n", 421),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\n", 421),
        ("GET /livez HTTP/1.0\r\n", 421),
        ("GET http://localhost:9081/livez HTTP/1.1\r\nHost: localhost:9081\r\n", 421),
        ("GET /livez HTTP/1.1\r\nHost: localhost:9081\r\nHost: localhost:9081\r\n", 400),
        ("GET /livez HTTP/1.1\r\n", 400),
    ],
)
async def test_only_allowed_hosts_are_served(head: str, status: int) -> None:
    lifecycle = Lifecycle()
    async with served_app(create_operations_app(lifecycle), lifecycle, frozenset({"localhost:9081"})) as served:
        answer = await asyncio.to_thread(exchange, served.port, f"{head}Connection: close\r\n\r\n")
    assert answer.status == status
