"""The developer's view in a browser: its policy permits its forms, and nothing else is needed."""

import pytest
from playwright.async_api import async_playwright, expect

from tests.support.browser.chromium import ARGUMENTS
from tests.support.browser.stack import BrowserStack
from tests.support.requirements import CHROMIUM

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_fault_is_switched_on_and_off_within_the_pages_policy(stack: BrowserStack, width: int) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        async with browser, await browser.new_context(viewport={"width": width, "height": 800}) as context:
            page = await context.new_page()
            console: list[str] = []
            page.on("console", lambda message: console.append(message.text))
            await page.goto(f"{stack.local.page_url}/dev")
            await page.get_by_role("link", name="Faults").click()
            row = page.locator("tr", has_text="Momento is slow")
            await row.get_by_role("button", name="Switch on").click()
            await expect(row.get_by_role("button", name="Switch off")).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.get_by_role("button", name="Reset all").click()
            await expect(page.get_by_role("button", name="Switch on")).to_have_count(4)
    assert console == []
