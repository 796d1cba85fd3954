"""Reads users' histories, within limits: reads must not use up the cache quota that writes need.

A response is never older than its request. A client reads right after it has subscribed; a notification that was stored
and published just before would be missing in both if an earlier result were returned. So a request never shares a read
that started before it, but waits for the next one.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from services.common.background import Background
from services.common.momento.errors import MomentoQuotaExceeded
from services.common.momento.history import HistorySnapshot, NotificationHistory, Page
from services.common.momento.history_cursor import Cursor
from services.common.momento.read_markers import ReadMarkers
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.token.history.history_limits import FULL_READ_OPERATIONS, HistoryBusyError, ReadBudget, UserLimit
from services.token.metrics import HISTORY_OPERATIONS, HISTORY_REFUSED

READ_SECONDS = 2.0
"""The deadline of a read. Retries use the quota that writes need."""
INTERVAL_SECONDS = 0.5
"""The shortest time between the starts of two reads of one history."""
MARKER_OPERATIONS = 1
MAX_USERS = 50_000
FULL_SECONDS = 300.0
"""How long it is remembered whether a history is full. Reading a full one costs as much as 50 reads of a status."""


@dataclass(frozen=True, slots=True)
class History:
    """What is stored for a user at the time of a read."""

    snapshot: HistorySnapshot
    read_until_ms: int
    """The read marker, or 0."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """The response to a read."""

    page: Page
    read_until_ms: int


class HistoryReader:
    """Returns pages of users' histories."""

    def __init__(
        self,
        history: NotificationHistory,
        markers: ReadMarkers,
        limit: UserLimit,
        budget: ReadBudget,
        background: Background,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._markers = markers
        self._limit = limit
        self._budget = budget
        self._background = background
        self._clock = clock
        self._pending: dict[str, asyncio.Task[History]] = {}
        self._latest: dict[str, asyncio.Task[History]] = {}
        self._next_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=INTERVAL_SECONDS, timer=clock)
        self._is_full: TTLCache[str, bool] = TTLCache(MAX_USERS, ttl=FULL_SECONDS, timer=clock)

    async def page(self, user_id: str, cursor: Cursor) -> HistoryPage:
        """Return the notifications that the client has not read yet, and the read marker.

        :raises Problem: when this user reads too often.
        :raises TransientError: when the history cannot be read now.
        """
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            HISTORY_REFUSED.labels("user").inc()
            raise Problem(
                ProblemType.RATE_LIMITED,
                "You have read your notifications too often. Try again after the time in Retry-After.",
                retry_after_seconds=wait_seconds,
            )
        try:
            # Shielded, since other requests share the read.
            history = await asyncio.shield(self._next_read(user_id))
        except HistoryBusyError:
            HISTORY_REFUSED.labels("replica").inc()
            raise
        return HistoryPage(history.snapshot.page(cursor), history.read_until_ms)

    async def is_full(self, user_id: str) -> bool:
        """Return whether earlier entries of the user may have been removed, as of the last minutes.

        :raises TransientError: when the history cannot be read now.
        """
        is_full = self._is_full.get(user_id)
        if is_full is None:
            is_full = (await asyncio.shield(self._next_read(user_id))).snapshot.is_full
        return is_full

    def _next_read(self, user_id: str) -> asyncio.Task[History]:
        task = self._pending.get(user_id)
        if task is None:
            work = self._read(user_id, self._latest.get(user_id))
            task = self._background.spawn("history", work, may_fail=True)
            self._pending[user_id] = self._latest[user_id] = task
            task.add_done_callback(lambda ended: self._discard(user_id, ended))
        return task

    def _discard(self, user_id: str, task: asyncio.Task[History]) -> None:
        for tasks in (self._pending, self._latest):
            if tasks.get(user_id) is task:
                del tasks[user_id]

    async def _read(self, user_id: str, previous: asyncio.Task[History] | None) -> History:
        if previous is not None:
            await asyncio.wait({previous})
        await asyncio.sleep(max(0.0, self._next_at.get(user_id, 0.0) - self._clock()))
        async with self._budget.read() as cost:
            del self._pending[user_id]  # later requests need a later read
            self._next_at[user_id] = self._clock() + INTERVAL_SECONDS
            try:
                read_until_ms = await self._markers.find(user_id, deadline_seconds=READ_SECONDS)
                snapshot = await self._history.read(user_id, int(time.time() * 1000), deadline_seconds=READ_SECONDS)
            except MomentoQuotaExceeded:
                cost.operations = FULL_READ_OPERATIONS  # leave the remaining quota to the writes
                raise
            cost.operations = snapshot.operations + MARKER_OPERATIONS
            HISTORY_OPERATIONS.inc(cost.operations)
        self._is_full[user_id] = snapshot.is_full
        self._limit.charge(user_id, cost.operations)
        return History(snapshot, read_until_ms)
