"""The client for scripts and threads, without `async`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from notification_api.client.api import CONNECT_SECONDS, WAIT_SECONDS, NotificationApi
from notification_api.client.id_tokens import TokenSource
from notification_api.client.notification import Notification
from notification_api.client.routes import HistoryPage
from notification_api.client.tasks import TaskResult, TaskStatus

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread. Use it as a context manager."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="notification-api", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what other threads run. A function for id tokens that does not return is not waited for."""
        with self._lock:
            self._is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(_cancel_all_tasks(), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop, and wait for its end. An exception here, such as Ctrl-C, cancels it.

        :raises RuntimeError: when the context has ended.
        """
        running = self._start(work)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:  # what is started after the last tasks were cancelled would be waited for without end
            if self._is_closed:
                work.close()
                raise RuntimeError("The client was closed")
            return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _cancel_all_tasks() -> None:
    """Let calls of other threads end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class SyncNotificationApi:
    """What `NotificationApi` does, blocking. Use it as a context manager; threads may share it.

    It runs the asynchronous client in an event loop of its own, in a thread that ends with the context.
    """

    def __init__(
        self, url: str, *, token: TokenSource, ingest_url: str | None = None, momento_endpoint: str | None = None
    ) -> None:
        self._api = NotificationApi(url, token=token, ingest_url=ingest_url, momento_endpoint=momento_endpoint)
        self._opened = ExitStack()
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        self._thread = self._opened.enter_context(LoopThread())
        self._run(self._api.__aenter__())
        self._opened.callback(lambda: self._run(self._api.__aexit__()))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def submit(
        self,
        type: str,  # noqa: A002 — the word that users of the API know
        data: Any,
        *,
        idempotency_key: str | None = None,
        delay_seconds: int | None = None,
        ttl_seconds: int | None = None,
    ) -> "SyncSubmittedTask":
        """Submit a task (`NotificationApi.submit`)."""
        options = {"delay_seconds": delay_seconds, "ttl_seconds": ttl_seconds}
        task = self._run(self._api.submit(type, data, idempotency_key=idempotency_key, **options))
        return SyncSubmittedTask(task.id, self)

    def notifications(self) -> Iterator[Notification]:
        """Return a blocking iterator (`NotificationApi.notifications`). It ends with the context."""
        return self._iterate(self._run(self._subscribed()))

    def connected(self, timeout: float = CONNECT_SECONDS) -> None:
        """Wait until notifications are received as they are sent (`NotificationApi.connected`)."""
        self._run(self._api.connected(timeout))

    def history(self) -> HistoryPage:
        """Return the notification history (`NotificationApi.history`)."""
        return self._run(self._api.history())

    def mark_read(self, until_ms: int) -> int:
        """Move the read marker (`NotificationApi.mark_read`)."""
        return self._run(self._api.mark_read(until_ms))

    def get_task(self, task_id: str) -> TaskStatus:
        """Return the status of a task."""
        return self._run(self._api.get_task(task_id))

    def result(self, task_id: str) -> TaskResult:
        """Return the whole result of a finished task."""
        return self._run(self._api.result(task_id))

    def cancel(self, task_id: str) -> TaskStatus:
        """Ask for a task to be cancelled (`NotificationApi.cancel`)."""
        return self._run(self._api.cancel(task_id))

    def finished(self, task_id: str, timeout: float = WAIT_SECONDS) -> TaskResult:
        """Wait until a task has finished (`NotificationApi.finished`)."""
        return self._run(self._api.finished(task_id, timeout))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            work.close()
            raise RuntimeError("Open the client first: `with SyncNotificationApi(…) as api:`")
        return self._thread.run(work)

    async def _subscribed(self) -> AsyncIterator[Notification]:
        return self._api.notifications()

    def _iterate(self, notifications: AsyncIterator[Notification]) -> Iterator[Notification]:
        while True:
            try:
                yield self._run(_next(notifications))
            except (StopAsyncIteration, CancelledError):
                return


async def _next(notifications: AsyncIterator[Notification]) -> Notification:
    return await anext(notifications)


@dataclass(frozen=True, slots=True)
class SyncSubmittedTask:
    """A task that was submitted. What `SubmittedTask` does, blocking."""

    id: str
    _api: SyncNotificationApi

    def finished(self, timeout: float = WAIT_SECONDS) -> TaskResult:
        """Wait until the task has finished (`NotificationApi.finished`)."""
        return self._api.finished(self.id, timeout)

    def status(self) -> TaskStatus:
        """Return the task's status."""
        return self._api.get_task(self.id)

    def result(self) -> TaskResult:
        """Return the whole result of the finished task."""
        return self._api.result(self.id)

    def cancel(self) -> TaskStatus:
        """Ask for the task to be cancelled (`NotificationApi.cancel`)."""
        return self._api.cancel(self.id)
