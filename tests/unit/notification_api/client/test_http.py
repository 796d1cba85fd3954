"""The calls of a signed-in user, over a real HTTP server: tasks are submitted, with retries, and followed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notification_api.client.config import StageConfig
from notification_api.client.errors import UnexpectedResponseError
from notification_api.client.http import StageClient


@asynccontextmanager
async def client_of(app: web.Application) -> AsyncIterator[StageClient]:
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = str(server.make_url("")).rstrip("/")
        config = StageConfig(token_url=url, task_url=url, user_pool_id="r_1", user_pool_client_id="client")
        yield StageClient(http, config, "token")


@pytest.mark.parametrize(("retry_after", "seconds"), [("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)])
async def test_a_task_is_submitted_again_after_the_pause_that_is_asked_for(retry_after: str, seconds: float) -> None:
    keys: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            return web.Response(status=503, headers={"Retry-After": retry_after})
        return web.json_response({"taskId": "t-1"}, status=202)

    app = web.Application()
    app.router.add_post("/task", handle)
    async with client_of(app) as client:
        started = asyncio.get_running_loop().time()
        assert await client.submit_task("x", idempotency_key="k") == "t-1"
        assert asyncio.get_running_loop().time() - started >= seconds
    assert keys == ["k", "k"]


async def test_a_task_has_any_data_and_a_type() -> None:
    bodies: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response({"taskId": "t-1"}, status=202)

    app = web.Application()
    app.router.add_post("/task", handle)
    async with client_of(app) as client:
        await client.submit_task("x")
        await client.submit_task({"month": 5}, task_type="report")
        await client.submit_task("y", ttl_seconds=60)
    assert bodies == [{"data": "x"}, {"data": {"month": 5}, "type": "report"}, {"data": "y", "ttlSeconds": 60}]


async def test_the_status_of_a_task_is_read_by_its_id() -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.match_info["id"] != "a/b":
            return web.json_response({"status": 404}, status=404)
        assert request.headers["Authorization"] == "Bearer token"
        return web.json_response({"taskId": "a/b", "status": "running"})

    app = web.Application()
    app.router.add_get("/task/{id}", handle)
    async with client_of(app) as client:
        assert (await client.get_task("a/b"))["status"] == "running"
        with pytest.raises(UnexpectedResponseError, match="404"):
            await client.get_task("unknown")


async def test_the_result_of_a_task_is_read_by_its_id() -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.match_info["id"] != "a/b":
            return web.json_response({"status": 410}, status=410)
        assert request.headers["Authorization"] == "Bearer token"
        return web.json_response({"taskId": "a/b", "message": "Finished task: x", "data": [1]})

    app = web.Application()
    app.router.add_get("/task/{id}/result", handle)
    async with client_of(app) as client:
        assert (await client.get_result("a/b"))["data"] == [1]
        with pytest.raises(UnexpectedResponseError, match="410"):
            await client.get_result("expired")


async def test_a_task_is_cancelled_by_its_id() -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.match_info["id"] != "a/b":
            return web.json_response({"status": 409}, status=409)
        assert request.headers["Authorization"] == "Bearer token"
        return web.json_response({"taskId": "a/b", "status": "running"}, status=202)

    app = web.Application()
    app.router.add_post("/task/{id}/cancel", handle)
    async with client_of(app) as client:
        assert (await client.cancel_task("a/b"))["status"] == "running"
        with pytest.raises(UnexpectedResponseError, match="409") as refused:
            await client.cancel_task("finished")
        assert refused.value.status == 409
