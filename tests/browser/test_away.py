"""Away and back: nothing is missed, nothing is told twice, nothing is sent twice."""

import asyncio
import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.conftest import OpenPage, press_try_now
from tests.support.browser.chromium import Network
from tests.support.browser.network import cut_off, cut_while_tasks_finish, until_recorded
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_tasks_that_finish_while_the_network_is_cut_are_told_once(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    await cut_while_tasks_finish(page, network, stack, seconds=3)


async def test_tasks_that_finish_while_the_page_is_closed_are_told_once(
    page: TaskPage, context: BrowserContext, open_page: OpenPage, stack: BrowserStack
) -> None:
    await page.send("before closing")
    await page.shows("before closing")
    id_token = await page.id_token()
    await page.page.close()
    await stack.post(id_token, "closed one", "closed two")
    await until_recorded(stack, id_token, 3)
    again = await open_page(context)
    await again.toasted("Finished task: closed one", "Finished task: closed two")
    await again.shows("before closing")
    assert (await again.toasts()).total() == 2


async def test_a_page_opened_again_asks_after_the_cursor_that_the_page_before_was_given(
    page: TaskPage, context: BrowserContext, open_page: OpenPage
) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url) if "/notifications" in request.url else None)
    await page.send("before closing")
    await page.shows("before closing")
    await page.page.close()
    again = await open_page(context)
    await again.live()
    async with asyncio.timeout(10):
        while not asked:  # noqa: ASYNC110 - the page's doing
            await asyncio.sleep(0.1)
    assert re.search(r"/notifications\?after=[A-Za-z][A-Za-z0-9_.~-]*$", asked[0])
    assert not await again.toasts()


async def test_a_task_sent_while_offline_is_kept_and_sent_once(
    page: TaskPage, context: BrowserContext, network: Network
) -> None:
    keys: list[str | None] = []
    page.page.on("request", lambda r: keys.append(r.headers.get("idempotency-key")) if r.method == "POST" else None)
    await context.set_offline(True)  # of new connections only: the stream is another's to break
    network.momento.drop()
    await page.state("offline")
    await page.send("kept for later")
    await page.shows("kept for later", "kept")
    await expect(page.page.get_by_text("You are offline.")).to_be_visible()
    await context.set_offline(False)
    await page.shows("kept for later", "finished")
    await page.toasted("Finished task: kept for later")
    assert len({key for key in keys if key}) == 1


async def test_a_task_kept_offline_outlives_the_page(
    page: TaskPage, context: BrowserContext, open_page: OpenPage, network: Network
) -> None:
    with cut_off(network):
        await page.send("kept over a page load")
        await page.shows("kept over", "kept")
        await page.page.close()
    again = await open_page(context)
    await again.shows("kept over a page load", "finished")
    await again.toasted("Finished task: kept over a page load")


async def test_a_task_that_storage_does_not_take_is_sent_all_the_same(page: TaskPage, network: Network) -> None:
    await page.page.evaluate(
        """() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; }"""
    )
    with network.ingest.answering(503):
        await page.send("nowhere to be kept")
        await expect(page.page.get_by_text("leave this page open until your tasks are sent")).to_be_visible()
        await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    await press_try_now(page)
    await page.shows("nowhere to be kept")


async def test_a_task_whose_answer_is_lost_runs_once(page: TaskPage, network: Network, stack: BrowserStack) -> None:
    network.ingest.lose_answers = True
    await page.send("answered into the void")
    await until_recorded(stack, await page.id_token(), 1)
    await expect(page.page.get_by_role("button", name="Try now")).to_be_visible()
    network.ingest.lose_answers = False
    await press_try_now(page)
    await page.shows("answered into the void", "finished")
    await expect(page.page.locator(".task")).to_have_count(1)
    await page.page.wait_for_timeout(1_000)
    assert len(await stack.notifications(await page.id_token())) == 1
    assert list((await page.toasts()).values()) == [1]
