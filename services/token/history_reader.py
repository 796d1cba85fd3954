"""Reads users' histories, within limits: reads must not use up the cache quota that writes need.

A response is never older than its request. A client reads right after it has subscribed; a notification that was stored
and published just before would be missing in both if an earlier result were returned. So a request never shares a read
that started before it, but waits for the next one.
"""

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus

from cachetools import TTLCache

from services.common.background import Background
from services.common.momento.errors import MomentoQuotaExceeded
from services.common.momento.history import HistorySnapshot, NotificationHistory, Page
from services.common.momento.history_cursor import Cursor
from services.common.web.problem import Problem
from services.token.history_limits import FULL_READ_OPERATIONS, HistoryBusyError, ReadBudget, UserLimit
from services.token.metrics import HISTORY_OPERATIONS, HISTORY_REFUSED

READ_SECONDS = 2.0
"""The deadline of a read. Retries use the quota that writes need."""
INTERVAL_SECONDS = 0.5
"""The shortest time between the starts of two reads of one history."""
MAX_USERS = 50_000


class HistoryReader:
    """Returns pages of users' histories."""

    def __init__(
        self,
        history: NotificationHistory,
        limit: UserLimit,
        budget: ReadBudget,
        background: Background,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._limit = limit
        self._budget = budget
        self._background = background
        self._clock = clock
        self._pending: dict[str, asyncio.Task[HistorySnapshot]] = {}
        self._latest: dict[str, asyncio.Task[HistorySnapshot]] = {}
        self._next_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=INTERVAL_SECONDS, timer=clock)

    async def page(self, user_id: str, cursor: Cursor) -> Page:
        """Return the notifications that the user has not read yet.

        :raises Problem: when this user reads too often.
        :raises TransientError: when the history cannot be read now.
        """
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            HISTORY_REFUSED.labels("user").inc()
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "You have read your notifications too often. Try again after the time in Retry-After.",
                headers={"Retry-After": str(math.ceil(wait_seconds))},
            )
        try:
            # Shielded, since other requests share the read.
            snapshot = await asyncio.shield(self._next_read(user_id))
        except HistoryBusyError:
            HISTORY_REFUSED.labels("replica").inc()
            raise
        return snapshot.page(cursor)

    def _next_read(self, user_id: str) -> asyncio.Task[HistorySnapshot]:
        task = self._pending.get(user_id)
        if task is None:
            work = self._read(user_id, self._latest.get(user_id))
            task = self._background.spawn("history", work, may_fail=True)
            self._pending[user_id] = self._latest[user_id] = task
            task.add_done_callback(lambda ended: self._discard(user_id, ended))
        return task

    def _discard(self, user_id: str, task: asyncio.Task[HistorySnapshot]) -> None:
        for tasks in (self._pending, self._latest):
            if tasks.get(user_id) is task:
                del tasks[user_id]

    async def _read(self, user_id: str, previous: asyncio.Task[HistorySnapshot] | None) -> HistorySnapshot:
        if previous is not None:
            await asyncio.wait({previous})
        await asyncio.sleep(max(0.0, self._next_at.get(user_id, 0.0) - self._clock()))
        async with self._budget.read() as cost:
            del self._pending[user_id]  # later requests need a later read
            self._next_at[user_id] = self._clock() + INTERVAL_SECONDS
            try:
                snapshot = await self._history.read(user_id, int(time.time() * 1000), deadline_seconds=READ_SECONDS)
            except MomentoQuotaExceeded:
                cost.operations = FULL_READ_OPERATIONS  # leave the remaining quota to the writes
                raise
            cost.operations = snapshot.operations
            HISTORY_OPERATIONS.inc(snapshot.operations)
        self._limit.charge(user_id, snapshot.operations)
        return snapshot
