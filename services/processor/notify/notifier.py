"""The notifier: stores and publishes final notifications, and publishes progress as far as the topic quota permits."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from notification_api import PermanentError, TransientError
from services.common.background import Background
from services.common.messages.notification import MAX_BYTES, Format, Notification, progress, user_topic
from services.common.messages.task_details import TaskDetails
from services.common.momento.cancel_requests import TaskKey
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.gateway import Momento
from services.processor.metrics import PROGRESS_DROPPED, PUBLISH_REFUSED, REPUBLISHED, published
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.pending import PendingNotification, PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.notify.status_writer import RunStatus

logger = logging.getLogger(__name__)

OUTAGE_RETRY_SECONDS = (0.5, 1.0)
"""The pause between two rounds. A round takes `notify_seconds`, unless it fails at once."""
PROGRESS_DEADLINE_SECONDS = 2.0
PROGRESS_INTERVAL_SECONDS = 1.0
"""The shortest time between two progress notifications of one task."""


class Notifier:
    """Delivers final notifications, and publishes progress.

    :param notify_seconds: how long storing and publishing a final notification are tried.
    :param progress_per_second: progress notifications of this process.
    """

    def __init__(
        self,
        momento: Momento,
        history: ResilientHistory,
        pending: PendingNotifications,
        breaker: CircuitBreaker,
        background: Background,
        form: Format,
        *,
        notify_seconds: float,
        progress_per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._momento = momento
        self._history = history
        self._pending = pending
        self._breaker = breaker
        self._background = background
        self._form = form
        self._notify_seconds = notify_seconds
        self._progress_interval = 1 / progress_per_second if progress_per_second else float("inf")
        self._clock = clock
        self._progress_from = float("-inf") if progress_per_second else float("inf")

    async def deliver(self, notification: PendingNotification, on_store_delayed: Callable[[], None]) -> None:
        """Store and publish, or whichever of these is missing. The notification is pending until both are done.

        During an outage it tries until it is cancelled, since a requeued message would use up its deliveries.

        :param on_store_delayed: called when the user is notified but the history cannot be written yet.
        :raises TransientError: when not both were done in time although other notifications can be delivered.
        """
        if notification.is_superseded:
            return
        self._pending.add(notification)
        was_stored = notification.stored
        while not notification.is_superseded:
            # An outage that ends during a round may leave too little time for a success in it.
            began_in_outage = self._breaker.is_open
            try:
                await self._try_to_deliver(notification, on_store_delayed)
                break
            except TransientError as error:
                if not (began_in_outage or await self._breaker.confirm_outage(error)):
                    raise
            await asyncio.sleep(random.uniform(*OUTAGE_RETRY_SECONDS))
        if not (was_stored or notification.is_superseded):
            self._breaker.record_success()
        self._pending.remove(notification)

    async def _try_to_deliver(self, notification: PendingNotification, on_store_delayed: Callable[[], None]) -> None:
        ends_at = time.monotonic() + self._notify_seconds
        if not await self._history.store_quickly(notification):
            await self._store_and_publish(notification, on_store_delayed)
        if notification.is_superseded:
            return
        # What was published before it was stored is published again, because a client that read the history in between
        # has missed both. Clients drop the copy, unless the notification is bare text.
        is_copy = notification.published_at is not None
        if not is_copy or self._form is Format.JSON:
            await self._publish(notification, max(1.0, ends_at - time.monotonic()))
            if is_copy:
                REPUBLISHED.inc()

    async def _store_and_publish(self, notification: PendingNotification, on_store_delayed: Callable[[], None]) -> None:
        """Try both at the same time, so that neither waits for the other's outage."""

        async def publish() -> None:
            if notification.result is not None:
                return  # the notification refers to it
            if notification.published_at is None and not notification.is_superseded:
                await self._publish(notification, self._notify_seconds)
            if not notification.stored:
                on_store_delayed()

        for error in await asyncio.gather(self._store(notification), publish(), return_exceptions=True):
            if error is not None:
                raise error

    async def _store(self, notification: PendingNotification) -> None:
        try:
            async with asyncio.timeout(self._notify_seconds):
                await self._history.store(notification)
        except TimeoutError:
            raise MomentoUnavailable(f"a notification was not stored within {self._notify_seconds:g} s") from None

    async def _publish(self, pending: PendingNotification, seconds: float) -> None:
        notification = pending.entry.notification
        try:
            await self._momento.publish(
                user_topic(pending.user_id), notification.encode(self._form), deadline_seconds=seconds
            )
        except PermanentError as error:  # no later try would be accepted either
            PUBLISH_REFUSED.inc()
            logger.error(  # noqa: TRY400 — the gateway's own error says all
                "a notification cannot be published: %s", error, extra={"action": "publish"}
            )
        else:
            published(notification.status.value).inc()
        pending.published_at = pending.published_at or time.time()

    async def publish_progress(self, user_id: str, notification: Notification) -> bool:
        """Publish progress if the quota permits, without retries; returns whether it was published."""
        now = self._clock()
        if now < self._progress_from:
            PROGRESS_DROPPED.inc()
            return False
        self._progress_from = now + self._progress_interval
        try:
            await self._momento.publish(
                user_topic(user_id), notification.encode(self._form), deadline_seconds=PROGRESS_DEADLINE_SECONDS
            )
        except (TransientError, PermanentError):
            PROGRESS_DROPPED.inc()
            return False
        published(notification.status.value).inc()
        return True

    def announce_retry(self, task: TaskKey, details: TaskDetails, next_attempt_at_ms: int) -> None:
        """Publish that a task waits for its next attempt, if the quota permits; the caller does not wait.

        A client of bare texts would take it for a result.
        """
        if self._form is Format.TEXT:
            return
        user_id, task_id = task
        text = f"Retrying: attempt {details.attempt} of {details.max_attempts}"
        notification = progress(task_id, text, int(time.time() * 1000), details, next_attempt_at_ms=next_attempt_at_ms)
        self._background.spawn("retry-notification", self.publish_progress(user_id, notification), may_fail=True)

    def now(self) -> float:
        """Return the time by which progress is limited."""
        return self._clock()


class ProgressPublisher:
    """Publishes the progress of one task, at most once a second, and notes the last one in its status."""

    def __init__(self, notifier: Notifier, status: RunStatus, task: TaskKey, details: TaskDetails) -> None:
        self._notifier = notifier
        self._status = status
        self._user_id, self._task_id = task
        self._details = details
        self._published_at = float("-inf")

    async def __call__(self, text: str, percent: float | None = None) -> bool:
        """Publish; returns False when it was dropped."""
        # A plain text, no longer than can be published: to encode a longer one would block the event loop.
        text = str.__getitem__(text, slice(MAX_BYTES + 1))
        self._status.progress(text, percent)
        if self._notifier.now() - self._published_at < PROGRESS_INTERVAL_SECONDS:
            PROGRESS_DROPPED.inc()
            return False
        self._published_at = self._notifier.now()
        notification = progress(self._task_id, text, int(time.time() * 1000), self._details, percent=percent)
        return await self._notifier.publish_progress(self._user_id, notification)
