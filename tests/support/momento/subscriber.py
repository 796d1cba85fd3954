"""A subscriber that shows a topic's messages as they are sent, duplicates included, which the client hides."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from notification_api.client import StageConfig
from notification_api.client.http import HttpClient
from notification_api.client.id_tokens import IdTokens
from notification_api.client.routes import Routes
from notification_api.client.subscription.disposable_token import TopicAccess, read_token
from notification_api.client.subscription.heartbeat import HeartbeatInterval
from notification_api.client.subscription.position import Position
from notification_api.client.subscription.stream import Event, Item, Opened, read_stream


class Subscriber:
    """The messages that have arrived."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._texts: asyncio.Queue[str] = asyncio.Queue()

    async def next(self, seconds: float = 20.0) -> dict[str, Any]:
        """Return the next notification; fails when none arrives in time."""
        notification: dict[str, Any] = json.loads(await self.next_text(seconds))
        return notification

    async def next_text(self, seconds: float = 20.0) -> str:
        async with asyncio.timeout(seconds):
            return await self._texts.get()

    async def nothing_for(self, seconds: float) -> bool:
        """Whether nothing arrives for this time."""
        try:
            await self.next_text(seconds)
        except TimeoutError:
            return True
        return False

    def on_event(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._opened.set()
        elif isinstance(event, Item) and event.text is not None:
            self._texts.put_nowait(event.text)

    async def opened(self) -> None:
        await self._opened.wait()


@asynccontextmanager
async def subscriber(access: TopicAccess) -> AsyncIterator[Subscriber]:
    """Subscribe during the context.

    :raises SubscriptionRefusedError: when it is refused.
    """
    started = Subscriber()
    reading = asyncio.create_task(read_stream(access, Position(), HeartbeatInterval(), started.on_event))
    opening = asyncio.create_task(started.opened())
    try:
        await asyncio.wait({reading, opening}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            await reading
        yield started
    finally:
        for task in (reading, opening):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def topic_access(config: StageConfig, id_token: str) -> TopicAccess:
    """Fetch a disposable token as the client does, and return what it permits."""
    async with HttpClient(IdTokens(id_token)) as http:
        return read_token(await Routes(http, config.api_url).token(), None, time.time()).access
