"""A proxy in front of a queue server that makes it slow, broken or half broken on demand, by SQS action.

Give `url` to a client as its endpoint (``AWS_ENDPOINT_URL``). Queue URLs stay those of the server behind: the SDK
sends every call to its endpoint. `stop` and `start` close the server and open it again on the same port.
"""

import asyncio
import json
import random
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

ANY_ACTION = "*"
_BEHIND_SECONDS = aiohttp.ClientTimeout(total=60)  # above the longest poll
_OWN_TO_EACH_CONNECTION = frozenset({"connection", "content-length", "transfer-encoding", "date", "server"})
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class SqsFault:
    """A fault of calls of `action` (such as "SendMessageBatch", or "*").

    Of the matching calls the share `ratio` is hit, and no more than `calls` of them in all. A hit call waits
    `delay_seconds`, then gets the first of `never_answer`, `reset`, `status` that is set; with none of them it is
    forwarded, and the entries of a batch that `fails` selects are refused in the response.
    """

    action: str = ANY_ACTION
    calls: int | None = None
    ratio: float = 1.0
    delay_seconds: float = 0.0
    never_answer: bool = False
    """The connection stays open without a response, as if half-open or as of a server that hangs."""
    reset: bool = False
    status: int | None = None
    code: str = "InternalFailure"
    """The code of the error response, or of the failed entries."""
    fails: Callable[[dict[str, Any]], bool] | None = None
    """Selects entries of a batch by their content in the request."""
    whole: Callable[[dict[str, Any]], bool] | None = None
    """Selects calls by the content of the request."""
    sender_fault: bool = False
    """Whether SQS reports the failed entries as sender faults, which no retry can succeed with."""
    after_effect: bool = False
    """The call takes effect first, and only its answer is changed or lost."""
    hits: int = field(default=0, init=False)

    def hit(self, action: str, body: bytes) -> bool:
        """Return whether the fault applies to this call, and count it."""
        if self.action not in (ANY_ACTION, action) or (self.calls is not None and self.hits >= self.calls):
            return False
        if self.whole is not None and not self.whole(json.loads(body)):
            return False
        if random.random() >= self.ratio:
            return False
        self.hits += 1
        return True


def throttled(action: str = ANY_ACTION, *, calls: int | None = None, ratio: float = 1.0) -> SqsFault:
    """SQS's answer to too many calls."""
    return SqsFault(action=action, calls=calls, ratio=ratio, status=403, code="RequestThrottled")


class SqsFaultProxy:
    """A running proxy. The first fault in `faults` that hits a call decides about it."""

    def __init__(self, server_url: str) -> None:
        self.url = ""
        self.faults: list[SqsFault] = []
        self.calls: Counter[str] = Counter()
        """Received calls by action."""
        self.batch_sizes: defaultdict[str, list[int]] = defaultdict(list)
        """Entries of each received batch call, by action."""
        self.sent: Counter[str] = Counter()
        """Forwarded sends by task; a call whose answer is lost is sent again."""
        self._server_url = server_url
        self._runner: web.AppRunner | None = None
        self._behind: aiohttp.ClientSession | None = None
        self._port = 0

    def fault(self, **fields: Any) -> SqsFault:
        """Add an `SqsFault` with these fields, and return it."""
        fault = SqsFault(**fields)
        self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Forward every call from now on; calls that hang continue to hang."""
        self.faults.clear()

    def forget(self) -> None:
        """Reset the counters."""
        self.calls.clear()
        self.batch_sizes.clear()

    async def start(self) -> None:
        """Listen; again on the same port after `stop`."""
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._behind = aiohttp.ClientSession(auto_decompress=False, timeout=_BEHIND_SECONDS)
        # 0 would mean to wait without limit for a response that is never sent.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Abort all connections and refuse new ones."""
        if self._runner is not None and self._behind is not None:
            await self._runner.cleanup()
            await self._behind.close()
        self._runner = self._behind = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        body = await request.read()
        self._count(action, body)
        fault = next((each for each in self.faults if each.hit(action, body)), None)
        if fault is None:
            return await self._passed_on(request, body)
        await asyncio.sleep(fault.delay_seconds)
        if fault.after_effect:
            answer = await self._passed_on(request, body)
            return await _struck(fault, request) or _with_failures(answer, _chosen(fault, body), fault)
        return await _struck(fault, request) or await self._without_chosen(request, body, fault)

    def _count(self, action: str, body: bytes) -> None:
        self.calls[action] += 1
        if action.endswith("Batch"):
            self.batch_sizes[action].append(len(json.loads(body)["Entries"]))

    async def _without_chosen(self, request: web.Request, body: bytes, fault: SqsFault) -> web.Response:
        """Forward the entries that do not fail."""
        chosen = _chosen(fault, body)
        if not chosen:
            return await self._passed_on(request, body)
        fields = json.loads(body)
        fields["Entries"] = [entry for entry in fields["Entries"] if entry["Id"] not in chosen]
        if not fields["Entries"]:
            return _with_failures(web.json_response({}), chosen, fault)
        return _with_failures(await self._passed_on(request, json.dumps(fields).encode()), chosen, fault)

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response:
        if self._behind is None:
            raise web.HTTPServiceUnavailable
        if request.headers.get("X-Amz-Target", "").endswith(".SendMessageBatch"):
            self.sent.update(_task_ids(body))
        url = self._server_url + request.raw_path
        async with self._behind.request(request.method, url, data=body, headers=_kept(request.headers)) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer.headers))


async def _struck(fault: SqsFault, request: web.Request) -> web.StreamResponse | None:
    """The error response of a call that fails with one, else None."""
    if fault.never_answer:
        await asyncio.get_running_loop().create_future()
    if fault.reset:
        _reset(request.transport)
        return web.Response()  # is not sent
    if fault.status is not None:
        # The SDK reads the code from `__type` (AWS JSON protocol 1.0).
        error = {"__type": f"com.amazonaws.sqs#{fault.code}", "message": "Injected fault"}
        return web.json_response(error, status=fault.status, content_type="application/x-amz-json-1.0")
    return None


def _reset(transport: asyncio.Transport | None) -> None:
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        transport.abort()


def _chosen(fault: SqsFault, body: bytes) -> frozenset[str]:
    """Ids of the entries that fail."""
    if fault.fails is None:
        return frozenset()
    return frozenset(entry["Id"] for entry in json.loads(body).get("Entries", []) if fault.fails(entry))


def _task_ids(body: bytes) -> Iterator[str]:
    for entry in json.loads(body)["Entries"]:
        if "taskId" in entry.get("MessageAttributes", {}):
            yield entry["MessageAttributes"]["taskId"]["StringValue"]


def _with_failures(answer: web.Response, chosen: frozenset[str], fault: SqsFault) -> web.Response:
    if not chosen or not isinstance(answer.body, bytes):
        return answer
    fields = json.loads(answer.body)
    fields["Successful"] = [entry for entry in fields.get("Successful", []) if entry["Id"] not in chosen]
    fields["Failed"] = fields.get("Failed", []) + [
        {"Id": entry_id, "Code": fault.code, "SenderFault": fault.sender_fault, "Message": "Injected fault"}
        for entry_id in sorted(chosen)
    ]
    return web.json_response(fields, content_type="application/x-amz-json-1.0")


def _kept(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OWN_TO_EACH_CONNECTION}


@asynccontextmanager
async def sqs_fault_proxy(server_url: str) -> AsyncIterator[SqsFaultProxy]:
    """A proxy on a free port of 127.0.0.1 in front of `server_url`, such as `MiniStack.endpoint_url`."""
    proxy = SqsFaultProxy(server_url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
