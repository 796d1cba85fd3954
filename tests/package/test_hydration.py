"""The hooks and composables in a real browser: however a page is rendered, it has one stream, and keeps no listener."""

import asyncio
import json
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from local.plan import ROOT
from tests.support.vite_app import ViteApp, preview, run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PAGES = Path(__file__).parent / "hydration"
FRAMEWORKS = {
    "react-18": ("react", "react@18.3.1", "react-dom@18.3.1"),
    "react-19": ("react", "react@19", "react-dom@19"),
    "vue-3.3": ("vue", "vue@3.3"),
    "vue-3.5": ("vue", "vue@3.5"),
}
"""The name of the framework, and the packages to install."""
DEVELOPMENT = {"NODE_ENV": "development"}
"""Frameworks then warn of what is wrong, and StrictMode mounts everything twice."""
GRACE_MS = 10_000
IDLE = "idle, 0 notifications, 0 tasks, undefined, undefined"
CONNECTED = "connected, 1 notifications, 1 tasks, finished, undefined"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pages(client_package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ViteApp]:
    """The page with each framework, rendered on a server and built."""
    folder = tmp_path_factory.mktemp("hydration")

    async def built(name: str) -> ViteApp:
        framework, *packages = FRAMEWORKS[name]
        app = ViteApp(folder / name)
        app.copy(PAGES)
        copyfile(PAGES / f"{framework}-framework.js", app.folder / "framework.js")
        (app.folder / "package.json").write_text('{ "type": "module" }')
        await app.install(str(client_package), *packages)
        opened = json.loads(await run("node", "render.js", folder=app.folder, environment=DEVELOPMENT))
        assert opened == {"opened": 0, "open": 0, "listeners": 0}
        assert IDLE in (app.folder / "rendered.html").read_text()
        vite = ROOT / "node_modules" / ".bin" / "vite"
        await run(str(vite), "build", "--mode", "development", folder=app.folder, environment=DEVELOPMENT)
        return app

    return dict(zip(FRAMEWORKS, await asyncio.gather(*map(built, FRAMEWORKS)), strict=True))


@pytest.mark.parametrize("wanted", ["", "hydrated", "strict", "hydrated&strict", "started&hydrated"])
@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_a_page_has_one_stream_and_leaves_no_listener(
    name: str, wanted: str, pages: dict[str, ViteApp], browser: Browser
) -> None:
    console: list[str] = []
    with preview(pages[name].folder) as url:
        page = await browser.new_page()
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        await page.goto(f"{url}/?{wanted}")
        await expect(page.get_by_role("paragraph")).to_have_text([CONNECTED, CONNECTED])
        counts: dict[str, Any] = await page.evaluate("test.counts")
        assert counts["opened"] == 1
        assert counts["listeners"] > 0
        await page.evaluate("test.unmount()")
        assert await page.evaluate("test.counts.listeners") == 0
        is_left_open = "started" in wanted
        await page.wait_for_function("left => test.counts.open === left", arg=int(is_left_open), timeout=GRACE_MS)
        await page.close()
    assert console == []
