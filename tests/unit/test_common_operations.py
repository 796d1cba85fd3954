"""The operations port answers as the API does, and is as hard to hold up."""

from collections.abc import AsyncIterator

import pytest

from services.common.lifecycle import Lifecycle
from services.common.operations import operations_app
from tests.support.served_app import Served, served_app


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    lifecycle = Lifecycle()
    async with served_app(operations_app(lifecycle), lifecycle) as served:
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


async def test_an_expectation_or_an_encoding_is_no_matter_where_no_body_is_read(served: Served) -> None:
    answer = await served.ask("GET", "/livez", headers={"Expect": "foo", "Content-Encoding": "br"}, data=b"x" * 100_000)
    assert (answer.status, answer.body) == (200, b"live\n")
