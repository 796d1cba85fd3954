"""Reading the operations ports of pods by address: bounded in number, size and time."""

import asyncio
from types import TracebackType
from typing import Self

import aiohttp

OPS_PORT = 9090
ANSWER_SECONDS = 2.0
MAX_TEXT_CHARACTERS = 300


class PodClient:
    """Use as a context manager.

    :param max_concurrent: requests at the same time; further ones wait.
    :param max_bytes: of a body; what is longer is cut one byte later, so that a reader can tell.
    """

    def __init__(self, *, port: int, timeout_seconds: float, max_concurrent: int, max_bytes: int) -> None:
        self._port = port
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._max_concurrent = max_concurrent
        self._max_bytes = max_bytes
        self._turns = asyncio.Semaphore(max_concurrent)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._max_concurrent),
            trust_env=False,
            auto_decompress=False,  # a few bytes may unpack to more than there is memory
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

        :raises aiohttp.ClientError, TimeoutError, OSError: when there is no answer in time.
        """
        assert self._session is not None, "use it as a context manager"  # noqa: S101 -- a bug of the caller's
        host = f"[{ip}]" if ":" in ip else ip
        most = self._max_bytes + 1
        # A pod must not send the operator to an address that only the operator reaches.
        request = self._session.get(f"http://{host}:{self._port}{path}", allow_redirects=False)
        async with self._turns, request as response:
            body = await response.content.read(most)
            while not response.content.at_eof() and len(body) < most:
                body += await response.content.read(most - len(body))
            return response.status, body


def one_line(value: object) -> str:
    """What a pod said, or an error that may quote it: bounded, and fit to be read in a terminal."""
    return "".join(each if each.isprintable() else " " for each in str(value)[:MAX_TEXT_CHARACTERS])
