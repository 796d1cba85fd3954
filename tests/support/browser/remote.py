"""A browser that Playwright does not drive, over its WebSocket.

WebDriver BiDi and Chromium's DevTools protocol have the same envelope.
"""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from playwright.async_api import StorageState

from tests.support.browser.page import NOTIFIED_WITHIN_MS, RecordedPage
from tests.support.browser.tokens import PUT_ENTRIES

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


class RemotePage(RecordedPage):
    """The application in a browser's only tab."""

    def __init__(self, url: str) -> None:
        self._url = url

    @abstractmethod
    async def load(self, url: str) -> None:
        """Navigate, and wait until the page is loaded."""

    async def open(self, storage: StorageState) -> None:
        """Load the application for the user of this storage, without what another test has stored."""
        await self.load(f"{self._url}/icon.svg")
        (origin,) = storage["origins"]
        await self.evaluate("localStorage.clear()")
        await self.evaluate(f"({PUT_ENTRIES})({json.dumps(origin['localStorage'])})")
        await self.reload()

    async def reload(self) -> None:
        await self.load(self._url)

    async def expect_state(self, state: str, within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        try:
            await self.wait_for(f"document.querySelector('.connection[data-state={state}]') !== null", within_ms / 1000)
        except TimeoutError:
            raise AssertionError(await self.evaluate("document.body.outerHTML")) from None


def as_json(expression: str) -> str:
    """An expression whose value is the JSON of another one's, which may be a promise."""
    return f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
