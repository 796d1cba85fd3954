"""Quarantine: tasks that may have killed their process run one at a time, so that the next death has one suspect."""

import asyncio
import logging
import random
from contextlib import AbstractAsyncContextManager

from services.processor.metrics import ISOLATED, ISOLATIONS

logger = logging.getLogger(__name__)

MOST_HELD = 2
"""One that runs isolated and one that waits for it. Each that waits holds a slot, and other replicas may be idle."""
REQUEUE_SECONDS = 4.0
"""The longest pause before a requeued task may be received again; three times as long after each earlier requeue, since
idle replicas would have taken it by then."""
REQUEUE_CAP_SECONDS = 30.0


class Quarantine:
    """One suspect at a time; those that died in here before come last, since the others are more likely innocent."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._held = 0
        self._taken = False
        self._first_in_line = 0

    @property
    def is_full(self) -> bool:
        """Whether no further task should wait in this process if it can be requeued instead."""
        return self._held >= MOST_HELD

    def requeue_seconds(self, earlier: int) -> int:
        """Note that a task is requeued instead of waiting; answers after how long it may be received again.

        :param earlier: how often it was requeued before.
        """
        ISOLATIONS.labels("requeued").inc()
        logger.info("possible poison pill, requeued: others run isolated here", extra={"action": "isolation"})
        return round(random.uniform(1.0, min(REQUEUE_CAP_SECONDS, REQUEUE_SECONDS * 3 ** min(earlier, 5))))

    def alone(self, *, died_here: bool) -> AbstractAsyncContextManager[None]:
        """Return a block that waits for its turn, and keeps other suspects waiting until its end."""
        return _Alone(self, died_here=died_here)

    async def take(self, *, died_here: bool) -> None:
        """Wait for the turn; `release` ends it."""
        self._held += 1
        ISOLATED.inc()
        try:
            logger.warning(
                "possible poison pill: no end of its last attempt is known, it runs isolated",
                extra={"action": "isolation", "waitsFor": self._held - 1},
            )
            await self._take(died_here=died_here)
        except BaseException:
            self._let_go()
            raise

    async def release(self) -> None:
        """End the turn."""
        self._taken = False
        try:
            await asyncio.shield(self._wake_others())  # also where this task is cancelled
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._held -= 1
        ISOLATED.dec()

    async def _wake_others(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _take(self, *, died_here: bool) -> None:
        async with self._changed:
            self._first_in_line += not died_here
            try:
                await self._changed.wait_for(lambda: not self._taken and not (died_here and self._first_in_line))
                self._taken = True
            finally:
                self._first_in_line -= not died_here
                self._changed.notify_all()


class _Alone:
    """A class, since contextlib sets an attribute of an error that leaves its block, which a handler's may refuse."""

    __slots__ = ("_died_here", "_quarantine")

    def __init__(self, quarantine: Quarantine, *, died_here: bool) -> None:
        self._quarantine = quarantine
        self._died_here = died_here

    async def __aenter__(self) -> None:
        await self._quarantine.take(died_here=self._died_here)

    async def __aexit__(self, *_: object) -> None:
        await self._quarantine.release()
