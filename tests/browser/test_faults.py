"""Every trap of the Momento web SDK's reconnecting (the table in `frontend/src/client/momento.ts`'s reasons)."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, expect

from notification_api.client.sign_in import Credentials
from tests.browser.conftest import OpenPage
from tests.support.browser.chromium import Network
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack
from tests.support.browser.tokens import put_storage

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIBE = "/cache_client.pubsub.Pubsub/Subscribe"
TOKEN_SECONDS = 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def user(stack: BrowserStack) -> Credentials:
    """The same for all: what the tests look at is the connection."""
    return await stack.sign_up()


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(context: BrowserContext, open_page: OpenPage, stack: BrowserStack) -> TaskPage:
    """The page of a person for whom no token is cached."""
    await put_storage(context, await stack.signed_in(await stack.sign_up()))
    return await open_page(context)


@pytest.fixture(scope="module")
def short_tokens(stack: BrowserStack) -> Iterator[None]:
    """Tokens that live four seconds, until the end of this module."""
    with stack.local.restarted("token", {"TOKEN_VALID_SECONDS": str(TOKEN_SECONDS)}):
        yield


class Subscribes:
    """Counts what the page asks of Momento."""

    def __init__(self, page: TaskPage) -> None:
        self.count = 0
        page.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        self.count += url.endswith(SUBSCRIBE)


async def tell(page: TaskPage, stack: BrowserStack, text: str) -> None:
    """A task, sent from elsewhere, is told within time."""
    await stack.post(await page.id_token(), text)
    await page.toasted(f"Finished task: {text}")


@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_what_is_published_while_the_connection_drops_is_told_once(
    page: TaskPage, network: Network, stack: BrowserStack, items: int
) -> None:
    for number in range(items):
        await tell(page, stack, f"before {number}")
    id_token = await page.id_token()
    network.momento.drop()
    await stack.post(id_token, "in the gap")
    await page.toasted("Finished task: in the gap")
    await page.live()
    await tell(page, stack, "after the gap")
    assert set((await page.toasts()).values()) == {1}


@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
@pytest.mark.parametrize("status", [401, 429, 502, 503])
async def test_a_refused_reconnect_is_not_the_end(
    page: TaskPage, network: Network, stack: BrowserStack, status: int, items: int
) -> None:
    for number in range(items):
        await tell(page, stack, f"before {number}")
    with network.momento.answering(status):
        await page.state("reconnecting")
        await stack.post(await page.id_token(), "meanwhile")
        await page.toasted("Finished task: meanwhile")  # asked for, since the stream does not bring it
    await page.live()
    await tell(page, stack, "afterwards")


@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_a_connection_refused_is_not_the_end(
    page: TaskPage, network: Network, stack: BrowserStack, items: int
) -> None:
    for number in range(items):
        await tell(page, stack, f"before {number}")
    async with network.momento.closed():
        await page.state("reconnecting")
    await page.live()
    await tell(page, stack, "afterwards")


async def test_a_server_that_ends_streams_cleanly_is_not_stormed(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    """The SDK by itself would ask hundreds of times a second."""
    asked = Subscribes(page)
    for _ in range(60):
        await stack.end_streams("end")
        await asyncio.sleep(0.05)
    assert asked.count <= 8
    await page.live(within_ms=20_000)
    await tell(page, stack, "afterwards")


async def test_a_half_open_connection_is_noticed_by_its_missing_heartbeats(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    async with stack.emulating(heartbeatSeconds=0.5):
        await page.page.reload()
        await page.live()
        await asyncio.sleep(1.5)  # some heartbeats, from which their distance is learned
        network.momento.freeze()
        id_token = await page.id_token()
        await stack.post(id_token, "into the void")
        await page.toasted("Finished task: into the void")
        await page.live()


async def test_a_stream_that_never_opens_is_given_up_and_tried_again(
    page: TaskPage, stack: BrowserStack, network: Network
) -> None:
    async with stack.emulating(faults=[{"method": "Subscribe", "neverAnswer": True}]):
        network.momento.drop()
        await page.state("reconnecting")
    await page.live(within_ms=20_000)
    await tell(page, stack, "afterwards")


async def test_junk_in_the_topic_harms_nothing(page: TaskPage, stack: BrowserStack) -> None:
    asked = Subscribes(page)
    topic = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher:
        for text in ('{"taskId": 7}', "", "\u0000", "plain text"):
            await publisher.publish(topic, text)
    await page.toasted("plain text")
    await page.live()
    await tell(page, stack, "afterwards")
    assert asked.count == 0


async def test_bare_text_is_told_though_the_topic_has_begun_anew(
    newcomer: TaskPage, network: Network, stack: BrowserStack
) -> None:
    """It has no id but its number in the topic, and numbers start again at one."""
    page = newcomer
    await page.live()
    topic = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher, stack.emulating(historyMessages=0):
        await publisher.publish(topic, "first of the old")
        await page.toasted("first of the old")
        network.momento.drop()
        await page.state("reconnecting")
        await page.live()
        await publisher.publish(topic, "first of the new")
        await page.toasted("first of the new")


async def test_a_first_discontinuity_harms_nothing(page: TaskPage, network: Network, stack: BrowserStack) -> None:
    async with stack.emulating(firstDiscontinuity=True):
        network.momento.drop()
        await stack.post(await page.id_token(), "in the gap")
        await page.toasted("Finished task: in the gap")
        await page.live()


async def test_what_a_discontinuity_tells_of_is_caught_up_without_a_new_stream(
    page: TaskPage, stack: BrowserStack
) -> None:
    """Over its quota Momento skips a delivery, and says so before the next thing that it sends."""
    asked, states = Subscribes(page), await watch_states(page)
    async with stack.emulating(topicOperationsPerSecond=1, heartbeatSeconds=0.2):
        await stack.post(await page.id_token(), "skipped")
        await page.toasted("Finished task: skipped")
    assert (asked.count, await states()) == (0, [])


@pytest.mark.usefixtures("short_tokens")
async def test_tokens_are_renewed_long_before_they_expire_without_a_gap(
    newcomer: TaskPage, stack: BrowserStack
) -> None:
    """Streams end when their token expires; with renewal none lives that long, and none needs to be made up for."""
    page = newcomer
    await page.page.route("**/notifications?*", lambda route: route.abort())
    await page.live()
    asked, states = Subscribes(page), await watch_states(page)
    topic, published = await stack.topic(await page.id_token()), 0
    async with stack.publisher() as publisher, asyncio.timeout(20):
        while asked.count < 3:
            news = {"taskId": f"{published}", "status": "finished", "message": "x", "time": time.time_ns() // 1_000_000}
            await publisher.publish(topic, json.dumps(news))
            published += 1
            await asyncio.sleep(0.05)
    assert await states() == []
    assert published < 200  # more than the list holds
    await expect(page.page.locator(".task[data-state=finished]")).to_have_count(published)


@pytest.mark.usefixtures("short_tokens")
@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_a_reconnect_with_an_expired_token_is_not_the_end(
    newcomer: TaskPage, network: Network, stack: BrowserStack, items: int
) -> None:
    page = newcomer
    async with stack.emulating(endStreamsAtExpiry=False):
        await page.live()
        for number in range(items):
            await tell(page, stack, f"before {number}")
        id_token = await page.id_token()
        with network.token.cut():  # else it would be renewed
            await asyncio.sleep(TOKEN_SECONDS)
            network.momento.drop()
            await page.state("reconnecting")
            await stack.post(id_token, "meanwhile")
        await page.live()
        await page.toasted("Finished task: meanwhile")
        await tell(page, stack, "afterwards")


async def watch_states(page: TaskPage) -> Callable[[], Awaitable[list[str]]]:
    """What the connection's state becomes from now on."""
    await page.page.evaluate(
        """() => {
          window.states = [];
          const shown = document.querySelector(".connection");
          new MutationObserver(() => window.states.push(shown.dataset.state))
            .observe(shown, { attributes: true, attributeFilter: ["data-state"] });
        }"""
    )

    async def states() -> list[str]:
        found: list[str] = await page.page.evaluate("window.states")
        return found

    return states
