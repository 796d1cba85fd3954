"""Accessibility of every screen on phone and desktop, in light and dark, by keyboard and screen reader."""

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from local.demo.sign_up import random_credentials
from local.plan import ROOT
from notification_api.client import Credentials
from tests.browser.conftest import NewContext, OpenPage
from tests.support.browser.network import answering_posts
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder for screenshots: a setting."""
SIZES = {"phone": (360, 740), "desktop": (1280, 800)}


async def violations(page: TaskPage) -> list[str]:
    """The violations that axe-core finds, one a line."""
    await page.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.page.evaluate(
        """async () => (await axe.run()).violations.flatMap((rule) =>
          rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))"""
    )
    return found


async def screenshot(page: TaskPage, name: str) -> None:
    if SCREENSHOTS:
        await page.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


async def has_no_horizontal_scrolling(page: TaskPage) -> bool:
    fits: bool = await page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return fits


async def set_appearance(page: TaskPage, size: str, scheme: Literal["light", "dark"]) -> None:
    width, height = SIZES[size]
    await page.page.set_viewport_size({"width": width, "height": height})
    await page.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_tasks_and_toasts(page: TaskPage, size: str, scheme: Literal["light", "dark"]) -> None:
    await set_appearance(page, size, scheme)
    await page.send("Resize the pictures of October", "Send the invoices", "Print the labels", "Count the stars")
    await page.expect_task("invoices")
    await page.expect_task("labels", "failed")
    await page.expect_task("stars", "running")
    await page.wait_for("document.getAnimations().every(({ playState }) => playState !== 'running')")
    await screenshot(page, f"tasks-{size}-{scheme}")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_details_options_and_the_bell(page: TaskPage, size: str, scheme: Literal["light", "dark"]) -> None:
    await set_appearance(page, size, scheme)
    await page.send("Print the labels", "Send the invoices")
    await page.expect_task("labels", "failed")
    await page.expect_task("invoices")
    for text in ("Print the labels", "Send the invoices"):
        await page.task(text).locator(".task-title").click()
    await page.page.get_by_role("button", name="Options").click()
    await screenshot(page, f"details-{size}-{scheme}")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)
    await page.page.get_by_role("button", name="Notifications,").click()
    await expect(page.page.get_by_role("dialog", name="Notifications")).to_be_visible()
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_sign_in_screens(
    new_context: NewContext, open_page: OpenPage, scheme: Literal["light", "dark"]
) -> None:
    page = await open_page(await new_context())
    await set_appearance(page, "phone", scheme)
    await expect(page.page.locator("input[name=username]")).to_be_visible()
    await screenshot(page, f"sign-in-{scheme}")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)
    await page.page.get_by_role("tab", name="Create Account").click()
    await expect(page.page.locator("input[name=confirm_password]")).to_be_visible()
    assert await violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_screens_for_a_code(
    new_context: NewContext, open_page: OpenPage, user: Credentials, scheme: Literal["light", "dark"]
) -> None:
    page, newcomer = await open_page(await new_context()), random_credentials()
    await set_appearance(page, "phone", scheme)
    await page.page.get_by_role("button", name="Forgot your password?").click()
    await assert_accessible(page, "username", f"reset-{scheme}")
    await page.page.locator("input[name=username]").fill(user.email)
    await page.page.get_by_role("button", name="Send code").click()
    await assert_accessible(page, "confirmation_code", f"new-password-{scheme}")
    await page.page.reload()
    await page.page.get_by_role("tab", name="Create Account").click()
    await page.page.locator("input[name=email]").fill(newcomer.email)
    await page.page.locator("input[name=password]").fill(newcomer.password)
    await page.page.locator("input[name=confirm_password]").fill(newcomer.password)
    await page.page.get_by_role("button", name="Create Account").click()
    await expect(page.page.get_by_role("button", name="Confirm")).to_be_visible()
    await assert_accessible(page, "confirmation_code", f"confirm-{scheme}")


async def assert_accessible(page: TaskPage, field: str, name: str) -> None:
    await expect(page.page.locator(f"input[name={field}]")).to_be_visible()
    await screenshot(page, name)
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_page_that_cannot_start(page: TaskPage, scheme: Literal["light", "dark"]) -> None:
    await set_appearance(page, "phone", scheme)
    await page.page.route("**/config.json", lambda route: route.fulfill(status=503))
    await page.page.reload()
    await expect(page.page.get_by_role("alert")).to_be_visible()
    await screenshot(page, f"failed-{scheme}")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)
    await page.page.unroute("**/config.json")


async def test_tasks_can_be_sent_by_keyboard(page: TaskPage) -> None:
    keyboard = page.page.keyboard
    await expect(page.page.locator(":focus")).to_have_accessible_name("New task")  # from the start
    await keyboard.press("Tab")
    await expect(page.page.locator(":focus")).to_have_accessible_name("One task per line")
    await keyboard.press("Space")
    await keyboard.press("Shift+Tab")
    await keyboard.type("one")
    await keyboard.press("Enter")
    await keyboard.type("two")
    for name in ("One task per line", "Options", "Send 2 tasks"):
        await keyboard.press("Tab")
        await expect(page.page.locator(":focus")).to_have_accessible_name(name)
    await keyboard.press("Space")
    await page.expect_task("one")
    await page.expect_task("two")
    await expect(page.page.locator(":focus")).to_have_accessible_name("New task")
    for name in ("Sign out", "Notifications, 0 unread"):
        await keyboard.press("Shift+Tab")
        await expect(page.page.locator(":focus")).to_have_accessible_name(name)


async def test_notifications_are_read_out(page: TaskPage) -> None:
    """The toast appears in a live region that existed before it."""
    region = page.page.locator("section[aria-live=polite]")
    await expect(region).to_have_count(1)
    await page.send("read me")
    await expect(region).to_contain_text("Finished task: read me")


async def test_an_offline_page(page: TaskPage, stack: BrowserStack) -> None:
    await page.page.context.set_offline(True)
    await stack.end_streams("abort")
    await page.send("for later")
    await page.expect_task("for later", "pending")
    await expect(page.page.get_by_role("status").filter(has_text="You are offline.")).to_be_visible()
    await set_appearance(page, "phone", "light")
    await screenshot(page, "offline-phone-light")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_unsent_and_rejected_tasks(page: TaskPage, size: str, scheme: Literal["light", "dark"]) -> None:
    await set_appearance(page, size, scheme)
    for status, state in ((404, "unsent"), (413, "rejected")):
        async with answering_posts(page.page.context, status, lambda _: True):
            await page.send(f"Resize the pictures of October, all {status} of them")
            await page.expect_task(f"all {status} of them", state)
    await screenshot(page, f"unsent-{size}-{scheme}")
    assert await violations(page) == []
    assert await has_no_horizontal_scrolling(page)


async def test_hashed_files_are_immutable_and_compressed(page: TaskPage) -> None:
    headers: dict[str, dict[str, str]] = {}
    page.page.on("response", lambda answer: headers.__setitem__(answer.url, answer.headers))
    await page.page.reload()
    await page.expect_live()
    scripts = [found for url, found in headers.items() if "/assets/" in url]
    assert len(scripts) >= 2
    assert all("immutable" in found["cache-control"] for found in scripts)
    assert all(found.get("content-encoding") in {"br", "gzip"} for found in scripts)
    policy = headers[f"{page.url}/"]["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
