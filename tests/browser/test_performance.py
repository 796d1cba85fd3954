"""What many notifications leave behind in memory. Times are measured by `make bench-page`, and not asserted."""

import asyncio

import pytest

from tests.support.browser.page import TaskPage
from tests.support.browser.performance import LISTED, memory, publish_many
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 500
TRIES = 10


async def test_many_notifications_leave_no_memory_behind(page: TaskPage, stack: BrowserStack) -> None:
    topic = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher:

        async def publish(text: str) -> None:
            await publisher.publish(topic, text)

        await publish_many(page, publish, LISTED)
        before = await memory(page)
        await publish_many(page, publish, COUNT)
    for _ in range(TRIES):  # the browser returns freed memory in the background
        after = await memory(page)
        if after.heap_mb < before.heap_mb * 1.2 and after.process_mb < before.process_mb * 1.2:
            return
        await asyncio.sleep(1)
    pytest.fail(f"memory has grown by more than a fifth: {before}, {after}")
