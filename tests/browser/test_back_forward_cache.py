"""Leaving the page and coming back: the browser keeps the page, and its connection is opened again."""

import pytest
from playwright.async_api import async_playwright

from notification_api.client import Credentials
from tests.support.browser.chromium import ARGUMENTS
from tests.support.browser.page import new_page
from tests.support.browser.stack import BrowserStack
from tests.support.requirements import CHROMIUM

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_page_from_the_back_forward_cache_is_connected_again(stack: BrowserStack, user: Credentials) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
        )
        context = await browser.new_context(storage_state=await stack.signed_in(user))
        page = await new_page(context, stack.page_url)
        await page.expect_live()
        id_token = await page.id_token()
        await page.page.evaluate("window.kept = true")
        await page.page.goto(f"{stack.page_url}/icon.svg")
        assert await stack.streams_of(id_token) == 0
        await stack.post(id_token, "while it was away")
        await page.page.go_back(wait_until="commit")
        await page.expect_live()
        assert await page.page.evaluate("window.kept"), "the page was loaded again"
        await page.expect_task("while it was away")
        assert await stack.streams_of(id_token) == 1
        await browser.close()
