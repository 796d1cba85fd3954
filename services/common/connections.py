"""Connections to the API: none may be slow for ever, and there are only so many.

aiohttp (3.14) by itself leaves a connection that never sends a whole request open for an hour.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from services.common.metrics import CONNECTIONS_CLOSED

logger = logging.getLogger(__name__)

HEADERS_SECONDS = 10.0
"""From the first byte of a request, or from the connecting, to the end of its headers."""
MAX_CONNECTIONS = 2_000
"""About 16 kB of memory each, while they are idle."""
# An id token of 200 kB must reach our own check and get our own answer, CORS headers included.
MAX_HEADER_BYTES = 256 * 1024
_BACKLOG = 1_024


class ApiSite(web.BaseSite):
    """Listens where an API is called from outside.

    :raises OSError: by `start`, where it cannot listen.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self._port, backlog=self._backlog)

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None  # noqa: S101 — BaseSite has looked
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Refused()
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,
            max_field_size=MAX_HEADER_BYTES,
            max_line_size=MAX_HEADER_BYTES,
        )


class _Connection(web.RequestHandler):
    """aiohttp's connection, closed where the headers of a request do not come in time."""

    __slots__ = ("_patience",)

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        requests = self._request_count
        super().data_received(data)
        if self._request_count > requests:
            self._stop_waiting()
        elif self._patience is None and self._is_idle():
            self._wait_for_headers()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self._current_request is None and not self._messages

    def _wait_for_headers(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(HEADERS_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._is_idle():
            CONNECTIONS_CLOSED.labels("slow").inc()
            self.force_close()


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        CONNECTIONS_CLOSED.labels("full").inc()
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101
        transport.abort()
