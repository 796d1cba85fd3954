"""A user of the stack: signed in and subscribed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from benchmarks.local_stack.stack import Stack
from local.demo.sign_up import application, signed_in_user
from notification_api.client.http import StageClient
from notification_api.client.subscription import ReceivedNotification, subscribe

NOTIFICATION_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class User:
    """Submits tasks and receives their notifications."""

    stage: StageClient
    notifications: asyncio.Queue[ReceivedNotification]

    async def submit(self) -> tuple[str, float]:
        """Submit a task; return its id, and when its POST began on the monotonic clock."""
        began_at = time.monotonic()
        return await self.stage.submit_task("benchmark"), began_at

    async def notified(self, task_ids: set[str]) -> dict[str, float]:
        """Wait for the final notification of each of these tasks; return when it arrived."""
        found: dict[str, float] = {}
        async with asyncio.timeout(NOTIFICATION_TIMEOUT_SECONDS):
            while task_ids - set(found):
                notification = await self.notifications.get()
                fields = orjson.loads(notification.text)
                if fields["status"] == "finished":
                    found.setdefault(fields["taskId"], notification.received_at)
        return found


@asynccontextmanager
async def signed_in_subscriber(stack: Stack) -> AsyncIterator[User]:
    """Sign up and subscribe a new user."""
    async with application(stack.page_url) as app:
        client = await signed_in_user(app)
        yield User(client, await subscribe(await client.get_token()))
