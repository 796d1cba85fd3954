"""Notifications on the topic of a page's user, as the processor publishes them."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.browser.page import TaskPage
from tests.support.browser.stack import BrowserStack, Publisher


class UserTopic:
    def __init__(self, publisher: Publisher, name: str) -> None:
        self._publisher = publisher
        self._name = name

    async def publish(self, task_id: str, status: str, message: str, **details: Any) -> None:
        """Publish a notification of now, unless `details` has a `time`."""
        fields = {"taskId": task_id, "status": status, "message": message, "time": now_ms(), **details}
        await self._publisher.publish(self._name, json.dumps(fields))

    async def publish_read_marker(self, until_ms: int) -> None:
        await self._publisher.publish(self._name, json.dumps({"readUntil": until_ms}))


@asynccontextmanager
async def user_topic(page: TaskPage, stack: BrowserStack) -> AsyncIterator[UserTopic]:
    name = await stack.topic(await page.id_token())
    async with stack.publisher() as publisher:
        yield UserTopic(publisher, name)


def now_ms() -> int:
    return int(time.time() * 1000)
