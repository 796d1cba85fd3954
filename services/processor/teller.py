"""Telling users: the record first, then the topic; progress only as far as the topic quota permits."""

import time
from collections.abc import Callable

from services.common.errors import PermanentError, Transient
from services.common.momento import Momento
from services.common.notification import Format, Notification, progress
from services.common.user_topic import user_topic
from services.processor.breaker import Breaker
from services.processor.metrics import PROGRESS_DROPPED, published
from services.processor.record import Record

PROGRESS_DEADLINE_SECONDS = 2.0
PROGRESS_INTERVAL_SECONDS = 1.0
"""The shortest time between two pieces of progress of one task."""


class Teller:
    """Publishes notifications to users' topics.

    :param notify_seconds: how long a final notification is tried.
    :param progress_per_second: progress notifications of this process.
    """

    def __init__(
        self,
        momento: Momento,
        record: Record,
        breaker: Breaker,
        form: Format,
        *,
        notify_seconds: float,
        progress_per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._momento = momento
        self._record = record
        self._breaker = breaker
        self._form = form
        self._notify_seconds = notify_seconds
        self._progress_interval = 1 / progress_per_second if progress_per_second else float("inf")
        self._clock = clock
        self._progress_from = float("-inf") if progress_per_second else float("inf")

    async def final(self, user_id: str, notification: Notification) -> None:
        """Record and publish.

        :raises Transient, PermanentError: when it could not be published in time; it is recorded nevertheless.
        """
        try:
            await self._record.write(user_id, notification)
            await self.again(user_id, notification)
        except BaseException:  # a lost lease too: whoever has the message next must not compute the result again
            self._record.keep_untold(notification)
            raise

    async def again(self, user_id: str, notification: Notification) -> None:
        """Publish what is recorded already."""
        try:
            await self._momento.publish(
                user_topic(user_id), notification.encode(self._form), deadline_seconds=self._notify_seconds
            )
        except (Transient, PermanentError) as error:
            self._breaker.failed(error)
            raise
        self._breaker.told()
        self._record.told(notification.task_id)
        published(notification.status.value).inc()

    def progress_of(self, user_id: str, task_id: str) -> "ProgressTeller":
        """Return what a task tells its progress with."""
        return ProgressTeller(self, user_id, task_id)

    async def progress(self, user_id: str, task_id: str, text: str) -> bool:
        """Publish progress if the quota permits; it is never worth a retry."""
        now = self._clock()
        if now < self._progress_from:
            PROGRESS_DROPPED.inc()
            return False
        self._progress_from = now + self._progress_interval
        notification = progress(task_id, text, int(time.time() * 1000))
        try:
            await self._momento.publish(
                user_topic(user_id), notification.encode(self._form), deadline_seconds=PROGRESS_DEADLINE_SECONDS
            )
        except (Transient, PermanentError):
            PROGRESS_DROPPED.inc()
            return False
        published(notification.status.value).inc()
        return True

    def now(self) -> float:
        """Return the time that progress is measured by."""
        return self._clock()


class ProgressTeller:
    """Progress of one task, at most once a second."""

    def __init__(self, teller: Teller, user_id: str, task_id: str) -> None:
        self._teller = teller
        self._user_id = user_id
        self._task_id = task_id
        self._told_at = float("-inf")

    async def __call__(self, text: str) -> bool:
        """Tell; answers False when it was left out."""
        if self._teller.now() - self._told_at < PROGRESS_INTERVAL_SECONDS:
            PROGRESS_DROPPED.inc()
            return False
        self._told_at = self._teller.now()
        return await self._teller.progress(self._user_id, self._task_id, text)
