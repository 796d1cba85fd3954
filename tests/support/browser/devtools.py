"""Chromium over its DevTools protocol, without the protocol's network events.

With them, which Playwright turns on, the browser keeps every answer, so that the memory of a stream cannot be measured.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.browser.chromium import ARGUMENTS
from tests.support.browser.performance import renderers_mb
from tests.support.browser.remote import RemoteBrowser, RemoteCallError, RemotePage, as_json, remote_browser
from tests.support.processes.child import Child
from tests.support.requirements import CHROMIUM

_READY = r"DevTools listening on (ws://[^/]+)(\S+)"


class DevToolsPage(RemotePage):
    """The application in Chromium."""

    def __init__(self, browser: RemoteBrowser, tab: RemoteBrowser, url: str) -> None:
        super().__init__(url)
        self._browser = browser
        self._tab = tab

    async def load(self, url: str) -> None:
        await self._tab.call("Page.navigate", url=url)
        await self.wait_for(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    async def evaluate(self, expression: str) -> Any:
        answer = await self._tab.call("Runtime.evaluate", expression=as_json(expression), awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RemoteCallError(f"{expression}: {answer['exceptionDetails']}")
        return json.loads(answer["result"]["value"])

    async def memory_mb(self) -> float:
        """Private memory of the renderers after a garbage collection."""
        await self._tab.call("HeapProfiler.collectGarbage")
        return renderers_mb((await self._browser.call("SystemInfo.getProcessInfo"))["processInfo"])


@asynccontextmanager
async def chromium_devtools(url: str) -> AsyncIterator[DevToolsPage]:
    """Run Chromium during the block."""
    with TemporaryDirectory() as folder:
        options = ("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}/profile")
        command = [CHROMIUM, *ARGUMENTS, *options, "about:blank"]
        with Child(command, {"HOME": folder}, Path(folder) / "chromium.log") as child:
            address, path = child.wait_for_output(_READY).groups()
            async with remote_browser(address + path) as browser:
                targets = (await browser.call("Target.getTargets"))["targetInfos"]
                tab_id = next(each["targetId"] for each in targets if each["type"] == "page")
                async with remote_browser(f"{address}/devtools/page/{tab_id}") as tab:
                    yield DevToolsPage(browser, tab, url)
