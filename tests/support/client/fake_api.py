"""The services as a client sees them, in this process: routes over a real HTTP server, topics in a Momento emulator.

A test decides what is stored and what is published, and injects answers.
"""

import asyncio
import base64
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.responses import TopicPublish

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.momento import MomentoEmulator

TOPIC = "user-1"


@dataclass(frozen=True)
class Request:
    """What was received."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def problem(status: int, detail: str = "refused", **headers: str) -> web.Response:
    """An error answer like those of the services."""
    body = {"type": "about:blank", "title": "x", "status": status, "detail": detail, "requestId": "r-1"}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


class FakeApi:
    """One user's view. `replies[path]` are answers that precede the ordinary ones; None drops the connection."""

    def __init__(self, emulator: MomentoEmulator, sdk: MomentoSdk, cache_name: str) -> None:
        self.emulator = emulator
        self.cache_name = cache_name
        self.id_tokens = {"id-1"}
        self.token_seconds = 1_800
        self.history: list[dict[str, Any]] = []
        self.statuses: dict[str, dict[str, Any]] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.unanswered: set[str] = set()
        """Paths whose requests wait until their connection is closed."""
        self.replies: defaultdict[str, deque[web.Response | None]] = defaultdict(deque)
        self.url = ""
        self._sdk = sdk

    @property
    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._intercept])
        app.router.add_get("/token", self._token)
        app.router.add_get("/notifications", self._notifications)
        app.router.add_post("/notifications/read", self._mark_read)
        app.router.add_post("/task", self._submit)
        app.router.add_get("/task/{id}", self._task)
        app.router.add_get("/task/{id}/result", self._result)
        app.router.add_post("/task/{id}/cancel", self._cancel)
        return app

    def count(self, path: str) -> int:
        """How often this path was requested."""
        return sum(request.path == path for request in self.requests)

    async def publish(self, text: str, *, may_fail: bool = False) -> None:
        answer = await self._sdk.topics.publish(self.cache_name, TOPIC, text)
        assert may_fail or isinstance(answer, TopicPublish.Success), answer

    async def notify(self, task_id: str, status: str = "finished", *, may_fail: bool = False, **fields: Any) -> None:
        """Store a final notification and publish it, as the processor does.

        :param may_fail: Momento may be down. What is stored is found there.
        """
        notification = notification_of(task_id, status, **fields)
        if status != "progress":
            self.history.append(notification)
        await self.publish(json.dumps(notification), may_fail=may_fail)

    @web.middleware
    async def _intercept(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append(Request(request.path, dict(request.query), dict(request.headers), body))
        if request.path in self.unanswered:
            await asyncio.Event().wait()
        if self.replies[request.path]:
            reply = self.replies[request.path].popleft()
            if reply is not None:
                return reply
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.id_tokens:
            return problem(401, "The id token has expired.")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _token(self, _request: web.Request) -> web.Response:
        scope = DisposableTokenScopes.topic_subscribe_only(self.cache_name, TOPIC)
        try:
            credential = await self._sdk.vend(scope, seconds=self.token_seconds)
        except AssertionError:
            return problem(503, "Momento is unavailable.", **{"Retry-After": "0"})
        wrapped = {"endpoint": f"127.0.0.1:{self.emulator.grpc_port}", "api_key": credential}
        return web.json_response(
            {
                "token": base64.b64encode(json.dumps(wrapped).encode()).decode(),
                "endpoint": wrapped["endpoint"],
                "cacheName": self.cache_name,
                "topic": TOPIC,
                "expiresAt": int(time.time()) + self.token_seconds,
            }
        )

    async def _notifications(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "c0").removeprefix("c"))
        return web.json_response(
            {"notifications": self.history[after:], "cursor": f"c{len(self.history)}", "readUntil": 7}
        )

    async def _mark_read(self, request: web.Request) -> web.Response:
        return web.json_response({"readUntil": (await request.json())["until"]})

    async def _submit(self, request: web.Request) -> web.Response:
        return web.json_response({"taskId": f"task-{request.headers['Idempotency-Key']}"}, status=202)

    async def _task(self, request: web.Request) -> web.Response:
        task_id = request.match_info["id"]
        return web.json_response(self.statuses.get(task_id, {"taskId": task_id, "status": "queued"}))

    async def _result(self, request: web.Request) -> web.Response:
        return web.json_response(self.results[request.match_info["id"]])

    async def _cancel(self, request: web.Request) -> web.Response:
        return web.json_response({"taskId": request.match_info["id"], "status": "running"}, status=202)


def notification_of(task_id: str, status: str = "finished", **fields: Any) -> dict[str, Any]:
    return {
        "taskId": task_id,
        "status": status,
        "message": f"{status} {task_id}",
        "time": int(time.time() * 1000),
        **fields,
    }


@asynccontextmanager
async def fake_api(emulator: MomentoEmulator) -> AsyncIterator[FakeApi]:
    """Serve it, with a cache of its own."""
    async with open_momento_sdk(emulator, emulator.make_key().v2) as sdk:
        api = FakeApi(emulator, sdk, await sdk.new_cache())
        async with TestServer(api.app) as server:
            api.url = str(server.make_url("")).rstrip("/")
            yield api
