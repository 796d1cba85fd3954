"""Reads from the notification history what the stream has missed."""

import asyncio
import logging
import random
import time
from http import HTTPStatus
from typing import NoReturn

from notification_api.client.errors import NotificationApiError, ServiceError, SignedOutError
from notification_api.client.retry import Backoff
from notification_api.client.routes import HistoryPage, Routes
from notification_api.client.subscription.decisions import is_since
from notification_api.client.subscription.feed import Feed

logger = logging.getLogger(__name__)

RECHECK_SECONDS = (15.0, 60.0, 300.0)
"""What was published while no stream was open may be stored only after the history was read."""
BACKOFF = Backoff(1.0, 15.0)


class CatchUp:
    """Publishes the entries of the history that this client does not know. Requests that come together are one read."""

    def __init__(self, routes: Routes, feed: Feed) -> None:
        self._routes = routes
        self._feed = feed
        self._requested = asyncio.Event()
        self._rechecks: tuple[float, ...] = ()
        self._cursor: str | None = None
        self._has_caught_up = False
        self._started_at = time.monotonic()

    def request(self, *, recheck: bool) -> None:
        """Read the history as soon as possible.

        :param recheck: and some more times, because there was no stream for a while.
        """
        if recheck:
            self._rechecks = RECHECK_SECONDS
        self._requested.set()

    async def run(self) -> NoReturn:
        """Read on request, and retry what fails.

        :raises SignedOutError: when the user has to sign in again.
        """
        self._started_at = time.monotonic()
        while True:
            await self._wait_until_due()
            self._publish(await self._read_with_retries())

    async def _wait_until_due(self) -> None:
        due_in = self._rechecks[0] * random.uniform(1.0, 1.5) if self._rechecks else None
        try:
            async with asyncio.timeout(due_in):
                await self._requested.wait()
        except TimeoutError:
            self._rechecks = self._rechecks[1:]

    async def _read_with_retries(self) -> HistoryPage:
        failures = 0
        while True:
            self._requested.clear()
            try:
                return await self._read()
            except SignedOutError:
                raise
            except NotificationApiError as error:
                failures += 1
                self._rechecks = RECHECK_SECONDS
                pause = BACKOFF.pause(failures, error.retry_after_seconds, random.random())
                logger.warning("the notification history cannot be read, again in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)

    async def _read(self) -> HistoryPage:
        """Where the service refuses its own cursor, the whole history is read."""
        try:
            return await self._routes.history(self._cursor)
        except ServiceError as error:
            if self._cursor is None or error.status != HTTPStatus.BAD_REQUEST:
                raise
            self._cursor = None
            return await self._routes.history(None)

    def _publish(self, page: HistoryPage) -> None:
        """Publish what is new: of the first page, what was sent since the start or ends a task of this client."""
        served_at = time.time() if page.served_at is None else page.served_at
        started_at = served_at - (time.monotonic() - self._started_at)
        for notification in page.notifications:
            if (
                self._has_caught_up
                or self._feed.is_awaited(notification)
                or is_since(notification, started_at, served_at)
            ):
                self._feed.publish(notification)
            else:
                self._feed.mark_seen(notification)
        self._cursor, self._has_caught_up = page.cursor, True
