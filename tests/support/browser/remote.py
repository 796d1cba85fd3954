"""Calls to a browser over a WebSocket. WebDriver BiDi and Chromium's DevTools protocol have the same envelope."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

CALL_SECONDS = 60.0


class RemoteCallError(Exception):
    """The browser refused a call; the message says why."""


class RemoteBrowser:
    """One call at a time; events are ignored."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Make one call and return its result; raises `RemoteCallError`."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        while (answer := await self._socket.receive_json(timeout=CALL_SECONDS)).get("id") != self._calls:
            pass
        if "error" in answer:
            raise RemoteCallError(f"{method}: {answer}")
        result: dict[str, Any] = answer["result"]
        return result


@asynccontextmanager
async def remote_browser(url: str) -> AsyncIterator[RemoteBrowser]:
    """Connect to the browser's WebSocket during the block."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        yield RemoteBrowser(socket)
