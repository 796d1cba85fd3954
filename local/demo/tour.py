"""What a task can do besides finishing: report progress, fail with a reason, be cancelled, expire, have a large result.

Uses the types of the built-in handlers (services/processor/echo.py).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from local.demo.errors import DemoError
from notification_api.client import Notification, NotificationApi, ServiceError

PATIENCE_SECONDS = 30.0
"""How long to wait for the notifications of a part of the tour."""
TTL_SECONDS = 1
UNKNOWN_TYPE = "unknown_type"
"""The reason of a failed task whose type has no handler."""
SKIPPED = "The processor runs other handlers than the built-in ones, so task types are not shown."

Print = Callable[[str], None]


@dataclass
class Tour:
    """Submits tasks of several types as one user and prints what becomes of them."""

    api: NotificationApi
    received: AsyncIterator[Notification]
    show: Print
    _names: dict[str, str] = field(default_factory=dict)
    """What to call each task."""
    _final: dict[str, Notification] = field(default_factory=dict)
    """The final notifications by task id."""
    _running: set[str] = field(default_factory=set)
    """Tasks that have reported progress."""
    _early: list[tuple[Notification, float]] = field(default_factory=list)
    """Notifications that arrived before the answer to their POST."""
    _started_at: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Show every part, or say why they cannot be shown.

        :raises DemoError: when a task ends otherwise than it should, or not in time.
        """
        self.show("\ntask types, with progress, a failure and a large result:")
        try:
            failure = await self._submit("failure", "failure", "a task that fails")
        except ServiceError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            self.show(SKIPPED)
            return
        await self._until(lambda: failure in self._final, "that fails")
        if self._final[failure].reason == UNKNOWN_TYPE:
            self.show(SKIPPED)
            return
        self._check(failure, "failed")
        await self._show_results()
        await self._show_cancel()

    async def _show_results(self) -> None:
        steps = await self._submit("steps", "steps", {"steps": 3})
        large = await self._submit("large", "large", {"kibibytes": 16})
        await self._until(lambda: {steps, large} <= self._final.keys(), "with a result")
        self._check(steps, "finished")
        self._check(large, "finished")
        size = len(json.dumps((await self.api.result(large)).data))
        self.show(f"GET /task/{large}/result: {size:,} bytes of data, which did not fit into the notification")

    async def _show_cancel(self) -> None:
        self.show("\na task that is cancelled, and one that expires because it has to wait too long:")
        long = await self._submit("long", "steps", {"steps": 60})
        await self._until(lambda: long in self._running, "that runs long")
        late = await self._submit("late", "steps", {"steps": 1}, ttl_seconds=TTL_SECONDS)
        await asyncio.sleep(TTL_SECONDS)
        accepted = await self.api.cancel(long)
        self.show(f"POST /task/{long}/cancel: 202, the task was {accepted.status}")
        await self._until(lambda: {long, late} <= self._final.keys(), "that is cancelled")
        for task_id in (long, late):
            self.show(f"GET /task/{task_id}: {describe((await self.api.get_task(task_id)).fields)}")
        self._check(long, "cancelled")
        self._check(late, "expired", "finished")  # another replica may be free

    async def _submit(self, name: str, task_type: str, data: Any, *, ttl_seconds: int | None = None) -> str:
        task = await self.api.submit(task_type, data, ttl_seconds=ttl_seconds)
        self._names[task.id] = name
        early, self._early = self._early, []
        for notification, seconds in early:
            self._take(notification, seconds)
        return task.id

    async def _until(self, is_done: Callable[[], bool], which: str) -> None:
        """Print notifications until the condition is true."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_done():
                    notification = await anext(self.received)
                    self._take(notification, time.monotonic() - self._started_at)
        except TimeoutError:
            raise DemoError(f"There was no notification of the task {which} within {PATIENCE_SECONDS:g} s.") from None

    def _take(self, notification: Notification, seconds: float) -> None:
        """Print a notification of a task, and remember it; `seconds` is when it arrived."""
        task_id = notification.task_id
        if task_id is None or task_id not in self._names:
            self._early.append((notification, seconds))
            return
        self.show(f"{seconds:6.2f} s  {self._names[task_id]:<8}  {describe(notification.fields)}")
        if notification.is_final:
            self._final[task_id] = notification
        else:
            self._running.add(task_id)

    def _check(self, task_id: str, *expected: str) -> None:
        status = self._final[task_id].status
        if status not in expected:
            raise DemoError(f"The task {self._names[task_id]} is {status}, not {' or '.join(expected)}.")


def describe(task: Mapping[str, Any]) -> str:
    """Describe a notification or a task's status in one line."""
    percent = f"{task['percent']:.0f} %, " if "percent" in task else ""
    reason = f" (reason: {task['reason']})" if "reason" in task else ""
    cut = "; its data is too large for a notification" if task.get("truncated") else ""
    return f"{task['status']:<9}  {percent}{task.get('message', '')}{reason}{cut}"
