"""Streams over `fetch` in Firefox, whose network stack reports broken connections in its own way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.browser.chromium import Network
from tests.support.browser.firefox import FirefoxPage, firefox
from tests.support.browser.stack import BrowserStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.firefox, pytest.mark.timeout(180)]

LOADED = "performance.getEntriesByType('resource').map(({ name }) => name)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(stack: BrowserStack, network: Network) -> AsyncIterator[FirefoxPage]:
    proxies = {stack.local.ports.momento_web: network.momento.port}
    async with firefox(stack.local.page_url, proxies) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: FirefoxPage, stack: BrowserStack) -> FirefoxPage:
    """The page of a new user, with a live connection."""
    await browser.open(await stack.signed_in(await stack.sign_up()))
    await browser.expect_live()
    return browser


async def notify(page: FirefoxPage, stack: BrowserStack, text: str) -> None:
    """A task that is sent from elsewhere is notified in time."""
    await stack.post(await page.id_token(), text)
    await page.expect_announced(f"Finished task: {text}")


async def subscribe_requests(page: FirefoxPage) -> int:
    """The number of streams that have ended since the page was loaded."""
    return sum(name.endswith("/Subscribe") for name in await page.evaluate(LOADED))


@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_what_is_published_while_the_connection_drops_is_notified_once(
    page: FirefoxPage, network: Network, stack: BrowserStack, items: int
) -> None:
    for number in range(items):
        await notify(page, stack, f"größer {number} 🎉")
    network.momento.drop()
    await stack.post(await page.id_token(), "in the gap")
    await page.expect_announced("Finished task: in the gap")
    await page.expect_live()
    await notify(page, stack, "after the gap")
    await page.expect_nothing_announced_twice()


async def test_a_refused_reconnect_is_retried(page: FirefoxPage, network: Network, stack: BrowserStack) -> None:
    with network.momento.answering(503):
        await page.expect_state("reconnecting")
        await stack.post(await page.id_token(), "meanwhile")
        await page.expect_announced("Finished task: meanwhile")  # by catch-up, without a stream
    await page.expect_live()
    await notify(page, stack, "afterwards")


async def test_a_server_that_ends_streams_cleanly_is_not_flooded_with_requests(
    page: FirefoxPage, stack: BrowserStack
) -> None:
    before = await subscribe_requests(page)
    for _ in range(60):
        await stack.end_streams("end")
        await asyncio.sleep(0.05)
    assert 1 <= await subscribe_requests(page) - before <= 8
    await page.expect_live(within_ms=20_000)
    await notify(page, stack, "afterwards")


async def test_a_half_open_connection_is_detected_by_missing_heartbeats(
    page: FirefoxPage, network: Network, stack: BrowserStack
) -> None:
    async with stack.emulating(heartbeatSeconds=0.5):
        await page.reload()
        await page.expect_live()
        await asyncio.sleep(1.5)  # some heartbeats, by which the page measures their interval
        network.momento.freeze()
        await stack.post(await page.id_token(), "while half-open")
        await page.expect_announced("Finished task: while half-open")
        await page.expect_live()


async def test_where_momentos_cors_rules_refuse_the_page_the_sdk_is_used(
    page: FirefoxPage, network: Network, stack: BrowserStack
) -> None:
    assert not any("/momento-" in name for name in await page.evaluate(LOADED))
    with network.momento.allowing_only_with("x-user-agent"):
        await page.reload()
        await page.expect_live()
        await notify(page, stack, "over the SDK")
    assert any("/momento-" in name for name in await page.evaluate(LOADED))
