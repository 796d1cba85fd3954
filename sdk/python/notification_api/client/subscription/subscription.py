"""Keeps a stream of the user's topic open, for as long as the client is."""

import asyncio
import logging
import random
import time
from typing import Any, NoReturn

from notification_api.client.errors import NotificationApiError, SignedOutError
from notification_api.client.notification import parse_item
from notification_api.client.routes import Routes
from notification_api.client.subscription.catch_up import CatchUp
from notification_api.client.subscription.decisions import RENEWAL, after_failure, next_failures
from notification_api.client.subscription.disposable_token import Address, DisposableToken, read_token
from notification_api.client.subscription.feed import Feed
from notification_api.client.subscription.heartbeat import HeartbeatInterval
from notification_api.client.subscription.position import Position
from notification_api.client.subscription.stream import Discontinuity, Event, Item, Opened, read_stream

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""A replaced stream is read for this time, for what was sent already."""

Stream = asyncio.Task[NoReturn]


class Subscription:
    """Opens streams and publishes to the feed what they and the history bring."""

    def __init__(self, routes: Routes, feed: Feed, emulator: Address | None) -> None:
        self._routes = routes
        self._feed = feed
        self._emulator = emulator
        self._catch_up = CatchUp(routes, feed)
        self._heartbeats = HeartbeatInterval()
        self._position = Position()
        self._token: DisposableToken | None = None
        self._renew_at = 0.0
        self._opened_at = 0.0
        self._was_open = False
        self._opened = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._streams: set[Stream] = set()
        self.failure: Exception | None = None
        """Why no stream is open; None before the first failure, and while one is open."""

    @property
    def is_open(self) -> bool:
        """Whether a stream is open."""
        return self._opened.is_set() and self.failure is None

    def start(self) -> None:
        """Open a stream in the background, unless that was done before."""
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="notification-api-subscription")
            self._runner.add_done_callback(self._on_end)

    async def opened(self) -> None:
        """Wait until a stream is open.

        :raises NotificationApiError: when there will be none.
        """
        await self._opened.wait()
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        """Close everything."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait({self._runner})

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._catch_up.run())
                group.create_task(self._stay_connected())
        finally:
            await self._close_streams()

    def _on_end(self, runner: asyncio.Task[None]) -> None:
        """Nothing will be received any more, so everybody who waits fails."""
        error = NotificationApiError("The client was closed") if runner.cancelled() else runner.exception()
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Exception):
            self.failure = error
            self._opened.set()
            self._feed.end(error)

    async def _stay_connected(self) -> NoReturn:
        failures = 0
        while True:
            try:
                await self._connection()
            except NotificationApiError as error:
                failures = next_failures(failures, self._open_seconds())
                self._opened.clear()
                self.failure = error
                retry = after_failure(error, failures, random.random(), was_open=self._was_open)
                if retry is None:
                    raise
                logger.warning("the stream of notifications is lost, again in %.1f s: %s", retry.pause_seconds, error)
                if retry.needs_new_token:
                    self._token = None
            await self._close_streams()
            await asyncio.sleep(retry.pause_seconds)

    async def _connection(self) -> NoReturn:
        """Open a stream, and replace it whenever its token is to be renewed, until one breaks."""
        current = await self._open_stream()
        self._on_opened(recheck=True)
        while True:
            await asyncio.wait({current}, timeout=self._renew_at - time.monotonic())
            if current.done():
                await current
            current = await self._replacement(current)

    async def _replacement(self, current: Stream) -> Stream:
        """Return a stream with a new token, or the current one if that fails. Both are open for a moment."""
        self._token = None
        try:
            replacement = await self._open_stream()
        except SignedOutError:
            raise
        except NotificationApiError as error:
            pause = RENEWAL.pause(1, error.retry_after_seconds, random.random())
            self._renew_at = time.monotonic() + pause
            logger.warning("the token cannot be renewed, again in %.1f s: %s", pause, error)
            return current
        # The replaced stream may have died unnoticed.
        self._on_opened(recheck=current.done())
        asyncio.get_running_loop().call_later(LINGER_SECONDS, current.cancel)
        return replacement

    async def _open_stream(self) -> Stream:
        """:raises NotificationApiError: when it does not open."""
        token = await self._valid_token()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_event(event: Event) -> None:
            if isinstance(event, Opened):
                opened.set_result(None)
            else:
                self._on_event(event)

        stream: Stream = asyncio.create_task(read_stream(token.access, self._position, self._heartbeats, on_event))
        self._streams.add(stream)
        stream.add_done_callback(self._on_stream_end)
        either: set[asyncio.Future[Any]] = {stream, opened}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await stream
        return stream

    async def _valid_token(self) -> DisposableToken:
        if self._token is not None and time.monotonic() < self._renew_at:
            return self._token
        token = read_token(await self._routes.token(), self._emulator, time.time())
        self._token = token
        self._renew_at = time.monotonic() + token.renew_in_seconds
        return token

    def _on_opened(self, *, recheck: bool) -> None:
        self._opened_at = time.monotonic()
        self._was_open = True
        self.failure = None
        self._opened.set()
        self._catch_up.request(recheck=recheck)

    def _on_event(self, event: Item | Discontinuity) -> None:
        if isinstance(event, Discontinuity):
            self._position = self._position.after_discontinuity(event.page, event.sequence)
            self._catch_up.request(recheck=True)
            return
        if self._position.has(event.page, event.sequence):
            return
        self._position = self._position.after_item(event.page, event.sequence)
        notification = None if event.text is None else parse_item(event.text)
        if notification is not None:
            self._feed.publish(notification)

    def _open_seconds(self) -> float:
        return time.monotonic() - self._opened_at if self.is_open else 0.0

    def _on_stream_end(self, stream: Stream) -> None:
        self._streams.discard(stream)
        if not stream.cancelled():
            stream.exception()  # that of a replaced stream is of no interest

    async def _close_streams(self) -> None:
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
