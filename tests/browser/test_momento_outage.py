"""Momento is away while tasks finish: an open page shows every one of them afterwards, once, without a reload."""

import asyncio
from typing import Any

import pytest

from tests.support.browser.network import until_recorded
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TOPICS = ("Publish", "Subscribe")
CACHE = (
    *("DictionarySet", "DictionaryGet", "DictionaryFetch", "DictionaryDelete", "DictionaryLength"),
    *("Get", "Set", "SetIfNotExists", "SetIf", "Delete"),
)
OUTAGE_SECONDS = 8.0
"""Longer than any single write is waited for."""
SHOWN_WITHIN_MS = 150_000
"""Of the end: the longest pauses of processor and page, one after the other."""


def away(*methods: str) -> list[dict[str, Any]]:
    return [{"method": method, "status": "UNAVAILABLE"} for method in methods]


@pytest.mark.parametrize(
    "then_away", [TOPICS, CACHE, ()], ids=["the cache back first", "the topics back first", "both back at once"]
)
async def test_what_finished_while_momento_was_away_is_shown_once(
    page: TaskPage, stack: BrowserStack, then_away: tuple[str, ...]
) -> None:
    await page.send("before the outage")
    await page.shows("before the outage")
    id_token, texts = await page.id_token(), [f"in the outage {number}" for number in range(3)]
    async with stack.emulating(faults=away(*TOPICS, *CACHE)):
        over = asyncio.get_running_loop().time() + OUTAGE_SECONDS
        await stack.end_streams("abort")
        await page.state("reconnecting")
        await stack.post(id_token, *texts)
        await stack.until_failed(len(texts), "Publish", "DictionarySet")
        await asyncio.sleep(max(0, over - asyncio.get_running_loop().time()))  # the length of the outage
        async with stack.emulating(faults=away(*then_away)):
            if then_away == CACHE:
                await page.live(within_ms=45_000)
            elif then_away == TOPICS:
                await until_recorded(stack, id_token, 1 + len(texts), within_seconds=60)
    for text in texts:
        await page.shows(text, within_ms=SHOWN_WITHIN_MS)
    await page.live(within_ms=45_000)
    await page.send("after the outage")
    await page.shows("after the outage")
    assert set((await page.toasts()).values()) == {1}


async def test_a_history_that_cannot_be_read_while_the_stream_is_live_is_asked_until_it_can(
    page: TaskPage, stack: BrowserStack
) -> None:
    id_token = await page.id_token()
    async with stack.emulating(faults=away("Subscribe")):
        await stack.end_streams("abort")
        await page.state("reconnecting")
        await stack.post(id_token, "published unheard")
        await until_recorded(stack, id_token, 1)
        async with stack.emulating(faults=away("DictionaryFetch")):
            await page.live(within_ms=45_000)
            await stack.until_failed(2, "DictionaryFetch")
            await page.live()
    await page.shows("published unheard", within_ms=45_000)
    await page.toasted("Finished task: published unheard")
