"""The notification history as the processor uses it, and a guard around the cache calls that may be left out."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.common.errors import PermanentError, Transient
from services.common.momento.history import NEWEST, HistoryEntry, NotificationHistory
from services.processor.metrics import RECORD_UNAVAILABLE
from services.processor.notify.results import Result

logger = logging.getLogger(__name__)

R = TypeVar("R")

PAUSE_SECONDS = 5.0
"""How long the cache is left alone after a failure, so that tasks do not all wait for its deadline."""
FIRST_TRY_SECONDS = 1.0
"""How long the first write may take, since the user waits for it."""
TRY_SECONDS = 5.0
RETRY_SECONDS = (0.2, 1.0)
"""Between two tries while the cache is out; one caller tries at a time."""
TRIM_SHARE = 2 / NEWEST
"""The share of writes after which a user's record is trimmed, at random: a user's writes may come from any replica."""


class Record:
    """Stores and finds history entries.

    :param news: None where the history is switched off.
    :param chance: a random number from 0 to 1.
    """

    def __init__(
        self,
        news: NotificationHistory | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._news = news
        self._clock = clock
        self._out_until = float("-inf")
        self._slow_until = float("-inf")
        self._is_writable = True
        self._chance = chance
        self._turn = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether notifications are stored at all."""
        return self._news is not None

    async def store_quickly(self, result: Result) -> bool:
        """Store `result` unless the cache is slow or out; answers whether it is stored, or never will be."""
        if result.stored or self._news is None:
            result.stored = True
            return True
        is_slow = self._clock() < max(self._slow_until, self._out_until)
        return not is_slow and await self._try(self._news, result, FIRST_TRY_SECONDS)

    async def store(self, result: Result) -> None:
        """Store `result`, trying until cancelled. While nothing can be written, one caller tries, the others wait."""
        while not (result.stored or result.is_superseded):
            if self._is_writable:
                await self._store_once(result, TRY_SECONDS)
                continue
            async with self._turn:
                await self._store_when_writable(result)

    async def _store_when_writable(self, result: Result) -> None:
        """Try for all that wait: the first success lets the others try as well."""
        if not (self._is_writable or result.is_superseded):
            await asyncio.sleep(random.uniform(*RETRY_SECONDS))
            await self._store_once(result, TRY_SECONDS)

    async def store_last(self, result: Result) -> None:
        """Try once more, where the process or its lease is about to end."""
        await self._store_once(result, FIRST_TRY_SECONDS)

    async def _store_once(self, result: Result, seconds: float) -> None:
        if not result.stored and self._news is not None:
            await self._try(self._news, result, seconds)

    async def find(self, user_id: str, task_id: str) -> HistoryEntry | None:
        """Return the task's history entry, as far as the cache says."""
        news = self._news
        if news is None:
            return None
        return await self.guarded("find", lambda: news.find(user_id, task_id, _now_ms()), None)

    def is_trim_due(self) -> bool:
        """Tell, now and then, that a history should be trimmed, since its user may never read it."""
        return self._news is not None and self._chance() < TRIM_SHARE

    async def trim(self, user_id: str) -> None:
        """Remove what is more than is retained."""
        news = self._news
        if news is not None:
            await self.guarded("trim", lambda: news.trim(user_id, _now_ms()), None)

    async def guarded(self, operation: str, call: Callable[[], Awaitable[R]], otherwise: R) -> R:
        """Call the cache unless it has just failed; answer `otherwise`, and count it, when it is out."""
        if not self._is_out:
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

    def available(self) -> None:
        """Note that the cache works again."""
        self._out_until = self._slow_until = float("-inf")
        self._is_writable = True

    @property
    def _is_out(self) -> bool:
        return self._clock() < self._out_until

    async def _try(self, news: NotificationHistory, result: Result, seconds: float) -> bool:
        started = self._clock()
        try:
            await news.write(result.user_id, result.entry, _now_ms(), field=result.field, deadline_seconds=seconds)
        except Transient as error:
            if not self._is_out:
                logger.warning(
                    "a notification cannot be stored yet: %s", error, extra={"action": "record", "operation": "write"}
                )
            RECORD_UNAVAILABLE.labels("write").inc()
            self._slow_until = self._clock() + PAUSE_SECONDS
            # A first write that used its time up says that the cache is slow, and not that it is out.
            if seconds >= TRY_SECONDS or self._clock() < started + seconds / 2:
                self._out_until = self._slow_until
                self._is_writable = False
            return False
        except PermanentError as error:  # no later try would be taken either
            logger.error(  # noqa: TRY400 — the gateway's own error says all
                "a notification cannot be stored: %s", error, extra={"action": "record", "operation": "write"}
            )
            RECORD_UNAVAILABLE.labels("refused").inc()
        else:
            self._is_writable = True
            self._out_until = float("-inf")
            if self._clock() < started + FIRST_TRY_SECONDS:
                self._slow_until = float("-inf")
        result.stored = True
        return True


def _now_ms() -> int:
    return int(time.time() * 1000)
