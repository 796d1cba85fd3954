"""Tasks that cannot be sent: they delay no other, are listed as such, and can be retried or removed."""

import pytest
from playwright.async_api import BrowserContext, Locator, expect

from tests.browser.conftest import OpenPage
from tests.support.browser.chromium import Network
from tests.support.browser.network import answering_posts, is_post_of_task
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRIES = 5
UNSENT_WITHIN_MS = 30_000
"""Five tries with their backoff."""

RETRY_WITHOUT_PAUSE = "void setInterval(() => dispatchEvent(new Event('online')), 100)"
"""Skips the backoff between tries."""


def button(page: TaskPage, text: str, name: str) -> Locator:
    return page.task(text).get_by_role("button", name=name)


@pytest.mark.parametrize("status", [500, 501])
async def test_a_task_that_always_fails_delays_no_other_and_can_be_resent(
    page: TaskPage, context: BrowserContext, open_page: OpenPage, status: int
) -> None:
    other = await open_page(context)
    await other.expect_live()
    async with answering_posts(context, status, lambda body: "bad" in body) as keys:
        await page.send("the bad one", "a good one", "another good one")
        await page.expect_task("a good one")
        await page.expect_task("another good one")
        for tab in (page, other):
            await tab.expect_task("the bad one", "unsent", within_ms=UNSENT_WITHIN_MS)
        await page.page.reload()
        await page.expect_task("the bad one", "unsent")
        await expect(page.task("the bad one")).to_contain_text("The service answered with an error (request r-1).")
        await expect(page.page.get_by_text("Some of your tasks were not sent.")).to_be_visible()
        await page.send("one more")
        await page.expect_task("one more")
        assert len(keys) == TRIES
    posted: list[str | None] = []
    context.on("request", lambda r: posted.append(r.headers.get("idempotency-key")) if r.method == "POST" else None)
    await button(other, "the bad one", "Retry").click()
    for tab in (page, other):
        await tab.expect_task("the bad one", "finished")
        await expect(button(tab, "the bad one", "Retry")).to_have_count(0)
    await expect(page.page.get_by_text("were not sent")).to_have_count(0)
    assert {key for key in posted if key} == set(keys)


@pytest.mark.parametrize("status", [502, 504])
async def test_a_task_that_a_gateway_fails_delays_no_other_and_is_sent_automatically(
    page: TaskPage, context: BrowserContext, status: int
) -> None:
    async with answering_posts(context, status, lambda body: "bad" in body) as keys:
        await page.send("the bad one", "a good one", "another good one")
        await page.expect_task("a good one")
        await page.expect_task("another good one")
        await wait_until(lambda: len(keys) > TRIES, timeout_seconds=30)
        await page.expect_task("the bad one", "pending")
    await page.expect_task("the bad one", within_ms=UNSENT_WITHIN_MS)
    await expect(page.page.get_by_text("were not sent")).to_have_count(0)
    assert len(set(keys)) == 1


async def test_an_unsent_task_can_be_removed(page: TaskPage, context: BrowserContext, open_page: OpenPage) -> None:
    other = await open_page(context)
    await other.expect_live()
    async with answering_posts(context, 500, lambda _: True) as keys:
        await page.send("never mind")
        await page.expect_task("never mind", "unsent", within_ms=UNSENT_WITHIN_MS)
        await button(other, "never mind", "Remove").click()
        for tab in (page, other):
            await expect(tab.task("never mind")).to_have_count(0)
        await page.page.reload()
        await page.expect_live()
        await page.page.get_by_label("New task").fill("the next")
        assert len(keys) == TRIES
    await page.send("the next")
    await page.expect_task("the next")
    await expect(page.page.locator(".task")).to_have_count(1)


async def test_a_service_that_fails_every_task_is_reported_and_all_can_be_resent(
    page: TaskPage, network: Network
) -> None:
    texts = ("the first", "the second", "the third")
    with network.api.answering(500):
        await page.send(*texts)
        await expect(page.page.get_by_text("The service answered with an error.").first).to_be_visible()
        for text in texts:
            await page.expect_task(text, "unsent", within_ms=UNSENT_WITHIN_MS)
        await expect(page.page.get_by_text("Some of your tasks were not sent.")).to_be_visible()
    await page.page.get_by_role("button", name="Try now").click()
    for text in texts:
        await page.expect_task(text)
    await page.expect_nothing_announced_twice()


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_that_fails_every_task_for_a_while_is_reported_and_all_are_sent_automatically(
    page: TaskPage, network: Network, status: int
) -> None:
    texts = ("the first", "the second", "the third")
    posts: list[str] = []
    page.page.on("request", lambda request: posts.append(request.url) if is_post_of_task(request) else None)
    with network.api.answering(status):
        await page.send(*texts)
        await expect(page.page.get_by_text("The service answered with an error.").first).to_be_visible()
        await page.page.evaluate(RETRY_WITHOUT_PAUSE)
        await wait_until(lambda: len(posts) > TRIES * len(texts), timeout_seconds=30)
        for text in texts:
            await page.expect_task(text, "pending")
        await expect(page.page.get_by_text("were not sent")).to_have_count(0)
    for text in texts:
        await page.expect_task(text, within_ms=UNSENT_WITHIN_MS)
    await page.expect_nothing_announced_twice()


async def test_a_task_that_is_too_large_for_the_queue_can_only_be_removed(
    page: TaskPage, context: BrowserContext
) -> None:
    async with answering_posts(context, 413, lambda body: "large" in body) as keys:
        await page.send("too large for the queue", "small enough")
        await page.expect_task("too large", "rejected")
        await page.expect_task("small enough")
    await expect(page.task("too large")).to_contain_text("Rejected")
    await expect(page.task("too large")).to_contain_text("The test says so")
    await expect(button(page, "too large", "Retry")).to_have_count(0)
    await button(page, "too large", "Remove").click()
    await expect(page.task("too large")).to_have_count(0)
    assert len(keys) == 1


async def test_a_task_that_is_too_long_once_escaped_is_not_sent(page: TaskPage, stack: BrowserStack) -> None:
    await page.send('"' * 200_000)
    await expect(page.page.get_by_role("alert").filter(has_text="400,011 bytes as it is sent")).to_be_visible()
    await expect(page.page.locator(".task")).to_have_count(0)
    longest = "x" * (262_144 - len('{"data":""}'))
    await page.send(longest)
    await page.expect_task("xxx")
    assert len(await stack.notifications(await page.id_token())) == 1
