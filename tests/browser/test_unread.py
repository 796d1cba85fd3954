"""Unread notifications: the count in the title and at the bell, the read marker over tabs and devices, and toasts."""

import pytest
from playwright.async_api import expect

from notification_api.client import Credentials
from tests.browser.conftest import NewContext, OpenPage
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.topic import now_ms, user_topic
from tests.support.browser.visibility import hide, unhide

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def bell_says(page: TaskPage, count: int) -> None:
    await expect(page.page.get_by_role("button", name=f"Notifications, {count} unread")).to_be_attached()


async def test_what_is_on_screen_is_read_out_without_a_toast(page: TaskPage) -> None:
    await page.send("on screen")
    await page.expect_announced("Finished task: on screen")
    assert await page.recorded("toasts") == []
    await bell_says(page, 0)


async def test_what_is_not_on_screen_is_toasted_and_the_rest_is_a_link(page: TaskPage, stack: BrowserStack) -> None:
    async with user_topic(page, stack) as topic:
        for number in range(40):
            await topic.publish(f"old{number}", "finished", "Finished task: done", input=f"old {number}")
        await page.expect_task("old 39")
        await expect(page.page.locator(".task")).to_have_count(40)
        await page.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        await page.wait_for("scrollY > 500")
        await page.wait_for("document.querySelectorAll('[data-announcement], .toast').length === 0")
        for number in range(9):
            await topic.publish(f"new{number}", "finished", "Finished task: done", input=f"new {number}")
        await page.expect_announced("Finished task: new 0")
        assert "Finished task: new 0" in await page.recorded("toasts")
        await bell_says(page, 9)
        toasts = await page.page.locator(".toast").first.bounding_box()
        status = await page.page.locator(".task-status").last.bounding_box()
        assert toasts
        assert status
        assert toasts["x"] > status["x"] + status["width"]  # never over the status
        await page.page.get_by_role("link", name="and 5 more").click()
        await expect(page.task("new 8")).to_be_in_viewport()
    await bell_says(page, 0)


async def test_the_bell_lists_what_is_unread_and_leads_to_it(page: TaskPage, stack: BrowserStack) -> None:
    await hide(page)
    await stack.post(await page.id_token(), "one", "fail: two")
    await bell_says(page, 2)
    await expect(page.page).to_have_title("(2) Tasks")
    await page.page.get_by_role("button", name="Notifications,").click()
    popover = page.page.get_by_role("dialog", name="Notifications")
    await expect(popover.locator(".unread")).to_have_count(2)
    await popover.get_by_role("button", name="Failed task: fail: two").click()
    await expect(popover).to_be_hidden()
    await expect(page.task("fail: two").locator(".task-title")).to_be_focused()
    await page.page.get_by_role("button", name="Notifications,").click()
    await popover.get_by_role("button", name="Mark all as read").click()
    await expect(popover).to_contain_text("You have read everything.")
    await page.page.keyboard.press("Escape")
    await expect(popover).to_be_hidden()
    await expect(page.page).to_have_title("Tasks")


async def test_looking_at_the_list_reads_it_in_all_tabs(
    page: TaskPage, open_page: OpenPage, stack: BrowserStack
) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    for tab in (page, other):
        await hide(tab)
    await stack.post(await page.id_token(), "unseen")
    for tab in (page, other):
        await bell_says(tab, 1)
    async with page.page.expect_request("**/notifications/read") as marked:
        await unhide(other)
        for tab in (page, other):
            await bell_says(tab, 0)
    (history,) = await stack.notifications(await page.id_token())
    assert (await marked.value).post_data_json == {"until": history["time"]}


async def test_a_marker_of_another_device_is_followed(page: TaskPage, stack: BrowserStack) -> None:
    await hide(page)
    async with user_topic(page, stack) as topic:
        await topic.publish("a", "finished", "Finished task: unseen")
        await bell_says(page, 1)
        await topic.publish_read_marker(now_ms())
        await bell_says(page, 0)


async def test_a_new_browser_counts_only_what_no_device_has_read(
    page: TaskPage, user: Credentials, stack: BrowserStack, new_context: NewContext, open_page: OpenPage
) -> None:
    async with page.page.expect_response("**/notifications/read") as marked:
        await page.send("seen here")
        await page.expect_task("seen here")
    assert (await marked.value).status == 200
    await hide(page)
    await page.page.close()
    id_token = (await stack.signed_in(user))["origins"][0]["localStorage"]
    token = next(each["value"] for each in id_token if each["name"].endswith(".idToken"))
    await stack.post(token, "not seen")
    fresh = await open_page(await new_context(await stack.signed_in(user)))
    await hide(fresh)
    await fresh.expect_task("not seen")
    await bell_says(fresh, 1)
