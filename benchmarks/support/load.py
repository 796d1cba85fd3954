"""A load of POST /task, or of GET, from a separate process: ``python -m benchmarks.support.load``.

Each connection sends its next request as soon as the last one is answered. Standard input has the id tokens, one a
line, which are assigned to the connections in turn. The last line printed is a JSON object.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import cast

import uvloop

from tests.support.processes.child import plain_python

BODY = json.dumps({"data": "a task of the benchmark " + "x" * 100}).encode()
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The answers to a load."""

    seconds: float
    p50_ms: float
    accepted: int
    rejected: int


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, request: bytes, remaining: Iterator[int], seconds: list[float], statuses: list[bytes]) -> None:
        self._request = request
        self._remaining = remaining
        self._seconds = seconds
        self._statuses = statuses
        self._answer = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class derives from neither
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._seconds.append(time.perf_counter() - self._sent_at)
        self._statuses.append(head[9:12])
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service closed the connection"))

    def _next(self) -> None:
        assert self._transport is not None  # noqa: S101 — set when connected
        if next(self._remaining, None) is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _request(port: int, token: str, path: str) -> bytes:
    """Return a POST of a task, or a GET of `path` if there is one."""
    first, body = (f"GET {path}", b"") if path else ("POST /task", BODY)
    of_body = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    head = (
        f"{first} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n{of_body}"
        "Origin: https://app.example.com\r\nAccept: */*\r\nUser-Agent: benchmark\r\n\r\n"
    )
    return head.encode() + body


async def _load(port: int, connections: int, requests: int, tokens: list[str], path: str) -> LoadResult:
    loop = asyncio.get_running_loop()
    remaining, seconds, statuses = iter(range(requests)), list[float](), list[bytes]()
    began_at = time.perf_counter()
    protocols = []
    for number in range(connections):
        request = _request(port, tokens[number % len(tokens)], path)
        _, protocol = await loop.create_connection(
            lambda request=request: _Connection(request, remaining, seconds, statuses),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        protocols.append(protocol)
    await asyncio.gather(*(protocol.done for protocol in protocols))
    accepted = sum(status.startswith(b"2") for status in statuses)
    return LoadResult(time.perf_counter() - began_at, median(seconds) * 1000, accepted, len(statuses) - accepted)


async def load(port: int, connections: int, requests: int, tokens: list[str], path: str = "") -> LoadResult:
    """Load a service from another process and wait for the end.

    :param path: what to GET; by default tasks are posted.
    """
    arguments = ("--path", path, "--port", str(port), "--connections", str(connections), "--requests", str(requests))
    process = await asyncio.create_subprocess_exec(
        *plain_python("benchmarks.support.load", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            printed, _ = await process.communicate("\n".join(tokens).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("the load ended early; see its output above")
    return LoadResult(**json.loads(printed))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.support.load")
    for name in ("port", "connections", "requests"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--path", default="", help="what to GET; by default tasks are posted")
    options = parser.parse_args()
    tokens = sys.stdin.read().split()
    result = uvloop.run(_load(options.port, options.connections, options.requests, tokens, options.path))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
