"""Faults of the whole network or of single requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from playwright.async_api import BrowserContext, Request, Route

from tests.support.browser.chromium import Network
from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack

CORS = {"Access-Control-Allow-Origin": "*"}


@contextmanager
def disconnected(network: Network) -> Iterator[None]:
    """Disconnect the browser from every server during the block."""
    with ExitStack() as cuts:
        for proxy in network.all:
            cuts.enter_context(proxy.cut())
        yield


@asynccontextmanager
async def answering_posts(
    context: BrowserContext, status: int, matches: Callable[[str], bool]
) -> AsyncIterator[list[str]]:
    """Answer the posts of matching tasks with `status` during the block; yields their keys."""
    keys: list[str] = []

    async def answer(route: Route) -> None:
        if route.request.method != "POST" or not matches(route.request.post_data or ""):
            await route.fallback()
            return
        keys.append(route.request.headers["idempotency-key"])
        await route.fulfill(status=status, headers=CORS, json={"detail": "The test says so", "requestId": "r-1"})

    await context.route("**/task", answer)
    try:
        yield keys
    finally:
        await context.unroute("**/task", answer)


def is_post_of_task(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/task")


async def wait_for_history(stack: BrowserStack, id_token: str, count: int, within_seconds: float = 20) -> None:
    """Wait until the user's history has `count` notifications."""
    async with asyncio.timeout(within_seconds):
        while len(await stack.notifications(id_token)) < count:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(1)  # the application has the same limit of reads a user


async def disconnect_while_tasks_finish(page: TaskPage, network: Network, stack: BrowserStack, seconds: float) -> None:
    """Disconnect while tasks finish: afterwards each is notified once, and new tasks work."""
    await page.send("before the cut")
    await page.expect_task("before the cut")
    id_token = await page.id_token()
    with disconnected(network):
        end = asyncio.get_running_loop().time() + seconds
        await stack.post(id_token, "cut one", "cut two")
        await wait_for_history(stack, id_token, 3)
        await page.expect_state("reconnecting")
        await asyncio.sleep(end - asyncio.get_running_loop().time())
    await page.expect_live(within_ms=45_000)
    await page.expect_announced("Finished task: cut one", "Finished task: cut two")
    await page.send("after the cut")
    await page.expect_task("after the cut")
    assert set((await page.announced()).values()) == {1}
