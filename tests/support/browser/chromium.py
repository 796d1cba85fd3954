"""Debian's Chromium, driven by Playwright, with a fault proxy before each server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from local.ports import Ports
from tests.support.browser.fault_proxy import FaultProxy, fault_proxy
from tests.support.requirements import CHROMIUM

"""Path of the browser: a setting."""
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
)


@dataclass(frozen=True, slots=True)
class Network:
    """The fault proxy between the browser and each server."""

    token: FaultProxy
    ingest: FaultProxy
    momento: FaultProxy
    cognito: FaultProxy

    @property
    def all(self) -> tuple[FaultProxy, ...]:
        return (self.token, self.ingest, self.momento, self.cognito)


@dataclass(frozen=True, slots=True)
class FaultyBrowser:
    browser: Browser
    network: Network


@asynccontextmanager
async def faulty_browser(ports: Ports) -> AsyncIterator[FaultyBrowser]:
    """Chromium resolves the servers' own addresses to the proxies, so the application and its policy are unchanged."""
    async with AsyncExitStack() as stack:
        targets = (ports.token, ports.ingest, ports.momento_web, ports.aws)
        proxies = [await stack.enter_async_context(fault_proxy(port)) for port in targets]
        rules = ",".join(
            f"MAP localhost:{port} 127.0.0.1:{proxy.port}" for port, proxy in zip(targets, proxies, strict=True)
        )
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=str(Path(CHROMIUM)), args=[*ARGUMENTS, f"--host-resolver-rules={rules}"]
        )
        stack.push_async_callback(browser.close)
        yield FaultyBrowser(browser, Network(*proxies))
