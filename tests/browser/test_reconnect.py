"""Streams that break, end, stall or are refused: over `fetch`, and over the Momento SDK, which is the fallback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, expect

from notification_api.client import Credentials
from tests.browser.conftest import OpenPage
from tests.support.browser.chromium import Network
from tests.support.browser.network import disconnected
from tests.support.browser.page import TaskPage
from tests.support.browser.performance import notification
from tests.support.browser.stack import BrowserStack
from tests.support.browser.tokens import put_storage

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIBE = "/cache_client.pubsub.Pubsub/Subscribe"
FALLBACK = "the Momento SDK is used from now on"
BLOCK_FETCH = f"""
const {{ fetch: unblocked }} = window;
window.fetch = (url, options) =>
  String(url).endsWith("{SUBSCRIBE}") ? Promise.reject(new TypeError("Blocked by the test")) : unblocked(url, options);
"""
"""What a page sees of CORS rules that refuse its headers."""
BOTH_TRANSPORTS = pytest.mark.parametrize("transport", ["fetch", "sdk"], indirect=True)
EXPIRING_TOKEN_SECONDS = 4
RENEWED_TOKEN_SECONDS = 10
"""Renewed after 7 s: 3 s remain for a page on a busy machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def user(stack: BrowserStack) -> Credentials:
    """One user for all tests of the connection."""
    return await stack.sign_up()


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> str:
    """What streams are opened with: `fetch`, or `sdk` by indirect parametrization."""
    return str(getattr(request, "param", "fetch"))


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(open_page: OpenPage, transport: str) -> AsyncIterator[OpenPage]:
    """Opens tabs. With `sdk` they cannot subscribe over `fetch`, so that they change to the Momento SDK."""
    if transport == "fetch":
        yield open_page
        return
    pages: list[TaskPage] = []

    async def open_one(context: BrowserContext) -> TaskPage:
        pages.append(await open_page(context, BLOCK_FETCH))
        return pages[-1]

    yield open_one
    for page in pages:
        reported = [text for text in page.console if FALLBACK in text]
        assert reported
        page.console = [text for text in page.console if text not in reported]


@pytest_asyncio.fixture(loop_scope="session")
async def new_user_page(context: BrowserContext, open_page: OpenPage, stack: BrowserStack) -> TaskPage:
    """The page of a user for whom the token service has no cached token."""
    await put_storage(context, await stack.signed_in(await stack.sign_up()))
    return await open_page(context)


@pytest.fixture(scope="module")
def token_seconds(stack: BrowserStack, request: pytest.FixtureRequest) -> Iterator[int]:
    """The lifetime of disposable tokens, given by indirect parametrization."""
    with stack.local.restarted("token", {"TOKEN_VALID_SECONDS": str(request.param)}):
        yield request.param


class SubscribeCounter:
    """Counts the page's subscribe requests to Momento."""

    def __init__(self, page: TaskPage) -> None:
        self.count = 0
        page.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        self.count += url.endswith(SUBSCRIBE)


async def notify(page: TaskPage, stack: BrowserStack, text: str) -> None:
    """A task that is sent from elsewhere is notified in time."""
    await stack.post(await page.id_token(), text)
    await page.expect_announced(f"Finished task: {text}")


@BOTH_TRANSPORTS
@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_what_is_published_while_the_connection_drops_is_notified_once(
    page: TaskPage, network: Network, stack: BrowserStack, items: int
) -> None:
    for number in range(items):
        await notify(page, stack, f"before {number}")
    id_token = await page.id_token()
    network.momento.drop()
    await stack.post(id_token, "in the gap")
    await page.expect_announced("Finished task: in the gap")
    await page.expect_live()
    await notify(page, stack, "after the gap")
    await page.expect_nothing_announced_twice()


@pytest.mark.parametrize(
    ("status", "items", "transport"),
    [
        *((status, items, "fetch") for status in (401, 429, 502, 503) for items in (0, 1)),
        (503, 1, "sdk"),
    ],
    indirect=["transport"],
)
async def test_a_refused_reconnect_is_retried(
    page: TaskPage, network: Network, stack: BrowserStack, status: int, items: int
) -> None:
    for number in range(items):
        await notify(page, stack, f"before {number}")
    with network.momento.answering(status):
        await page.expect_state("reconnecting")
        await stack.post(await page.id_token(), "meanwhile")
        await page.expect_announced("Finished task: meanwhile")  # by catch-up, without a stream
    await page.expect_live()
    await notify(page, stack, "afterwards")


@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_a_refused_connection_is_retried(
    page: TaskPage, network: Network, stack: BrowserStack, items: int
) -> None:
    for number in range(items):
        await notify(page, stack, f"before {number}")
    async with network.momento.closed():
        await page.expect_state("reconnecting")
    await page.expect_live()
    await notify(page, stack, "afterwards")


@BOTH_TRANSPORTS
async def test_a_server_that_ends_streams_cleanly_is_not_flooded_with_requests(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    """The SDK by itself would reconnect hundreds of times a second."""
    subscribes = SubscribeCounter(page)
    for _ in range(60):
        await stack.end_streams("end")
        await asyncio.sleep(0.05)
    assert subscribes.count <= 8
    await page.expect_live(within_ms=20_000)
    await notify(page, stack, "afterwards")


async def test_a_half_open_connection_is_detected_by_missing_heartbeats(
    page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    async with stack.emulating(heartbeatSeconds=0.5):
        await page.page.reload()
        await page.expect_live()
        await asyncio.sleep(1.5)  # some heartbeats, by which the page measures their interval
        network.momento.freeze()
        id_token = await page.id_token()
        await stack.post(id_token, "while half-open")
        await page.expect_announced("Finished task: while half-open")
        await page.expect_live()


@BOTH_TRANSPORTS
async def test_a_stream_that_never_opens_times_out_and_is_retried(
    page: TaskPage, stack: BrowserStack, network: Network
) -> None:
    async with stack.emulating(faults=[{"method": "Subscribe", "neverAnswer": True}]):
        network.momento.drop()
        await page.expect_state("reconnecting")
    await page.expect_live(within_ms=20_000)
    await notify(page, stack, "afterwards")


@BOTH_TRANSPORTS
async def test_malformed_items_have_no_effect(page: TaskPage, stack: BrowserStack) -> None:
    subscribes = SubscribeCounter(page)
    topic = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher:
        for text in ('{"taskId": 7}', "", "\u0000", "plain text"):
            await publisher.publish(topic, text)
    await page.expect_announced("plain text")
    await page.expect_live()
    await notify(page, stack, "afterwards")
    assert subscribes.count == 0
    assert "" not in await page.announced()


@BOTH_TRANSPORTS
async def test_plain_text_is_notified_after_the_topic_has_restarted(
    new_user_page: TaskPage, network: Network, stack: BrowserStack
) -> None:
    """Plain text is identified by its sequence number, and numbers restart at 1."""
    page = new_user_page
    await page.expect_live()
    topic = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher, stack.emulating(historyMessages=0):
        await publisher.publish(topic, "first before")
        await page.expect_announced("first before")
        network.momento.drop()
        await page.expect_state("reconnecting")
        await page.expect_live()
        await publisher.publish(topic, "first after")
        await page.expect_announced("first after")


async def test_a_first_discontinuity_has_no_effect(page: TaskPage, network: Network, stack: BrowserStack) -> None:
    async with stack.emulating(firstDiscontinuity=True):
        network.momento.drop()
        await stack.post(await page.id_token(), "in the gap")
        await page.expect_announced("Finished task: in the gap")
        await page.expect_live()


@BOTH_TRANSPORTS
async def test_a_discontinuity_is_caught_up_without_a_new_stream(page: TaskPage, stack: BrowserStack) -> None:
    """Over its quota Momento skips a message and reports a discontinuity before the next one."""
    subscribes, states = SubscribeCounter(page), await watch_states(page)
    async with stack.emulating(topicOperationsPerSecond=1, heartbeatSeconds=0.2):
        await stack.post(await page.id_token(), "skipped")
        await page.expect_announced("Finished task: skipped")
    assert (subscribes.count, await states()) == (0, [])


@pytest.mark.parametrize("token_seconds", [RENEWED_TOKEN_SECONDS], indirect=True)
@pytest.mark.usefixtures("token_seconds")
async def test_tokens_are_renewed_before_they_expire_without_a_gap(
    new_user_page: TaskPage, stack: BrowserStack
) -> None:
    """A stream ends when its token expires. Renewed in time, it never does, so that no catch-up is needed."""
    page = new_user_page
    await page.page.route("**/notifications?*", lambda route: route.abort())
    await page.expect_live()
    subscribes, states = SubscribeCounter(page), await watch_states(page)
    topic, published = await stack.topic(await page.id_token()), 0
    async with stack.publisher() as publisher, asyncio.timeout(40):
        while subscribes.count < 3:
            await publisher.publish(topic, notification(f"{published}"))
            published += 1
            await asyncio.sleep(0.2)
    assert await states() == []
    assert published < 200  # the page lists no more
    await expect(page.page.locator(".task[data-state=finished]")).to_have_count(published)


@pytest.mark.parametrize("token_seconds", [EXPIRING_TOKEN_SECONDS], indirect=True)
@pytest.mark.parametrize("items", [0, 1], ids=["no item before", "an item before"])
async def test_a_reconnect_with_an_expired_token_is_retried(
    new_user_page: TaskPage, network: Network, stack: BrowserStack, items: int, token_seconds: int
) -> None:
    page = new_user_page
    async with stack.emulating(endStreamsAtExpiry=False):
        await page.expect_live()
        for number in range(items):
            await notify(page, stack, f"before {number}")
        id_token = await page.id_token()
        with network.api.cut():  # so that it cannot be renewed
            await asyncio.sleep(token_seconds)
            network.momento.drop()
            await page.expect_state("reconnecting")
            await stack.post(id_token, "meanwhile")
        await page.expect_live()
        await page.expect_announced("Finished task: meanwhile")
        await notify(page, stack, "afterwards")


async def test_where_momentos_cors_rules_refuse_the_page_the_sdk_is_used(
    context: BrowserContext, open_page: OpenPage, network: Network, stack: BrowserStack
) -> None:
    """The rules of the real service are not published; they allow the headers of the SDK."""
    with network.momento.allowing_only_with("x-user-agent"):
        page = await open_page(context)
        await page.expect_live()
        await notify(page, stack, "over the SDK")
    assert [FALLBACK in text for text in page.console] == [True]
    page.console.clear()


async def test_a_page_that_is_opened_without_a_network_does_not_load_the_sdk(
    context: BrowserContext, open_page: OpenPage, network: Network, stack: BrowserStack
) -> None:
    with disconnected(network):
        page = await open_page(context)
        await page.expect_state("reconnecting")
        await asyncio.sleep(5)  # several attempts
    await page.expect_live(within_ms=20_000)
    await notify(page, stack, "afterwards")
    loaded = "performance.getEntriesByType('resource').map(({ name }) => name)"
    assert not any("/momento-" in name for name in await page.page.evaluate(loaded))


async def watch_states(page: TaskPage) -> Callable[[], Awaitable[list[str]]]:
    """Records each change of the shown connection state from now on."""
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
