"""A user of the stack: signed in and subscribed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.local_stack.stack import Stack
from local.demo.sign_up import application, signed_in_user
from notification_api.client import Notification, NotificationApi

NOTIFICATION_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class User:
    """Submits tasks and receives their notifications."""

    id_token: str
    api: NotificationApi
    notifications: AsyncIterator[Notification]

    async def submit(self) -> tuple[str, float]:
        """Submit a task; return its id, and when its POST began on the monotonic clock."""
        began_at = time.monotonic()
        return (await self.api.submit("default", "benchmark")).id, began_at

    async def notified(self, task_ids: set[str]) -> dict[str, float]:
        """Wait for the final notification of each of these tasks; return when it arrived."""
        found: dict[str, float] = {}
        async with asyncio.timeout(NOTIFICATION_TIMEOUT_SECONDS):
            while task_ids - set(found):
                notification = await anext(self.notifications)
                if notification.task_id is not None and notification.status == "finished":
                    found[notification.task_id] = time.monotonic()
        return found


@asynccontextmanager
async def signed_in_subscriber(stack: Stack) -> AsyncIterator[User]:
    """Sign up and subscribe a new user."""
    async with application(stack.page_url) as app:
        id_token = (await signed_in_user(app)).id_token
    # The services themselves, without the forwarding that gives them one origin.
    token_url, ingest_url = (f"http://127.0.0.1:{port}" for port in (stack.ports.token, stack.ports.ingest))
    async with NotificationApi(token_url, token=id_token, ingest_url=ingest_url) as api:
        notifications = api.notifications()
        await api.connected()
        yield User(id_token, api, notifications)
