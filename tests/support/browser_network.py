"""Faults of the whole network at once, and what must come of them."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.browser_chromium import Network
from tests.support.browser_page import TaskPage
from tests.support.browser_stack import BrowserStack


@contextmanager
def cut_off(network: Network) -> Iterator[None]:
    """The browser reaches no server for the length of the block."""
    with ExitStack() as cuts:
        for proxy in network.all:
            cuts.enter_context(proxy.cut())
        yield


async def until_recorded(stack: BrowserStack, id_token: str, count: int) -> None:
    """The tasks have finished, whether or not anybody was told."""
    async with asyncio.timeout(20):
        while len(await stack.notifications(id_token)) < count:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(1)  # the page needs some of the user's reads


async def cut_while_tasks_finish(page: TaskPage, network: Network, stack: BrowserStack, seconds: float) -> None:
    """All news is there when the network is back, none twice, and it goes on."""
    await page.send("before the cut")
    await page.shows("before the cut")
    id_token = await page.id_token()
    with cut_off(network):
        over = asyncio.get_running_loop().time() + seconds
        await stack.post(id_token, "cut one", "cut two")
        await until_recorded(stack, id_token, 3)
        await page.state("reconnecting")
        await asyncio.sleep(over - asyncio.get_running_loop().time())
    await page.live(within_ms=45_000)
    await page.toasted("Finished task: cut one", "Finished task: cut two")
    await page.send("after the cut")
    await page.shows("after the cut")
    assert set((await page.toasts()).values()) == {1}
