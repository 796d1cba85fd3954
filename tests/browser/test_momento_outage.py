"""Tasks finish while Momento is down: an open page shows each of them once afterwards, without a page load."""

import asyncio
from typing import Any

import pytest

from tests.support.browser.network import wait_for_history
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TOPICS = ("Publish", "Subscribe")
CACHE = (
    *("DictionarySet", "DictionaryGet", "DictionaryFetch", "DictionaryDelete", "DictionaryLength"),
    *("Get", "Set", "SetIfNotExists", "SetIf", "Delete"),
)
OUTAGE_SECONDS = 8.0
"""Longer than the timeout of a single write."""
SHOWN_WITHIN_MS = 150_000
"""After the outage: the longest backoffs of processor and page in sequence."""


def unavailable(*methods: str) -> list[dict[str, Any]]:
    return [{"method": method, "status": "UNAVAILABLE"} for method in methods]


@pytest.mark.parametrize(
    "still_down",
    [TOPICS, CACHE, ()],
    ids=["the cache recovers first", "the topics recover first", "both recover at once"],
)
async def test_what_finished_during_an_outage_is_shown_once(
    page: TaskPage, stack: BrowserStack, still_down: tuple[str, ...]
) -> None:
    await page.send("before the outage")
    await page.expect_task("before the outage")
    id_token, texts = await page.id_token(), [f"in the outage {number}" for number in range(3)]
    async with stack.emulating(faults=unavailable(*TOPICS, *CACHE)):
        over = asyncio.get_running_loop().time() + OUTAGE_SECONDS
        await stack.end_streams("abort")
        await page.expect_state("reconnecting")
        await stack.post(id_token, *texts)
        await stack.wait_for_failures(len(texts), "Publish", "DictionarySet")
        await asyncio.sleep(max(0, over - asyncio.get_running_loop().time()))  # the length of the outage
        async with stack.emulating(faults=unavailable(*still_down)):
            if still_down == CACHE:
                await page.expect_live(within_ms=45_000)
            elif still_down == TOPICS:
                await wait_for_history(stack, id_token, 1 + len(texts), within_seconds=60)
    for text in texts:
        await page.expect_task(text, within_ms=SHOWN_WITHIN_MS)
    await page.expect_live(within_ms=45_000)
    await page.send("after the outage")
    await page.expect_task("after the outage")
    await page.expect_nothing_announced_twice()


async def test_an_unavailable_history_is_retried_while_the_stream_is_live(page: TaskPage, stack: BrowserStack) -> None:
    id_token = await page.id_token()
    async with stack.emulating(faults=unavailable("Subscribe")):
        await stack.end_streams("abort")
        await page.expect_state("reconnecting")
        await stack.post(id_token, "published without a stream")
        await wait_for_history(stack, id_token, 1)
        async with stack.emulating(faults=unavailable("DictionaryFetch")):
            await page.expect_live(within_ms=45_000)
            await stack.wait_for_failures(2, "DictionaryFetch")
            await page.expect_live()
    await page.expect_task("published without a stream", within_ms=45_000)
    await page.expect_announced("Finished task: published without a stream")
