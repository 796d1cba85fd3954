"""Reading users' histories, within limits: a flood of reads must not use up the cache quota of the writes.

No answer is older than its request. A page asks right after it has subscribed, and a notification that was stored and
published just before that would be in neither place if an earlier answer were given again. So requests never share a
read that has begun before them, but the next one, which begins a moment later.
"""

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus

from cachetools import TTLCache

from services.common.background import Background
from services.common.momento.errors import MomentoQuotaExceeded
from services.common.momento.history import History, NotificationHistory, Page
from services.common.momento.history_cursor import Cursor
from services.common.web.problem import Problem
from services.token.history_limits import FULL_READ_OPERATIONS, HistoryBusyError, ReadBudget, UserLimit
from services.token.metrics import HISTORY_OPERATIONS, HISTORY_REFUSED

READ_SECONDS = 2.0
"""How long Momento is tried for: retries use up the quota that writes need."""
INTERVAL_SECONDS = 0.5
"""The shortest time between the beginnings of two reads of one user's history."""
MAX_USERS = 50_000


class HistoryReader:
    """Answers pages of users' histories."""

    def __init__(
        self,
        record: NotificationHistory,
        limit: UserLimit,
        budget: ReadBudget,
        background: Background,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._limit = limit
        self._budget = budget
        self._background = background
        self._clock = clock
        self._not_begun: dict[str, asyncio.Task[History]] = {}
        self._latest: dict[str, asyncio.Task[History]] = {}
        self._next_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=INTERVAL_SECONDS, timer=clock)

    async def page(self, user_id: str, cursor: Cursor) -> Page:
        """Return what the user has not been given yet.

        :raises Problem: when this user asks too often.
        :raises Transient: when it cannot be read now.
        """
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            HISTORY_REFUSED.labels("user").inc()
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "You have asked for your notifications too often. Try again when Retry-After says.",
                headers={"Retry-After": str(math.ceil(wait_seconds))},
            )
        try:
            # A request that is given up leaves the others their read.
            history = await asyncio.shield(self._next_read(user_id))
        except HistoryBusyError:
            HISTORY_REFUSED.labels("replica").inc()
            raise
        return history.page(cursor)

    def _next_read(self, user_id: str) -> asyncio.Task[History]:
        task = self._not_begun.get(user_id)
        if task is None:
            work = self._read(user_id, self._latest.get(user_id))
            task = self._background.spawn("history", work, may_fail=True)
            self._not_begun[user_id] = self._latest[user_id] = task
            task.add_done_callback(lambda ended: self._forget(user_id, ended))
        return task

    def _forget(self, user_id: str, task: asyncio.Task[History]) -> None:
        for tasks in (self._not_begun, self._latest):
            if tasks.get(user_id) is task:
                del tasks[user_id]

    async def _read(self, user_id: str, before: asyncio.Task[History] | None) -> History:
        if before is not None:
            await asyncio.wait({before})
        await asyncio.sleep(max(0.0, self._next_at.get(user_id, 0.0) - self._clock()))
        async with self._budget.turn() as turn:
            del self._not_begun[user_id]  # requests that come from now on need a later read
            self._next_at[user_id] = self._clock() + INTERVAL_SECONDS
            try:
                history = await self._record.read(user_id, int(time.time() * 1000), deadline_seconds=READ_SECONDS)
            except MomentoQuotaExceeded:
                turn.operations = FULL_READ_OPERATIONS  # leave to the writes what there is
                raise
            turn.operations = history.operations
            HISTORY_OPERATIONS.inc(history.operations)
        self._limit.charge(user_id, history.operations)
        return history
