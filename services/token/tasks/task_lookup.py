"""Finds the state of a task: the notification history first, then the status snapshot, then the id alone.

Keys are built from the verified user id, so the id of another user's task is one of which nothing is stored.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.common.momento.history import NotificationHistory
from services.common.momento.task_status import TaskStatuses
from services.token.history.history_reader import HistoryReader
from services.token.tasks.task_state import Presumption, TaskState, presume

READ_SECONDS = 2.0
"""The deadline of each read, so that several fit into the request's time limit."""


@dataclass(frozen=True, slots=True)
class TaskLookup:
    """Reads the state of tasks. It uses at most two cache operations for small entries. Raises `Momento`'s errors."""

    history: NotificationHistory
    statuses: TaskStatuses
    reader: HistoryReader
    clock: Callable[[], float] = time.time

    async def find(self, user_id: str, task_id: str) -> TaskState | None:
        """Return the state of the user's task, or None if there can be none with this id."""
        return await self.find_final(user_id, task_id) or await self._find_open(user_id, task_id)

    async def find_final(self, user_id: str, task_id: str) -> TaskState | None:
        """Return the state of a task whose final notification is in the history."""
        entry = await self.history.find(user_id, task_id, self._now_ms(), deadline_seconds=READ_SECONDS)
        return TaskState.from_notification(entry.notification) if entry is not None else None

    async def _find_open(self, user_id: str, task_id: str) -> TaskState | None:
        snapshot = await self.statuses.find(user_id, task_id, deadline_seconds=READ_SECONDS)
        state = TaskState.from_snapshot(task_id, snapshot) if snapshot is not None else None
        if state is not None:
            return state
        presumption = presume(task_id, self._now_ms())
        if presumption is Presumption.UNKNOWN:
            return None
        if presumption is Presumption.QUEUED_UNLESS_TRIMMED and await self.reader.is_full(user_id):
            return None
        return TaskState.queued(task_id)

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)
