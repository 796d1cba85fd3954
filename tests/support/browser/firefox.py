"""Debian's Firefox, driven by WebDriver BiDi: Playwright drives a Firefox of its own only."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import StorageState

from tests.support.browser.page import NOTIFIED_WITHIN_MS, RECORD_PAGE, RecordedPage
from tests.support.browser.remote import RemoteBrowser, RemoteCallError, remote_browser
from tests.support.browser.tokens import PUT_ENTRIES
from tests.support.processes.child import Child
from tests.support.requirements import FIREFOX

_READY = r"WebDriver BiDi listening on (ws://\S+)"
_START_SECONDS = 60.0


class FirefoxPage(RecordedPage):
    """The application in Firefox's only tab."""

    def __init__(self, browser: RemoteBrowser, tab: str, url: str) -> None:
        self._browser = browser
        self._tab = tab
        self._url = url

    async def open(self, storage: StorageState) -> None:
        """Load the application for the user of this storage, without what another test has stored."""
        await self._load(f"{self._url}/icon.svg")
        (origin,) = storage["origins"]
        await self.evaluate("localStorage.clear()")
        await self.evaluate(f"({PUT_ENTRIES})({json.dumps(origin['localStorage'])})")
        await self.reload()

    async def reload(self) -> None:
        await self._load(self._url)

    async def evaluate(self, expression: str) -> Any:
        answer = await self._browser.call(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))",
            target={"context": self._tab},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise RemoteCallError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    async def expect_state(self, state: str, within_ms: float = NOTIFIED_WITHIN_MS) -> None:
        try:
            await self.wait_for(f"document.querySelector('.connection[data-state={state}]') !== null", within_ms / 1000)
        except TimeoutError:
            raise AssertionError(await self.evaluate("document.body.outerHTML")) from None

    async def _load(self, url: str) -> None:
        await self._browser.call("browsingContext.navigate", context=self._tab, url=url, wait="complete")


@asynccontextmanager
async def firefox(url: str, proxies: Mapping[int, int]) -> AsyncIterator[FirefoxPage]:
    """Run Firefox during the block.

    :param proxies: the port of the fault proxy before each port of this machine.
    """
    with TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        profile.mkdir()
        (profile / "user.js").write_text(_preferences(proxies), encoding="ascii")
        command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0"]
        with Child(command, {"HOME": folder}, Path(folder) / "firefox.log") as child:
            socket_url = child.wait_for_output(_READY, _START_SECONDS)[1]
            async with remote_browser(f"{socket_url}/session") as browser:
                await browser.call("session.new", capabilities={})
                await browser.call("script.addPreloadScript", functionDeclaration=f"() => {{ {RECORD_PAGE} }}")
                tab = (await browser.call("browsingContext.getTree"))["contexts"][0]["context"]
                yield FirefoxPage(browser, tab, url)


def _preferences(proxies: Mapping[int, int]) -> str:
    """Connect to the proxies instead of the servers, so the application and its policy are unchanged."""
    ports = ";".join(f"{port}={proxy}" for port, proxy in proxies.items())
    return f'user_pref("network.socket.forcePort", "{ports}");\n'
