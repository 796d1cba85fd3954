"""Debian's Firefox, driven by WebDriver BiDi: Playwright drives a Firefox of its own only."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.browser.page import RECORD_PAGE
from tests.support.browser.remote import RemoteBrowser, RemoteCallError, RemotePage, as_json, remote_browser
from tests.support.processes.child import Child
from tests.support.requirements import FIREFOX

_READY = r"WebDriver BiDi listening on (ws://\S+)"
_START_SECONDS = 60.0


class FirefoxPage(RemotePage):
    """The application in Firefox."""

    def __init__(self, browser: RemoteBrowser, tab: str, url: str) -> None:
        super().__init__(url)
        self._browser = browser
        self._tab = tab

    async def load(self, url: str) -> None:
        await self._browser.call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        target = {"context": self._tab}
        answer = await self._browser.call(
            "script.evaluate", expression=as_json(expression), target=target, awaitPromise=True
        )
        if answer["type"] != "success":
            raise RemoteCallError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])


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
