"""The application works behind the example's nginx, and within the policy that nginx sends."""

from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright

from local.plan import ROOT
from notification_api.client import Credentials
from tests.support.browser.chromium import ARGUMENTS
from tests.support.browser.page import new_page
from tests.support.browser.stack import BrowserStack
from tests.support.processes.nginx import nginx
from tests.support.requirements import CHROMIUM

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.nginx,
]


async def test_the_page_works_behind_nginx_within_its_policy(
    stack: BrowserStack, user: Credentials, tmp_path: Path
) -> None:
    ports, root = stack.local.ports, tmp_path / "page"
    root.mkdir()
    for entry in (ROOT / "frontend" / "dist").iterdir():
        (root / entry.name).symlink_to(entry)
    async with aiohttp.ClientSession() as session, session.get(f"{stack.local.page_url}/config.json") as answer:
        (root / "config.json").write_bytes(await answer.read())
    others = (ports.page, ports.aws, ports.momento_web)
    services = {"token": f"http://127.0.0.1:{ports.token}", "ingest": f"http://127.0.0.1:{ports.ingest}"}
    async with (
        nginx(tmp_path, root, " ".join(f"http://localhost:{port}" for port in others), services) as port,
        async_playwright() as playwright,
    ):
        # The page keeps its origin, which the services allow; only the server behind the name differs.
        rule = f"--host-resolver-rules=MAP localhost:{ports.page} 127.0.0.1:{port}"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, rule])
        async with browser, await browser.new_context() as context:
            tab = await new_page(context, stack.local.page_url)
            served_by = await tab.page.evaluate("fetch('/healthz').then((answer) => answer.status)")
            await tab.sign_in(user)
            await tab.send("behind nginx")
            await tab.expect_task("behind nginx")
            violations, console = await tab.recorded("violations"), tab.console
    assert (served_by, violations, console) == (204, [], [])
