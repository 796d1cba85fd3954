"""The circuit breaker: no task is received while notifications cannot be delivered.

A message is acknowledged when its notification is stored and published. SQS counts each delivery and moves a message
away, silently, after `maxReceiveCount` of them; an outage of the topics or of the cache may last for longer than those.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from services.common.errors import PermanentError, Transient
from services.common.momento import Momento
from services.processor.metrics import RECEIVING_PAUSED

logger = logging.getLogger(__name__)

FAILURES = 2
"""Notifications that could not be delivered, one after another, before receiving pauses."""
PROBE_TOPIC = "notification-api-probe"
"""No user's, whose topics are named after a `sub`. The dictionary that a probe writes has this name, too."""
PROBE_TTL_SECONDS = 60.0
PROBE_PAUSE_CAP_SECONDS = 10.0


class Breaker:
    """Opens when notifications cannot be delivered and closes when they can be again.

    :param on_closed: called when tasks may be received again.
    :param stores: whether notifications are stored, so that the cache has to work, too.
    """

    def __init__(self, momento: Momento, on_closed: Callable[[], None], *, stores: bool) -> None:
        self._momento = momento
        self._on_closed = on_closed
        self._stores = stores
        self._failures = 0
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether no task should be received."""
        return self._opened.is_set()

    def failed(self, error: Exception) -> None:
        """Note that a notification could not be stored or not be published for as long as it is tried."""
        self._failures += 1
        if self._failures >= FAILURES and not self.is_open:
            self._opened.set()
            RECEIVING_PAUSED.set(1)
            logger.error(
                "no tasks are received, since notifications cannot be delivered: %s", error, extra={"action": "breaker"}
            )

    def told(self) -> None:
        """Note that a notification was stored and published."""
        self._failures = 0
        if self.is_open:
            self._opened.clear()
            RECEIVING_PAUSED.set(0)
            logger.info("notifications can be delivered again: tasks are received", extra={"action": "breaker"})
            self._on_closed()

    async def check(self) -> None:
        """Publish something to a topic without subscribers, and write to the cache as notifications are stored.

        :raises Transient, PermanentError: when either cannot be done.
        """
        try:
            await self._momento.publish(PROBE_TOPIC, "probe")
            if self._stores:
                await self._momento.dictionary_set(PROBE_TOPIC, "probe", b"probe", ttl_seconds=PROBE_TTL_SECONDS)
        except (Transient, PermanentError) as error:
            self.failed(error)
            raise
        self.told()

    async def run(self) -> None:
        """Look, while it is open, whether it may close; until cancelled."""
        while True:
            await self._opened.wait()
            await self._until_closed()

    async def _until_closed(self) -> None:
        looks = 0
        while self.is_open:
            looks += 1
            longest = min(PROBE_PAUSE_CAP_SECONDS, 0.5 * 2 ** min(looks, 10))
            await asyncio.sleep(random.uniform(longest / 2, longest))
            try:
                await self.check()
            except (Transient, PermanentError) as error:
                logger.debug("notifications cannot be delivered yet: %s", error, extra={"action": "breaker"})
