"""The circuit breaker: no task is received while news cannot be told, since each delivery spends one of the queue's.

SQS moves a message away, silently, after `maxReceiveCount` deliveries; an outage may last for longer than those.
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
"""News that could not be told, one after another, before receiving pauses."""
PROBE_TOPIC = "notification-api-probe"
"""No user's, whose topics are named after a `sub`."""
PROBE_PAUSE_CAP_SECONDS = 10.0


class Breaker:
    """Opens when news cannot be told and closes when something can be published again.

    :param on_closed: called when tasks may be received again.
    """

    def __init__(self, momento: Momento, on_closed: Callable[[], None]) -> None:
        self._momento = momento
        self._on_closed = on_closed
        self._failures = 0
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether no task should be received."""
        return self._opened.is_set()

    def failed(self, error: Exception) -> None:
        """Note that news could not be told for as long as it is tried."""
        self._failures += 1
        if self._failures >= FAILURES and not self.is_open:
            self._opened.set()
            RECEIVING_PAUSED.set(1)
            logger.error("no tasks are received, since news cannot be told: %s", error, extra={"action": "breaker"})

    def told(self) -> None:
        """Note that something was published."""
        self._failures = 0
        if self.is_open:
            self._opened.clear()
            RECEIVING_PAUSED.set(0)
            logger.info("news can be told again: tasks are received", extra={"action": "breaker"})
            self._on_closed()

    async def check(self) -> None:
        """Publish something to nobody.

        :raises Transient, PermanentError: when that cannot be done.
        """
        try:
            await self._momento.publish(PROBE_TOPIC, "probe")
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
                logger.debug("news cannot be told yet: %s", error, extra={"action": "breaker"})
