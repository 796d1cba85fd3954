"""Debian's Chromium, driven by Playwright, with a fault proxy before each server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, ViewportSize, async_playwright

from local.ports import Ports
from tests.support.browser.fault_proxy import FaultProxy, fault_proxy
from tests.support.requirements import CHROMIUM

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


VIEWPORT: ViewportSize = {"width": 1280, "height": 800}


@dataclass(frozen=True, slots=True)
class Network:
    """The fault proxy between the browser and each server."""

    api: FaultProxy
    momento: FaultProxy
    cognito: FaultProxy
    resolver_rules: str
    """Resolve the servers' own addresses to the proxies, so the application and its policy are unchanged."""

    @property
    def all(self) -> tuple[FaultProxy, ...]:
        return (self.api, self.momento, self.cognito)

    @property
    def arguments(self) -> list[str]:
        return [*ARGUMENTS, f"--host-resolver-rules={self.resolver_rules}"]


@asynccontextmanager
async def fault_proxies(ports: Ports) -> AsyncIterator[Network]:
    """A proxy before each server of the local stack.

    The API is that of `localhost`; tests open the page at 127.0.0.1, so that faults of the API spare the page's files.
    """
    async with AsyncExitStack() as stack:
        targets = (ports.page, ports.momento_web, ports.aws)
        proxies = [await stack.enter_async_context(fault_proxy(port)) for port in targets]
        rules = ",".join(
            f"MAP localhost:{port} 127.0.0.1:{proxy.port}" for port, proxy in zip(targets, proxies, strict=True)
        )
        api, momento, cognito = proxies
        yield Network(api, momento, cognito, rules)


@asynccontextmanager
async def chromium(network: Network) -> AsyncIterator[Browser]:
    """Chromium whose contexts share nothing."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=network.arguments)
        async with browser:
            yield browser


@asynccontextmanager
async def chromium_with_profile(network: Network, profile: Path) -> AsyncIterator[BrowserContext]:
    """Chromium with a profile on disk: it caches compiled code, so loading the application takes half the CPU time."""
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=network.arguments, viewport=VIEWPORT
        ) as context,
    ):
        yield context
