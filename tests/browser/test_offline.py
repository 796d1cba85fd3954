"""Offline and back: no notification is missed or repeated, and no task is lost or sent twice."""

import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.conftest import OpenPage, press_try_now
from tests.support.browser.chromium import Network
from tests.support.browser.network import disconnect_while_tasks_finish, disconnected, wait_for_history
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_tasks_that_finish_while_offline_are_notified_once(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    await disconnect_while_tasks_finish(page, network, stack, seconds=3)


async def test_tasks_that_finish_while_the_page_is_closed_are_notified_once(
    page: TaskPage, context: BrowserContext, open_page: OpenPage, stack: BrowserStack
) -> None:
    await page.send("before closing")
    await page.expect_task("before closing")
    id_token = await page.id_token()
    await page.page.close()
    await stack.post(id_token, "closed one", "closed two")
    await wait_for_history(stack, id_token, 3)
    again = await open_page(context)
    await again.expect_announced("Finished task: closed one", "Finished task: closed two")
    await again.expect_task("before closing")
    assert (await again.announced()).total() == 2


async def test_a_new_page_continues_from_the_cursor_of_the_page_before(
    page: TaskPage, context: BrowserContext, open_page: OpenPage
) -> None:
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url) if "/notifications" in request.url else None)
    await page.send("before closing")
    await page.expect_task("before closing")
    await page.page.close()
    again = await open_page(context)
    await again.expect_live()
    await wait_until(lambda: bool(requests))
    assert re.search(r"/notifications\?after=[A-Za-z][A-Za-z0-9_.~-]*$", requests[0])
    assert not await again.announced()


async def test_a_task_sent_while_offline_is_kept_and_sent_once(
    page: TaskPage, context: BrowserContext, network: Network
) -> None:
    keys: list[str | None] = []
    page.page.on("request", lambda r: keys.append(r.headers.get("idempotency-key")) if r.method == "POST" else None)
    await context.set_offline(True)  # this affects new connections only, so the stream is broken too
    network.momento.drop()
    await page.expect_state("offline")
    await page.send("for later")
    await page.expect_task("for later", "pending")
    await expect(page.page.get_by_text("You are offline.")).to_be_visible()
    await context.set_offline(False)
    await page.expect_task("for later", "finished")
    await page.expect_announced("Finished task: for later")
    assert len({key for key in keys if key}) == 1


async def test_a_task_kept_offline_survives_a_page_load(
    page: TaskPage, context: BrowserContext, open_page: OpenPage, network: Network
) -> None:
    with disconnected(network):
        await page.send("kept over a page load")
        await page.expect_task("kept over", "pending")
        await page.page.close()
    again = await open_page(context)
    await again.expect_task("kept over a page load", "finished")
    await again.expect_announced("Finished task: kept over a page load")


async def test_a_task_that_storage_does_not_take_is_still_sent(page: TaskPage, network: Network) -> None:
    await page.page.evaluate(
        """() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; }"""
    )
    with network.api.answering(503):
        await page.send("not in storage")
        await expect(page.page.get_by_text("keep this page open until your tasks are sent")).to_be_visible()
        await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    await press_try_now(page)
    await page.expect_task("not in storage")


async def test_a_task_whose_answer_is_lost_runs_once(page: TaskPage, network: Network, stack: BrowserStack) -> None:
    network.api.lose_answers = True
    await page.send("answer lost")
    await wait_for_history(stack, await page.id_token(), 1)
    await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    network.api.lose_answers = False
    await press_try_now(page)
    await page.expect_task("answer lost", "finished")
    await expect(page.page.locator(".task")).to_have_count(1)
    await page.send("after the lost answer")
    await page.expect_task("after the lost answer")
    assert len(await stack.notifications(await page.id_token())) == 2
    assert await page.announced() == {"Finished task: answer lost": 1, "Finished task: after the lost answer": 1}


@pytest.mark.timeout(180)
async def test_no_notification_is_missing_or_repeated_after_a_minute_offline(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    await disconnect_while_tasks_finish(page, network, stack, seconds=60)
