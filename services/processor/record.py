"""The record as the processor uses it: a help, never a hindrance. Without the cache, delivery is at least once."""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from cachetools import TTLCache

from services.common.errors import PermanentError, Transient
from services.common.news_record import NEWEST, HistoryEntry, NewsRecord
from services.common.notification import MAX_BYTES, Notification
from services.processor.metrics import RECORD_UNAVAILABLE

logger = logging.getLogger(__name__)

R = TypeVar("R")

PAUSE_SECONDS = 5.0
"""How long the cache is left alone after a failure, so that tasks do not all wait for its deadline."""
MAX_UNTOLD = 2_000
UNTOLD_SECONDS = 86_400.0
"""Results that could not be told are remembered here too: an outage of Momento takes topics and cache together."""
TRIM_SHARE = 2 / NEWEST
"""The share of writes after which a user's record is trimmed, at random: a user's writes may come from any replica."""


class Record:
    """Remembers final notifications where it can.

    :param news: None where the record is switched off.
    :param chance: a random number from 0 to 1.
    """

    def __init__(
        self,
        news: NewsRecord | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._news = news
        self._clock = clock
        self._out_until = float("-inf")
        self._chance = chance
        self._untold: TTLCache[str, Notification] = TTLCache(MAX_UNTOLD, ttl=UNTOLD_SECONDS, timer=clock)

    async def write(self, user_id: str, notification: Notification) -> None:
        """Remember `notification`, and now and then remove what is more than is kept."""
        news = self._news
        if news is None:
            self.keep_untold(notification)
            return

        async def write() -> bool:
            await news.write(user_id, HistoryEntry(notification=notification), _now_ms())
            return True

        if not await self.guarded("write", write, otherwise=False):
            self.keep_untold(notification)  # a copy that comes meanwhile finds it here or nowhere
        if self._chance() < TRIM_SHARE:
            await self.guarded("trim", lambda: news.trim(user_id, _now_ms()), None)

    async def find(self, user_id: str, task_id: str) -> Notification | None:
        """Return what became of the task, as far as is known."""
        news = self._news
        untold = self._untold.get(task_id)
        if untold is not None or news is None:
            return untold
        entry = await self.guarded("find", lambda: news.find(user_id, task_id, _now_ms()), None)
        return None if entry is None else entry.notification

    def keep_untold(self, notification: Notification) -> None:
        """Remember it in this process as well: it could not be told, and perhaps not be written either."""
        self._untold[notification.task_id] = _as_told(notification)

    def told(self, task_id: str) -> None:
        """Note that the user knows, so that this process need not remember it beside the cache."""
        if task_id in self._untold:  # a `pop` would expire others first, at ten times the cost, for every task
            self._untold.pop(task_id, None)

    def is_untold(self, task_id: str) -> bool:
        """Tell whether the user is known not to know yet."""
        return task_id in self._untold

    async def guarded(self, operation: str, call: Callable[[], Awaitable[R]], otherwise: R) -> R:
        """Call the cache unless it has just failed; answer `otherwise`, and count it, when it is out."""
        if self._clock() >= self._out_until:
            try:
                return await call()
            except (Transient, PermanentError) as error:
                self._out_until = self._clock() + PAUSE_SECONDS
                logger.warning(
                    "the record cannot be used, delivery is at least once: %s",
                    error,
                    extra={"action": "record", "operation": operation},
                )
        RECORD_UNAVAILABLE.labels(operation).inc()
        return otherwise


def _as_told(notification: Notification) -> Notification:
    """Keep no more of a long text than can be told; one character too many says that it is to be cut."""
    return replace(notification, message=notification.message[: MAX_BYTES + 1])


def _now_ms() -> int:
    return int(time.time() * 1000)
