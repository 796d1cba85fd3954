"""The hooks and composables in a real browser: however a page is rendered, it has one stream, and keeps no listener."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.vite_app import VITE, ViteApp, preview, problems_of, run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

PAGES = Path(__file__).parent / "hydration"
FRAMEWORKS = {
    "react-18": ("react", "react@18.3.1", "react-dom@18.3.1"),
    "react-19": ("react", "react@19", "react-dom@19"),
    "vue-3.3": ("vue", "vue@3.3"),
    "vue-3.5": ("vue", "vue@3.5"),
}
"""The name of the framework, and the packages to install."""
VARIANTS = {
    "react": ("", "strict", "hydrated", "hydrated&strict", "hydrated&started"),
    "vue": ("", "hydrated", "hydrated&started"),
}
"""How a page is rendered: see hydration/page.js."""
DEVELOPMENT = {"NODE_ENV": "development"}
"""Frameworks then warn of what is wrong, and StrictMode mounts everything twice."""
WITHIN_MS = 15_000
IDLE = "idle, 0 notifications, 0 tasks, undefined, undefined"
CONNECTED = "connected, 1 notifications, 1 tasks, finished, undefined"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pages(client_tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL below which there is a page with each framework: rendered on a server, built and served."""
    folder = tmp_path_factory.mktemp("hydration")

    async def build(name: str) -> None:
        framework, *packages = FRAMEWORKS[name]
        app = ViteApp(folder / name)
        app.copy(PAGES)
        copyfile(PAGES / f"{framework}-framework.js", app.folder / "framework.js")
        (app.folder / "package.json").write_text('{ "type": "module" }')
        await app.install(str(client_tarball), *packages)
        opened = await run("node", "render.js", folder=app.folder, environment=DEVELOPMENT)
        assert json.loads(opened) == {"opened": 0, "open": 0, "listeners": 0}
        assert (app.folder / "rendered.html").read_text().count(IDLE) == 2
        command = (VITE, "build", "--mode", "development", "--outDir", f"../dist/{name}")
        await run(*command, folder=app.folder, environment=DEVELOPMENT)

    await asyncio.gather(*map(build, FRAMEWORKS))
    with preview(folder) as url:
        yield url


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_a_page_has_one_stream_and_leaves_no_listener(name: str, pages: str, browser: Browser) -> None:
    framework, *_ = FRAMEWORKS[name]
    await asyncio.gather(*(expect_tidy_page(browser, f"{pages}/{name}/?{each}") for each in VARIANTS[framework]))


async def expect_tidy_page(browser: Browser, url: str) -> None:
    page = await browser.new_page()
    problems = problems_of(page)
    await page.goto(url)
    await expect(page.get_by_role("paragraph")).to_have_text([CONNECTED, CONNECTED], timeout=WITHIN_MS)
    assert await page.evaluate("test.counts.opened") == 1, url
    assert await page.evaluate("test.counts.listeners") > 0, url
    await page.evaluate("test.unmount()")
    assert await page.evaluate("test.counts.listeners") == 0, url
    await page.wait_for_function("test.counts.open === 0", timeout=WITHIN_MS)
    await page.close()
    assert problems == [], url
