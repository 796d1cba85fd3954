"""Sending tasks, and the list, toasts, title and system notifications about them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import BrowserContext, Route, expect

from notification_api.client import Credentials
from tests.browser.conftest import NewContext, OpenPage
from tests.support.browser.network import wait_for_history
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.visibility import hide, unhide

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<img src=x onerror=document.title='hit'>"
RIGHT_TO_LEFT = "\u202eشكرا جزيلا على كل شيء"  # noqa: RUF001 - what is tested
FOUR_BYTES = "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧‍👦 🏳️‍🌈 𠜎"  # noqa: RUF001 - what is tested


async def test_an_empty_list_explains_itself(page: TaskPage) -> None:
    await expect(page.page.get_by_text("No tasks yet.")).to_be_visible()


async def test_a_task_is_sent_with_enter_and_toasted_once(page: TaskPage) -> None:
    await page.send("just one")
    await page.expect_task("just one")
    await page.expect_announced("Finished task: just one")
    await expect(page.page.get_by_label("New task")).to_have_value("")
    await expect(page.page.get_by_label("New task")).to_be_focused()


async def test_a_task_is_sent_with_the_button(page: TaskPage) -> None:
    await page.page.get_by_label("New task").fill("by button")
    await page.page.get_by_role("button", name="Send").click()
    await page.expect_task("by button")


async def test_ten_tasks_sent_together_are_all_notified(page: TaskPage) -> None:
    texts = [f"task number {number:02}" for number in range(10)]
    await page.send(*texts)
    for text in texts:
        await page.expect_task(text)
    await expect(page.page.locator(".task-title")).to_have_text(texts[::-1])


async def test_an_empty_task_is_refused_with_a_message(page: TaskPage) -> None:
    await page.send("  ")
    await expect(page.page.get_by_text("Enter a task.")).to_be_visible()
    await expect(page.page.get_by_label("New task")).to_have_attribute("aria-invalid", "true")


async def test_progress_is_shown_in_the_list_and_not_toasted(page: TaskPage) -> None:
    await page.send("steps 2: a long one")
    await page.expect_task("a long one", "queued")
    await page.expect_task("a long one", "running")
    await expect(page.task("a long one").locator(".task-message")).to_contain_text("of 2")
    await page.expect_task("a long one", "finished")
    assert list(await page.announced()) == ["Finished task: steps 2: a long one"]


async def test_a_failed_task_is_listed_and_toasted(page: TaskPage) -> None:
    await page.send("fail: on purpose")
    await page.expect_task("on purpose", "failed")
    await page.wait_for("window.recorded.announced.length > 0")
    (toast,) = await page.announced()
    assert "The test says so" not in toast  # the user's message holds nothing internal


@pytest.mark.parametrize("text", [HOSTILE, RIGHT_TO_LEFT, FOUR_BYTES], ids=["html", "right-to-left", "4-byte"])
async def test_any_text_is_shown_unchanged_and_never_as_html(page: TaskPage, text: str) -> None:
    await page.send(text)
    await page.expect_task(text)
    await page.expect_announced(f"Finished task: {text}")
    assert await page.page.locator("img").count() == 0
    await expect(page.page).to_have_title("Tasks")


async def test_a_rejected_task_can_be_removed(page: TaskPage, stack: BrowserStack) -> None:
    with stack.local.restarted("ingest", {"MAX_BODY_BYTES": "2000"}):
        await page.send("x" * 3_000)
        await page.expect_task("xxx", "rejected")
    await page.task("xxx").get_by_role("button", name="Remove").click()
    await expect(page.page.locator(".task")).to_have_count(0)


async def test_the_title_counts_notifications_while_the_page_is_hidden(page: TaskPage, stack: BrowserStack) -> None:
    await hide(page)
    await stack.post(await page.id_token(), "one", "two")
    await expect(page.page).to_have_title("(2) Tasks", timeout=10_000)
    await unhide(page)
    await expect(page.page).to_have_title("Tasks")


async def test_system_notifications_are_shown_only_when_turned_on_and_hidden(
    page: TaskPage, stack: BrowserStack
) -> None:
    await page.page.evaluate(
        """() => {
          window.shown = [];
          window.asked = 0;
          window.Notification = class {
            static permission = "default";
            static async requestPermission() { window.asked += 1; return (Notification.permission = "granted"); }
            constructor(title, { body }) { window.shown.push(body); }
          };
        }"""
    )
    await page.page.get_by_role("button", name="Notifications,").click()
    button = page.page.get_by_role("button", name="Show system notifications")
    assert await page.page.evaluate("window.asked") == 0
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await page.send("while visible")
    await page.expect_task("while visible")
    await hide(page)
    await stack.post(await page.id_token(), "while hidden")
    await page.expect_task("while hidden")
    assert await page.page.evaluate("window.shown") == ["Finished task: while hidden"]


async def test_a_page_load_keeps_the_list_and_repeats_no_toast(page: TaskPage) -> None:
    await page.send("the first", "the second")
    await page.expect_task("the first")
    await page.expect_task("the second")
    await page.page.reload()
    await page.expect_live()
    await page.send("after")
    await page.expect_announced("Finished task: after")
    await expect(page.page.locator(".task")).to_have_count(3)
    assert list(await page.announced()) == ["Finished task: after"]


async def test_a_new_browser_lists_the_history_without_toasts(
    page: TaskPage, user: Credentials, stack: BrowserStack, new_context: NewContext, open_page: OpenPage
) -> None:
    await page.send("from the past")
    await page.expect_task("from the past")
    storage = await stack.signed_in(user)
    await asyncio.sleep(1)  # the Date header, from which a new browser learns the time, is to the second
    fresh = await open_page(await new_context(storage))
    await fresh.expect_task("from the past")
    await fresh.send("from now on")
    await fresh.expect_announced("Finished task: from now on")
    assert list(await fresh.announced()) == ["Finished task: from now on"]


async def test_a_task_that_finishes_before_the_first_connection_is_toasted(
    context: BrowserContext, open_page: OpenPage, stack: BrowserStack
) -> None:
    async with streams_held_back(context):
        page = await open_page(context)
        await page.send("at once")
        await wait_for_history(stack, await page.id_token(), 1)
        await page.expect_state("connecting")
    await page.expect_announced("Finished task: at once")


@asynccontextmanager
async def streams_held_back(context: BrowserContext) -> AsyncIterator[None]:
    """Streams open only when the block ends."""
    over = asyncio.Event()

    async def hold(route: Route) -> None:
        await over.wait()
        await route.continue_()

    await context.route("**/Subscribe", hold)
    try:
        yield
    finally:
        over.set()
        await context.unroute_all(behavior="wait")
