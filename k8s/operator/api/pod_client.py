"""Reads the operations ports of pods, with limits on concurrency, size and time."""

import asyncio
from types import TracebackType
from typing import Self

import aiohttp

OPS_PORT = 9090
ANSWER_SECONDS = 2.0
MAX_TEXT_CHARACTERS = 300


class PodClient:
    """Use as an async context manager.

    :param max_concurrent: limit of concurrent requests; further ones wait.
    :param max_bytes: limit of a body. A longer body is cut one byte later, so that the caller can detect it.
    """

    def __init__(self, *, port: int, timeout_seconds: float, max_concurrent: int, max_bytes: int) -> None:
        self._port = port
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._max_concurrent = max_concurrent
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(max_concurrent)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._max_concurrent),
            trust_env=False,
            auto_decompress=False,  # a few compressed bytes could unpack to more than the memory holds
            headers={"Accept": "text/plain", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, ip: str, path: str) -> tuple[int, bytes]:
        """Return status and body.

        :raises aiohttp.ClientError, TimeoutError, OSError: when the pod does not answer in time.
        """
        assert self._session is not None, "use it as a context manager"  # noqa: S101 -- a mistake in our own code
        host = f"[{ip}]" if ":" in ip else ip
        most = self._max_bytes + 1
        # No redirects: a pod could point the operator to an address that only the operator reaches.
        request = self._session.get(f"http://{host}:{self._port}{path}", allow_redirects=False)
        async with self._slots, request as response:
            body = await response.content.read(most)
            while not response.content.at_eof() and len(body) < most:
                body += await response.content.read(most - len(body))
            return response.status, body


def one_line(value: object) -> str:
    """Return text from a pod, or an error that quotes it, shortened and without control characters."""
    return "".join(each if each.isprintable() else " " for each in str(value)[:MAX_TEXT_CHARACTERS])
