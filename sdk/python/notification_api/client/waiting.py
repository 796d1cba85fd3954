"""Waits for the end of a task: by its notification, and by its status where no stream is open or one was lost."""

import asyncio
import logging
import random
from itertools import count
from typing import Any, NoReturn

from notification_api.client.errors import (
    NotificationApiError,
    SignedOutError,
    TaskCancelledError,
    TaskEndedError,
    TaskExpiredError,
    TaskFailedError,
)
from notification_api.client.notification import Notification
from notification_api.client.retry import with_retries
from notification_api.client.routes import Routes
from notification_api.client.subscription.feed import Feed
from notification_api.client.subscription.subscription import Subscription
from notification_api.client.tasks import TaskResult, TaskStatus

logger = logging.getLogger(__name__)

Ending = Notification | TaskStatus

FIRST_POLL_SECONDS = 2.0
LONGEST_POLL_SECONDS = 15.0
"""While no stream is open."""
LONGEST_POLL_SECONDS_OPEN = 60.0
"""While one is open, which brings the notification earlier. A read costs an operation of the cache."""
ERRORS: dict[str, type[TaskEndedError]] = {
    "failed": TaskFailedError,
    "cancelled": TaskCancelledError,
    "expired": TaskExpiredError,
}


def poll_pause(polls: int, jitter: float, *, is_open: bool) -> float:
    """Return the seconds until the status is read.

    :param polls: made so far.
    :param jitter: 0 to 1.
    """
    first, longest = (4.0, LONGEST_POLL_SECONDS_OPEN) if is_open else (FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS)
    return min(longest, first * 2.0**polls) * (0.75 + jitter / 2)


class TaskWaiter:
    """Returns the results of tasks as soon as they have ended."""

    def __init__(self, routes: Routes, feed: Feed, subscription: Subscription) -> None:
        self._routes = routes
        self._feed = feed
        self._subscription = subscription

    async def result(self, task_id: str, timeout_seconds: float) -> TaskResult:
        """Wait until the task has ended.

        :raises TaskEndedError: when it ended otherwise than finished.
        :raises TimeoutError: when it did not end in time; its cause is why no notification could arrive, if so.
        """
        self._subscription.start()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._result_of(task_id, await self._ending(task_id))
        except TimeoutError:
            message = f"The task {task_id} has not ended within {timeout_seconds:g} s"
            raise TimeoutError(message) from self._subscription.failure

    async def _ending(self, task_id: str) -> Ending:
        with self._feed.ending(task_id) as notified:
            polled = asyncio.create_task(self._final_status(task_id))
            either: set[asyncio.Future[Any]] = {notified, polled}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                return await (notified if notified.done() else polled)
            finally:
                polled.cancel()
                await asyncio.gather(polled, return_exceptions=True)

    async def _final_status(self, task_id: str) -> TaskStatus:
        for polls in count():
            await asyncio.sleep(poll_pause(polls, random.random(), is_open=self._subscription.is_open))
            status = await self._poll(task_id)
            if status is not None and status.is_final:
                return status
        raise AssertionError("the loop ends by returning or raising")

    async def _poll(self, task_id: str) -> TaskStatus | None:
        """Return None when the status cannot be read now. The notification may arrive all the same."""
        try:
            return await self._routes.task(task_id)
        except SignedOutError:
            raise
        except NotificationApiError as error:
            logger.warning("the status of a task cannot be read: %s", error)
            return None

    async def _result_of(self, task_id: str, ending: Ending) -> TaskResult:
        if ending.status != "finished":
            _raise_ended(task_id, ending)
        if ending.truncated:
            return await with_retries(lambda: self._routes.result(task_id))
        return TaskResult(task_id=task_id, message=ending.message or "", data=ending.data)


def _raise_ended(task_id: str, ending: Ending) -> NoReturn:
    message = f"The task {task_id} is {ending.status}: {ending.message}"
    raise ERRORS[str(ending.status)](message, task_id, detail=ending.error, reason=ending.reason)
