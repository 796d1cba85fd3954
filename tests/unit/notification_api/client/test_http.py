"""Submitting a task to a service that asks for a retry, over a real HTTP server."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notification_api.client.config import StageConfig
from notification_api.client.http import StageClient


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
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = str(server.make_url("")).rstrip("/")
        config = StageConfig(token_url=url, task_url=url, user_pool_id="r_1", user_pool_client_id="client")
        started = asyncio.get_running_loop().time()
        assert await StageClient(http, config, "token").submit_task("x", idempotency_key="k") == "t-1"
        assert asyncio.get_running_loop().time() - started >= seconds
    assert keys == ["k", "k"]
