"""Isolation: tasks that may have killed their process run one at a time, so that a crash has one possible cause."""

import asyncio
import logging

from services.common.backoff import backoff_seconds
from services.processor.metrics import ISOLATED, ISOLATIONS

logger = logging.getLogger(__name__)

MAX_HELD = 2
"""One that runs isolated and one that waits for it. Each that waits takes a slot, while other replicas may be idle."""
REQUEUE_SECONDS = 4.0
"""The longest pause after the first requeue, before the task may be received again."""
REQUEUE_GROWTH = 3.0
"""The pause grows by this factor with each earlier requeue: an idle replica would have taken the task by then."""
REQUEUE_CAP_SECONDS = 30.0


class Isolation:
    """Runs one possible poison pill at a time in this process.

    Those that crashed while they ran isolated come last, since the others are more likely harmless.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._held = 0
        self._is_taken = False
        self._waiting_first = 0

    @property
    def is_full(self) -> bool:
        """Whether no further task should wait in this process if it can be requeued instead."""
        return self._held >= MAX_HELD

    def requeue_seconds(self, earlier: int) -> int:
        """Note that a task is requeued instead of waiting; returns after how long it may be received again.

        :param earlier: how often it was requeued before.
        """
        ISOLATIONS.labels("requeued").inc()
        logger.info("possible poison pill requeued: others run isolated here", extra={"action": "isolation"})
        return round(
            backoff_seconds(
                earlier + 1,
                base_seconds=REQUEUE_SECONDS,
                cap_seconds=REQUEUE_CAP_SECONDS,
                growth=REQUEUE_GROWTH,
                least_share=0.25,
            )
        )

    async def acquire(self, *, crashed_isolated: bool) -> None:
        """Wait for the turn; `release` ends it."""
        self._held += 1
        ISOLATED.inc()
        try:
            logger.warning(
                "possible poison pill: no end of its last attempt is known, it runs isolated",
                extra={"action": "isolation", "waitsFor": self._held - 1},
            )
            await self._wait(crashed_isolated=crashed_isolated)
        except BaseException:
            self._forget()
            raise

    async def release(self) -> None:
        """End the turn."""
        self._is_taken = False
        try:
            await asyncio.shield(self._notify_waiting())  # also if this task is cancelled
        finally:
            self._forget()

    def _forget(self) -> None:
        self._held -= 1
        ISOLATED.dec()

    async def _notify_waiting(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait(self, *, crashed_isolated: bool) -> None:
        async with self._changed:
            self._waiting_first += not crashed_isolated
            try:
                await self._changed.wait_for(
                    lambda: not self._is_taken and not (crashed_isolated and self._waiting_first)
                )
                self._is_taken = True
            finally:
                self._waiting_first -= not crashed_isolated
                self._changed.notify_all()
