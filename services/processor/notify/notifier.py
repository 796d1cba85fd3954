"""Delivering notifications: stored in the history and published; progress only as far as the topic quota permits."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from services.common.errors import PermanentError, Transient
from services.common.messages.notification import MAX_BYTES, Format, progress, user_topic
from services.common.momento.errors import MomentoUnavailable
from services.common.momento.gateway import Momento
from services.processor.metrics import PROGRESS_DROPPED, REFUSED, REPUBLISHED, published
from services.processor.notify.circuit_breaker import Breaker
from services.processor.notify.history import Record
from services.processor.notify.results import Result, Results

logger = logging.getLogger(__name__)

OUTAGE_RETRY_SECONDS = (0.5, 1.0)
"""Between two rounds. A round takes `notify_seconds`, unless it fails at once."""
PROGRESS_DEADLINE_SECONDS = 2.0
PROGRESS_INTERVAL_SECONDS = 1.0
"""The shortest time between two pieces of progress of one task."""


class Teller:
    """Delivers final notifications, and publishes progress.

    :param notify_seconds: how long storing and publishing a final notification are tried.
    :param progress_per_second: progress notifications of this process.
    """

    def __init__(
        self,
        momento: Momento,
        record: Record,
        results: Results,
        breaker: Breaker,
        form: Format,
        *,
        notify_seconds: float,
        progress_per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._momento = momento
        self._record = record
        self._results = results
        self._breaker = breaker
        self._form = form
        self._notify_seconds = notify_seconds
        self._progress_interval = 1 / progress_per_second if progress_per_second else float("inf")
        self._clock = clock
        self._progress_from = float("-inf") if progress_per_second else float("inf")

    async def deliver(self, result: Result, on_unstored: Callable[[], None]) -> None:
        """Store and publish, whatever of it is missing. The result is kept until both are done.

        In an outage it tries until it is cancelled, since a requeued message would use up its deliveries.

        :param on_unstored: called when the user is notified and the history cannot be written yet.
        :raises Transient: when not both were done in time, although other notifications can be delivered.
        """
        if result.is_superseded:
            return
        self._results.keep(result)
        was_stored = result.stored
        while not result.is_superseded:
            try:
                await self._deliver(result, on_unstored)
                break
            except Transient as error:
                if not await self._breaker.is_outage(error):
                    raise
            await asyncio.sleep(random.uniform(*OUTAGE_RETRY_SECONDS))
        if not (was_stored or result.is_superseded):
            self._breaker.told()
        self._results.forget(result)

    async def _deliver(self, result: Result, on_unstored: Callable[[], None]) -> None:
        ends_at = time.monotonic() + self._notify_seconds
        if not await self._record.store_quickly(result):
            await self._store_and_publish(result, on_unstored)
        if result.is_superseded:
            return
        # What was published before it was stored is published again: a client that read the history in between has
        # missed both. Clients drop the copy, unless it is bare text.
        if result.published_at is None or self._form is Format.JSON:
            is_copy = result.published_at is not None
            await self._publish(result, max(1.0, ends_at - time.monotonic()))
            if is_copy:
                REPUBLISHED.inc()

    async def _store_and_publish(self, result: Result, on_unstored: Callable[[], None]) -> None:
        """Try both at the same time, so that neither waits for the other's outage."""

        async def publish() -> None:
            if result.published_at is None and not result.is_superseded:
                await self._publish(result, self._notify_seconds)
            if not result.stored:
                on_unstored()

        for error in await asyncio.gather(self._store(result), publish(), return_exceptions=True):
            if error is not None:
                raise error

    async def _store(self, result: Result) -> None:
        try:
            async with asyncio.timeout(self._notify_seconds):
                await self._record.store(result)
        except TimeoutError:
            raise MomentoUnavailable(f"a notification was not stored within {self._notify_seconds:g} s") from None

    async def _publish(self, result: Result, seconds: float) -> None:
        notification = result.entry.notification
        try:
            await self._momento.publish(
                user_topic(result.user_id), notification.encode(self._form), deadline_seconds=seconds
            )
        except PermanentError as error:  # no later try would be taken either
            REFUSED.inc()
            logger.error(  # noqa: TRY400 — the gateway's own error says all
                "a notification cannot be published: %s", error, extra={"action": "publish"}
            )
        else:
            published(notification.status.value).inc()
        result.published_at = result.published_at or time.time()

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
        # A plain text, no longer than can be published: to encode a longer one would block the event loop.
        text = str.__getitem__(text, slice(MAX_BYTES + 1))
        if self._teller.now() - self._told_at < PROGRESS_INTERVAL_SECONDS:
            PROGRESS_DROPPED.inc()
            return False
        self._told_at = self._teller.now()
        return await self._teller.progress(self._user_id, self._task_id, text)
