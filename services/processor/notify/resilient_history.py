"""The notification history as the processor uses it: writes are retried, and one caller tries while it is down."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from notification_api import PermanentError, TransientError
from services.common.momento.history import NEWEST, HistoryEntry, NotificationHistory
from services.common.momento.results import Results, compress
from services.processor.cache_guard import PAUSE_SECONDS, CacheGuard
from services.processor.metrics import HISTORY_UNAVAILABLE
from services.processor.notify.pending import PendingNotification

logger = logging.getLogger(__name__)

FIRST_TRY_SECONDS = 1.0
"""How long the first write may take, since the user waits for it."""
TRY_SECONDS = 5.0
RETRY_SECONDS = (0.2, 1.0)
"""The pause between two tries while the cache is down; one caller tries at a time."""
TRIM_SHARE = 2 / NEWEST
"""The share of writes after which a user's history is trimmed, at random: a user's writes may come from any replica."""


class ResilientHistory:
    """Stores and finds history entries although the cache may be slow or down.

    :param entries: None if the history is switched off, like `results`.
    :param chance: a random number from 0 to 1.
    """

    def __init__(
        self,
        entries: NotificationHistory | None,
        results: Results | None,
        guard: CacheGuard,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._entries = entries
        self._results = results
        self._guard = guard
        self._clock = clock
        self._chance = chance
        self._slow_until = float("-inf")
        self._is_writable = True
        self._retry_lock = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether notifications are stored at all."""
        return self._entries is not None

    async def store_quickly(self, notification: PendingNotification) -> bool:
        """Store unless the cache is slow or down; returns whether it is stored, or never will be."""
        if notification.stored or self._entries is None:
            notification.stored = True
            return True
        is_slow = self._guard.is_paused or self._clock() < self._slow_until
        return not is_slow and await self._try(self._entries, notification, FIRST_TRY_SECONDS)

    async def store(self, notification: PendingNotification) -> None:
        """Store, trying until cancelled. While nothing can be written, one caller tries and the others wait."""
        while not (notification.stored or notification.is_superseded):
            if self._is_writable:
                await self._store_once(notification, TRY_SECONDS)
                continue
            async with self._retry_lock:
                if self._is_unwritable() and not notification.is_superseded:
                    await asyncio.sleep(random.uniform(*RETRY_SECONDS))
                    await self._store_once(notification, TRY_SECONDS)

    async def store_before_end(self, notification: PendingNotification, *, is_late: bool) -> None:
        """Try once more because the process or the lease is about to end.

        :param is_late: the lease is over, so that another process may have concluded the task: its entry stays.
        """
        if is_late and await self.find(*notification.key) is not None:
            return
        await self._store_once(notification, FIRST_TRY_SECONDS)

    async def find(self, user_id: str, task_id: str) -> HistoryEntry | None:
        """Return the task's history entry; None also if the cache cannot be read."""
        entries = self._entries
        if entries is None:
            return None
        return await self._guard.call("find", lambda: entries.find(user_id, task_id, _now_ms()), None)

    def is_trim_due(self) -> bool:
        """Return True at random, for a share of the writes: a user may never read the history, which would trim it."""
        return self._entries is not None and self._chance() < TRIM_SHARE

    async def trim(self, user_id: str) -> None:
        """Remove entries beyond what is retained."""
        entries = self._entries
        if entries is not None:
            await self._guard.call("trim", lambda: entries.trim(user_id, _now_ms()), None)

    def resume(self) -> None:
        """Note that the cache works again."""
        self._guard.resume()
        self._slow_until = float("-inf")
        self._is_writable = True

    def _is_unwritable(self) -> bool:
        return not self._is_writable

    async def _store_once(self, notification: PendingNotification, seconds: float) -> None:
        if not notification.stored and self._entries is not None:
            await self._try(self._entries, notification, seconds)

    async def _try(self, entries: NotificationHistory, notification: PendingNotification, seconds: float) -> bool:
        started = self._clock()
        try:
            await self._store_result(notification, seconds)
            await entries.write(
                notification.user_id,
                notification.entry,
                _now_ms(),
                field=notification.field,
                deadline_seconds=seconds,
            )
        except TransientError as error:
            self._failed(error, seconds, is_timeout=self._clock() >= started + seconds / 2)
            return False
        except PermanentError as error:  # no later try would be accepted either
            logger.error(  # noqa: TRY400 — the gateway's own error says all
                "a notification cannot be stored: %s", error, extra={"action": "history", "operation": "write"}
            )
            HISTORY_UNAVAILABLE.labels("refused").inc()
        else:
            self._is_writable = True
            self._guard.resume()
            if self._clock() < started + FIRST_TRY_SECONDS:
                self._slow_until = float("-inf")
        notification.stored = True
        return True

    async def _store_result(self, notification: PendingNotification, seconds: float) -> None:
        """Store the whole result before the notification that refers to it."""
        if notification.result is None or self._results is None:
            return
        # In a thread, since the largest take milliseconds.
        compressed = await asyncio.to_thread(compress, notification.result)
        task_id = notification.entry.notification.task_id
        try:
            await self._results.write(notification.user_id, task_id, compressed, deadline_seconds=seconds)
        except PermanentError as error:  # no later try would be accepted either, and the final state must be stored
            HISTORY_UNAVAILABLE.labels("refused").inc()
            logger.error(  # noqa: TRY400 — the gateway's own error says all
                "a result cannot be stored: %s", error, extra={"action": "history", "operation": "result"}
            )
        notification.result = None

    def _failed(self, error: TransientError, seconds: float, *, is_timeout: bool) -> None:
        if not self._guard.is_paused:
            logger.warning(
                "a notification cannot be stored yet: %s", error, extra={"action": "history", "operation": "write"}
            )
        HISTORY_UNAVAILABLE.labels("write").inc()
        self._slow_until = self._clock() + PAUSE_SECONDS
        # A short first write that timed out means that the cache is slow, not that it is down.
        if seconds >= TRY_SECONDS or not is_timeout:
            self._guard.pause()
            self._is_writable = False


def _now_ms() -> int:
    return int(time.time() * 1000)
