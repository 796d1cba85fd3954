"""Cancel, retry, copy, the whole result, and what a page asks of the service after a page load."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Request, Route, expect

from tests.browser.conftest import OpenPage
from tests.support.browser.network import CORS, is_post_of_task
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.topic import user_topic

pytestmark = pytest.mark.asyncio(loop_scope="session")


def button(page: TaskPage, text: str, name: str) -> Locator:
    return page.task(text).get_by_role("button", name=name)


@asynccontextmanager
async def answering(page: TaskPage, url: str, status: int, body: Any) -> AsyncIterator[None]:
    """Answer the requests to `url` during the block, and their preflights."""
    allowed = {**CORS, "Access-Control-Allow-Headers": "*, authorization", "Access-Control-Allow-Methods": "*"}

    async def answer(route: Route) -> None:
        await route.fulfill(status=status, headers=allowed, content_type="application/json", body=json.dumps(body))

    await page.page.route(url, answer)
    try:
        yield
    finally:
        await page.page.unroute(url, answer)


async def test_a_running_task_is_cancelled_in_all_tabs(page: TaskPage, open_page: OpenPage) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    await page.send("wait 60: never mind")
    await page.expect_task("never mind", "queued")
    await button(page, "never mind", "Cancel").click()
    for tab in (page, other):
        await tab.expect_task("never mind", "cancelled")
        await expect(button(tab, "never mind", "Cancel")).to_have_count(0)
    await other.expect_announced("Cancelled task: wait 60: never mind")  # in the active tab
    await expect(page.page.get_by_role("button", name="Failed 0")).to_be_visible()


async def test_a_requested_cancellation_is_shown_until_the_task_has_ended(page: TaskPage, open_page: OpenPage) -> None:
    other = await open_page(page.page.context)
    await other.expect_live()
    await page.send("wait 5: slow")
    await page.expect_task("slow", "queued")
    body = {"taskId": "x", "status": "running", "cancelRequestedAt": 1}
    async with answering(page, "**/cancel", 202, body):
        await button(page, "slow", "Cancel").click()
        for tab in (page, other):
            await expect(tab.task("slow")).to_contain_text("Cancelling…")
            await expect(button(tab, "slow", "Cancel")).to_have_count(0)
    for tab in (page, other):
        await tab.expect_task("slow", "finished")


async def test_a_cancellation_that_comes_too_late_says_so(page: TaskPage) -> None:
    await page.send("wait 60: slow")
    await page.expect_task("slow", "queued")
    status = {"taskId": "x", "status": "finished", "message": "Finished task: sooner", "updatedAt": 1}
    async with (
        answering(page, "**/cancel", 409, {"detail": "The task has ended"}),
        answering(page, "**/task/*", 200, status),
    ):
        await button(page, "slow", "Cancel").click()
        await expect(page.task("slow")).to_contain_text("It had ended before it could be cancelled.")
        await page.expect_task("slow", "finished")
        await expect(page.task("slow").locator(".task-message")).to_have_text("sooner")


async def test_a_cancellation_that_the_service_cannot_record_can_be_tried_again(page: TaskPage) -> None:
    await page.send("wait 5: slow")
    await page.expect_task("slow", "queued")
    async with answering(page, "**/cancel", 503, {"detail": "busy"}):
        await button(page, "slow", "Cancel").click()
        await expect(page.task("slow")).to_contain_text("The service cannot do this right now.")
    await expect(button(page, "slow", "Cancel")).to_be_enabled()
    await page.expect_task("slow", "finished")


async def test_a_failed_task_is_sent_again_with_the_same_data(page: TaskPage) -> None:
    await page.send("fail: on purpose")
    await page.expect_task("on purpose", "failed")
    async with page.page.expect_request(is_post_of_task) as sent:
        await button(page, "on purpose", "Retry").click()
    assert (await sent.value).post_data_json == {"data": "fail: on purpose"}
    await expect(page.page.locator(".task[data-state=failed]")).to_have_count(2)


async def test_a_task_of_another_device_is_sent_again_only_where_its_data_is_known(
    page: TaskPage, stack: BrowserStack
) -> None:
    async with user_topic(page, stack) as topic:
        await topic.publish("a", "failed", "Failed task: x", input={"month": 10}, type="report")
        await topic.publish("b", "expired", "Expired task: x", title="The beginning of a long text")
    await page.expect_task("The beginning", "expired")
    await expect(button(page, "The beginning", "Retry")).to_have_count(0)
    async with page.page.expect_request(is_post_of_task) as sent:
        await button(page, "month", "Retry").click()
    assert (await sent.value).post_data_json == {"data": {"month": 10}, "type": "report"}


async def test_a_long_result_is_loaded_on_demand(page: TaskPage, stack: BrowserStack) -> None:
    async with user_topic(page, stack) as topic:
        await topic.publish("a", "finished", "Finished task: The be…", input="Write", truncated=True)
    await page.page.get_by_role("button", name="Write", exact=True).click()
    load = page.page.get_by_role("button", name="Load the whole result")
    async with answering(page, "**/task/a/result", 410, {"detail": "expired"}):
        await load.click()
        await expect(page.task("Write")).to_contain_text("The whole result is no longer kept.")
    whole = {"taskId": "a", "message": "Finished task: The beginning\nand the end", "data": [1, 2]}
    async with answering(page, "**/task/a/result", 200, whole):
        await load.click()
        await expect(page.page.locator(".linked-text")).to_have_text("The beginning\nand the end")
    await expect(page.page.locator("pre")).to_have_text("[\n  1,\n  2\n]")
    await expect(load).to_have_count(0)


async def test_result_and_data_are_copied(page: TaskPage, context: BrowserContext, stack: BrowserStack) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with user_topic(page, stack) as topic:
        await topic.publish("a", "finished", "Finished task: 42 sent", input="Send", data={"sent": 42})
    await page.page.get_by_role("button", name="Send", exact=True).last.click()
    for name, text in (("Copy the result of Send", "42 sent"), ("Copy the data of Send", '{\n  "sent": 42\n}')):
        await page.task("42").get_by_role("button", name=name).click()
        assert await page.page.evaluate("navigator.clipboard.readText()") == text
    await expect(page.task("42").get_by_role("button", name="Copied the data of Send")).to_be_visible()


async def test_a_page_asks_once_for_what_ended_meanwhile(
    page: TaskPage, context: BrowserContext, open_page: OpenPage
) -> None:
    """Its notification was lost: it is neither on the topic nor in the history."""
    async with answering_context(context, "**/notifications*", {"notifications": []}):
        await page.send("wait 2: under way")
        await page.expect_task("under way", "queued")
        await page.page.close()
        asked: list[str] = []

        def note(request: Request) -> None:
            if request.method == "GET" and "/task/" in request.url:
                asked.append(request.url)

        context.on("request", note)
        status = {"status": "failed", "message": "Failed task: x", "reason": "timeout", "updatedAt": 9_999_999_999_999}
        async with answering_context(context, "**/task/*", status):
            again = await open_page(context)
            await again.expect_task("under way", "failed")
            await again.expect_live()
        assert len(asked) == 1


@asynccontextmanager
async def answering_context(context: BrowserContext, url: str, body: Any) -> AsyncIterator[None]:
    allowed = {**CORS, "Access-Control-Allow-Headers": "*, authorization"}

    async def answer(route: Route) -> None:
        await route.fulfill(headers=allowed, content_type="application/json", body=json.dumps(body))

    await context.route(url, answer)
    try:
        yield
    finally:
        await context.unroute(url, answer)
