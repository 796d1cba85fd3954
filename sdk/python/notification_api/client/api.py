"""The asynchronous client of one user of a stage."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from notification_api.client.http import HttpClient
from notification_api.client.id_tokens import IdTokens, TokenSource
from notification_api.client.notification import Notification
from notification_api.client.retry import with_retries
from notification_api.client.routes import HistoryPage, Routes
from notification_api.client.subscription.disposable_token import emulator_address
from notification_api.client.subscription.feed import Feed
from notification_api.client.subscription.subscription import Subscription
from notification_api.client.tasks import TaskResult, TaskStatus
from notification_api.client.waiting import TaskWaiter

WAIT_SECONDS = 60.0
CONNECT_SECONDS = 30.0


class NotificationApi:
    """Submits tasks as one user and receives that user's notifications. Use it as an asynchronous context manager.

    All calls raise `NotificationApiError`. Calls that fail for now are tried again, up to 8 times within 60 s.

    :param url: base URL of the API, such as `https://api.example.com`.
    :param token: the user's id token, or a function that returns a valid one; it is called again when a token is
        refused. A plain function runs in a thread.
    :param ingest_url: where `POST /task` has another address, as inside a cluster, without the Ingress.
    :param momento_endpoint: `http://host:port` of a Momento emulator, where the address in its tokens is not reachable.
    """

    def __init__(
        self, url: str, *, token: TokenSource, ingest_url: str | None = None, momento_endpoint: str | None = None
    ) -> None:
        self._http = HttpClient(IdTokens(token))
        self._routes = Routes(self._http, url, ingest_url)
        self._feed = Feed()
        emulator = None if momento_endpoint is None else emulator_address(momento_endpoint)
        self._subscription = Subscription(self._routes, self._feed, emulator)
        self._waiter = TaskWaiter(self._routes, self._feed, self._subscription)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._opened.enter_async_context(self._http)
        self._opened.push_async_callback(self._subscription.close)
        self._opened.callback(self._feed.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def submit(
        self,
        type: str,  # noqa: A002 — the word that users of the API know
        data: Any,
        *,
        idempotency_key: str | None = None,
        delay_seconds: int | None = None,
        ttl_seconds: int | None = None,
    ) -> "SubmittedTask":
        """Submit a task. Every try has the same idempotency key, so the task is submitted once.

        :param type: the task type, `default` for the only type of a stage without types.
        :param data: JSON; text that is not blank, or any other value but null.
        :param idempotency_key: makes the task's id the same for 24 h, also over calls. Default: a random one.
        :param delay_seconds: the task starts so much later, up to 900.
        :param ttl_seconds: the task expires unless it starts within this time, up to 86,400.
        """
        options = {"delaySeconds": delay_seconds, "ttlSeconds": ttl_seconds}
        body = {"type": type, "data": data} | {name: value for name, value in options.items() if value is not None}
        key = secrets.token_hex(16) if idempotency_key is None else idempotency_key
        task_id = await with_retries(lambda: self._routes.submit(body, key))
        self._feed.add_submitted(task_id)
        return SubmittedTask(task_id, self)

    def notifications(self) -> AsyncIterator[Notification]:
        """Return an iterator of all notifications of the user from now on, each once, in the order of arrival.

        Those that were missed while disconnected are read from the notification history. Call it before `submit` to
        see all of a task. The iterator is for one consumer, and holds 1,000 notifications for it; after that it raises
        `SlowConsumerError`. Progress that is missed while disconnected is lost.

        :raises SignedOutError: from the iterator, when the id token is refused and there is no other.
        """
        self._subscription.start()
        return self._feed.notifications()

    async def connected(self, timeout: float = CONNECT_SECONDS) -> None:  # noqa: ASYNC109 — a limit of a wait
        """Wait until notifications are received as they are sent. Nothing else requires this.

        :param timeout: seconds.
        :raises TimeoutError: when it takes longer; its cause is the last failure.
        """
        self._subscription.start()
        try:
            async with asyncio.timeout(timeout):
                await self._subscription.opened()
        except TimeoutError:
            raise TimeoutError(f"There was no subscription within {timeout:g} s") from self._subscription.failure

    async def history(self) -> HistoryPage:
        """Return the user's final notifications of the last day, oldest first, and the read marker."""
        return await with_retries(lambda: self._routes.history(None))

    async def mark_read(self, until_ms: int) -> int:
        """Move the read marker; return where it is.

        :param until_ms: the `time_ms` of the latest notification that the user has read.
        """
        return await with_retries(lambda: self._routes.mark_read(until_ms))

    async def get_task(self, task_id: str) -> TaskStatus:
        """Return the status of a task of the user."""
        return await with_retries(lambda: self._routes.task(task_id))

    async def result(self, task_id: str) -> TaskResult:
        """Return the whole result of a finished task."""
        return await with_retries(lambda: self._routes.result(task_id))

    async def cancel(self, task_id: str) -> TaskStatus:
        """Ask for a task to be cancelled; return whether it was `queued` or `running`.

        :raises ServiceError: with the code `conflict` when the task has ended.
        """
        return await with_retries(lambda: self._routes.cancel(task_id))

    async def finished(self, task_id: str, timeout: float = WAIT_SECONDS) -> TaskResult:  # noqa: ASYNC109
        """Wait until a task has finished, and return its result.

        :param timeout: seconds.
        :raises TaskFailedError, TaskCancelledError, TaskExpiredError: when the task ended so.
        :raises TimeoutError: when it has not ended in time.
        """
        return await self._waiter.result(task_id, timeout)


@dataclass(frozen=True, slots=True)
class SubmittedTask:
    """A task that was submitted."""

    id: str
    _api: NotificationApi

    async def finished(self, timeout: float = WAIT_SECONDS) -> TaskResult:  # noqa: ASYNC109
        """Wait until the task has finished (`NotificationApi.finished`)."""
        return await self._api.finished(self.id, timeout)

    async def status(self) -> TaskStatus:
        """Return the task's status."""
        return await self._api.get_task(self.id)

    async def result(self) -> TaskResult:
        """Return the whole result of the finished task."""
        return await self._api.result(self.id)

    async def cancel(self) -> TaskStatus:
        """Ask for the task to be cancelled (`NotificationApi.cancel`)."""
        return await self._api.cancel(self.id)
