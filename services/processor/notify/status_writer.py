"""Writes status snapshots of tasks that run for longer than a moment, so that a user can follow them.

Best effort: nothing waits for a write, and a write that fails is not repeated. Of each task, only the latest snapshot
counts.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

import orjson

from notification_api import PermanentError, TransientError
from services.common.background import Background
from services.common.messages.notification import Format, Notification
from services.common.messages.task_details import TaskDetails
from services.common.momento.cancel_requests import TaskKey
from services.common.momento.task_status import TaskStatuses
from services.processor.cache_guard import CacheGuard
from services.processor.metrics import STATUS_WRITES

logger = logging.getLogger(__name__)

WRITE_AFTER_SECONDS = 2.0
"""A task that ends earlier has no snapshot, and costs no cache call."""
INTERVAL_SECONDS = 2.0
"""The shortest time between two snapshots of one running task."""
WRITE_SECONDS = 1.0
"""The deadline of a write."""
BURST_SECONDS = 4.0
"""Writes may use the rate of this many seconds at once: tasks that start together also reach two seconds together."""
MAX_TEXT = 512
"""Characters of a progress text in a snapshot."""
MAX_WRITES = 200
"""Tasks whose snapshot is being written; those of further ones are dropped."""
MAX_KNOWN = 20_000
"""Tasks that are known to have a snapshot."""


class StatusWriter:
    """Writes snapshots.

    :param statuses: None if the history is switched off.
    :param per_second: snapshots of running tasks that this process may write; further ones are delayed.
    """

    def __init__(
        self,
        statuses: TaskStatuses | None,
        guard: CacheGuard,
        background: Background,
        *,
        per_second: float,
    ) -> None:
        self._statuses = statuses
        self._guard = guard
        self._background = background
        self._interval = 1 / per_second if per_second else float("inf")
        self._is_on = per_second > 0
        self._used_until = float("-inf")
        self._unwritten: dict[TaskKey, Mapping[str, Any]] = {}
        self._known: OrderedDict[TaskKey, None] = OrderedDict()

    def running(self, task: TaskKey, details: TaskDetails) -> "RunStatus":
        """Return a context manager that writes snapshots of a task that runs for the length of the block."""
        return RunStatus(self, task, details)

    def retrying(self, task: TaskKey, details: TaskDetails, next_attempt_at_ms: int) -> None:
        """Write that a task waits for its next attempt."""
        self.write(task, {"status": "queued", **details.fields(), "nextAttemptAt": next_attempt_at_ms})

    def concluded(self, user_id: str, notification: Notification, *, is_redelivery: bool) -> None:
        """Replace a snapshot by the final state, which may be removed from the history before the snapshot expires.

        :param is_redelivery: whether another process may have written a snapshot.
        """
        key = (user_id, notification.task_id)
        if key in self._known or is_redelivery:
            self._known.pop(key, None)
            self.write(key, orjson.loads(notification.encode(Format.JSON)))

    def may_write_now(self) -> bool:
        """Return whether the rate permits a snapshot of a running task, and count it."""
        if not self._is_on:
            return False
        now = time.monotonic()
        used_until = max(now, self._used_until) + self._interval
        if used_until > now + max(BURST_SECONDS, self._interval):
            return False
        self._used_until = used_until
        return True

    def write(self, key: TaskKey, snapshot: Mapping[str, Any]) -> None:
        """Write a snapshot in the background, after an earlier one of the task."""
        if self._statuses is None:
            return
        is_writing = key in self._unwritten
        if self._guard.is_paused or (not is_writing and len(self._unwritten) >= MAX_WRITES):
            STATUS_WRITES.labels("dropped").inc()
            return
        self._unwritten[key] = {**snapshot, "updatedAt": int(time.time() * 1000)}
        if not is_writing:
            self._background.spawn("task-status", self._write(self._statuses, key), may_fail=True)

    def note_snapshot(self, key: TaskKey) -> None:
        """Note that the task has a snapshot."""
        self._known[key] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _write(self, statuses: TaskStatuses, key: TaskKey) -> None:
        written: Mapping[str, Any] | None = None
        try:
            while self._unwritten[key] is not written:
                written = self._unwritten[key]
                try:
                    await statuses.write(*key, written, deadline_seconds=WRITE_SECONDS)
                    STATUS_WRITES.labels("ok").inc()
                except (TransientError, PermanentError) as error:
                    STATUS_WRITES.labels("error").inc()
                    logger.debug("a task's status was not written: %s", error, extra={"action": "status"})
        finally:
            del self._unwritten[key]


class RunStatus:
    """The status of one task while its handler runs."""

    def __init__(self, writer: StatusWriter, key: TaskKey, details: TaskDetails) -> None:
        self._writer = writer
        self._key = key
        self._details = details
        self._progress: dict[str, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._next_at = self._loop.time() + WRITE_AFTER_SECONDS
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(self._next_at, self._write)
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def progress(self, text: str, percent: float | None) -> None:
        """Note the task's last progress."""
        message = text[:MAX_TEXT].encode("utf-8", "replace").decode()
        self._progress = {"message": message} if percent is None else {"message": message, "percent": percent}
        self._schedule()

    def end(self) -> None:
        """Write no more snapshots of the running task."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._timer is None and not self._is_over:
            self._timer = self._loop.call_at(self._next_at, self._write)

    def _write(self) -> None:
        self._timer = None
        self._next_at = self._loop.time() + INTERVAL_SECONDS
        if not self._writer.may_write_now():
            self._schedule()
            return
        snapshot = {"status": "running", **self._details.fields()}
        if self._progress:
            snapshot["progress"] = self._progress
        self._writer.note_snapshot(self._key)
        self._writer.write(self._key, snapshot)
