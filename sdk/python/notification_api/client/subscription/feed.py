"""Where received notifications go: each once, to every iterator and to who waits for the end of a task."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self
from weakref import WeakSet

from notification_api.client.errors import NotificationApiError, SlowConsumerError
from notification_api.client.notification import Notification
from notification_api.client.subscription.recent import Recent

MAX_WAITING = 1_000
"""Notifications that wait for a slow iterator; 4 MB at most."""
MAX_SEEN = 10_000
"""Above the 700 notifications of a user that the history keeps, so that a whole page of it is recognised."""
MAX_TASKS = 1_000


class NotificationQueue:
    """An asynchronous iterator of the notifications since it was created, in the order of their arrival.

    It is for one consumer. When 1,000 notifications wait, no more are added; the iterator returns those, and then
    raises `SlowConsumerError`, rather than skipping some silently.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Notification | Exception] = asyncio.Queue()
        self._has_ended = False

    def put(self, notification: Notification) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            self.end(SlowConsumerError(f"More than {MAX_WAITING} notifications were waiting: read them sooner"))
        elif not self._has_ended:
            self._waiting.put_nowait(notification)

    def end(self, error: Exception) -> None:
        """Make the iterator raise this, once it has returned what is waiting."""
        if not self._has_ended:
            self._has_ended = True
            self._waiting.put_nowait(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        item = await self._waiting.get()
        if isinstance(item, Exception):
            self._waiting.put_nowait(item)  # for the next call
            raise item
        return item


class Feed:
    """Distributes notifications. An iterator that nobody refers to any more receives none."""

    def __init__(self) -> None:
        self._seen: Recent[tuple[str, ...], None] = Recent(MAX_SEEN)
        self._submitted: Recent[str, None] = Recent(MAX_TASKS)
        self._endings: Recent[str, Notification] = Recent(MAX_TASKS)
        self._awaited: defaultdict[str, set[asyncio.Future[Notification]]] = defaultdict(set)
        self._queues: WeakSet[NotificationQueue] = WeakSet()
        self._error: Exception | None = None

    def notifications(self) -> NotificationQueue:
        """Return an iterator of what is published from now on."""
        queue = NotificationQueue()
        self._queues.add(queue)
        if self._error is not None:
            queue.end(self._error)
        return queue

    def add_submitted(self, task_id: str) -> None:
        """Note a task of this client."""
        self._submitted[task_id] = None

    def is_awaited(self, notification: Notification) -> bool:
        """Whether this client has submitted the task or waits for it."""
        return notification.task_id in self._submitted or notification.task_id in self._awaited

    def publish(self, notification: Notification) -> None:
        """Distribute a notification, unless it is a copy of an earlier one."""
        if not self.mark_seen(notification):
            return
        for queue in self._queues:
            queue.put(notification)
        if notification.task_id is not None and notification.is_final:
            self._endings[notification.task_id] = notification
            for future in self._awaited.get(notification.task_id, ()):
                if not future.done():
                    future.set_result(notification)

    def mark_seen(self, notification: Notification) -> bool:
        """Note a notification; return whether it is new."""
        key = notification.key
        if key is None:
            return True
        is_new = key not in self._seen
        self._seen[key] = None
        return is_new

    @contextmanager
    def ending(self, task_id: str) -> Iterator[asyncio.Future[Notification]]:
        """Wait for the final notification of a task, which may have arrived already."""
        future: asyncio.Future[Notification] = asyncio.get_running_loop().create_future()
        if task_id in self._endings:
            future.set_result(self._endings[task_id])
        elif self._error is not None:
            future.set_exception(self._error)
        self._awaited[task_id].add(future)
        try:
            yield future
        finally:
            self._awaited[task_id].discard(future)
            if not self._awaited[task_id]:
                del self._awaited[task_id]
            if not future.cancel():
                future.exception()  # it may not have been read

    def end(self, error: Exception) -> None:
        """Make every iterator and everybody who waits fail with this error."""
        self._error = error
        for queue in self._queues:
            queue.end(error)
        for waiting in self._awaited.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)

    def close(self) -> None:
        """End every iterator, and make everybody who waits fail: the client is closed."""
        for queue in self._queues:
            queue.end(StopAsyncIteration())
        self.end(NotificationApiError("The client was closed"))
