"""The Kubernetes client against a server that fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import kopf
import pytest
from aiohttp import web

from k8s.operator.api.client import ATTEMPTS, Conflict, Kubernetes, Refused, Unreachable


class Server:
    """Answers with the given statuses in order, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.seen: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        self.queries: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.content_type))
        self.queries.append(dict(request.query))
        self.tokens.append(request.headers.get("Authorization", ""))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.json_response({"message": "a reason", "items": []}, status=status)


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[Kubernetes]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    tokens = (f"token-{number}" for number in range(100))

    def log_in() -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=url, token=next(tokens))

    try:
        async with Kubernetes(log_in, first_backoff_seconds=0.001) as kubernetes:
            yield kubernetes
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_transient_failure_is_retried(status: int) -> None:
    server = Server(status, status)
    async with client(server) as api:
        await api.patch("/apis/x", {"a": 1})
    assert server.seen == [("PATCH", "application/merge-patch+json")] * 3


async def test_a_list_comes_from_the_cache_unless_it_must_be_fresh() -> None:
    server = Server()
    async with client(server) as api:
        await api.items("/api/v1/pods", labelSelector="a=b")
        await api.items("/api/v1/pods", fresh=True, labelSelector="a=b")
    assert server.queries == [{"resourceVersion": "0", "labelSelector": "a=b"}, {"labelSelector": "a=b"}]


async def test_a_failure_that_lasts_is_unreachable_after_the_last_attempt() -> None:
    server = Server(*[503] * 50)
    async with client(server) as api:
        with pytest.raises(Unreachable, match="a reason"):
            await api.get("/apis/x")
    assert len(server.seen) == ATTEMPTS


async def test_a_refused_call_is_not_retried() -> None:
    server = Server(403)
    async with client(server) as api:
        with pytest.raises(Refused, match="GET /apis/x: a reason"):
            await api.get("/apis/x")
    assert len(server.seen) == 1


async def test_an_object_that_does_not_exist_is_none() -> None:
    async with client(Server(404)) as api:
        assert await api.get("/apis/x") is None


async def test_a_conflict_is_raised_as_one() -> None:
    async with client(Server(409)) as api:
        with pytest.raises(Conflict):
            await api.create("/apis/x", {})


async def test_an_expired_token_is_read_again() -> None:
    server = Server(401)
    async with client(server) as api:
        await api.get("/apis/x")
    assert server.tokens == ["Bearer token-0", "Bearer token-1"]


async def test_an_empty_list_is_returned_from_the_cache() -> None:
    async with client(Server()) as api:
        assert await api.items("/apis/x", labelSelector="a=b") == []
