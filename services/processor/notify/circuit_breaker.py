"""The circuit breaker: no task is received while notifications cannot be delivered.

A message is acknowledged when its notification is stored and published. SQS counts each delivery and moves a message
away, silently, after `maxReceiveCount` of them; an outage of the topics or of the cache may last for longer than those.
So messages that are held when the breaker opens stay held, and a process that starts in an outage receives none.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from services.common.errors import PermanentError, Transient
from services.common.momento.errors import MomentoKeyRefused
from services.common.momento.gateway import Momento
from services.processor.metrics import RECEIVING_PAUSED

logger = logging.getLogger(__name__)

PROBE_TOPIC = "notification-api-probe"
"""No user's, whose topics are named after a `sub`. The dictionary that a probe writes has this name, too."""
PROBE_TTL_SECONDS = 60.0
PROBE_PAUSE_CAP_SECONDS = 5.0
NOT_YET_SECONDS = 0.1


class Breaker:
    """Opens when notifications cannot be delivered and closes when they can be again. It is open until a first probe.

    :param on_closed: called when tasks may be received.
    :param stores: whether notifications are stored, so that the cache has to work, too.
    """

    def __init__(self, momento: Momento, on_closed: Callable[[], None], *, stores: bool) -> None:
        self._momento = momento
        self._on_closed = on_closed
        self._stores = stores
        self._opened = asyncio.Event()
        self._opened.set()
        self._closed = asyncio.Event()
        self._is_outage = False
        self._cause = ""
        self._probing = asyncio.Lock()
        RECEIVING_PAUSED.set(0)

    @property
    def is_open(self) -> bool:
        """Whether no task should be received: before the first probe, and in an outage."""
        return self._opened.is_set()

    def readiness_problem(self) -> str | None:
        """Say for /readyz that the first probe has not ended. An outage does not make a processor unready."""
        return "No notification was tried yet." if self.is_open and not self._is_outage else None

    def paused_because(self) -> str | None:
        """Say for /readyz why no tasks are received in an outage."""
        return self._cause if self._is_outage else None

    async def is_outage(self, error: Exception) -> bool:
        """Tell whether notifications in general cannot be delivered, now that one could not be because of `error`."""
        async with self._probing:
            if self.is_open:
                return True
            logger.warning("a notification could not be delivered: %s", error, extra={"action": "breaker"})
            try:
                await self.check()
            except (Transient, PermanentError):
                return True
            return False

    def told(self) -> None:
        """Note that a notification was stored and published."""
        if not self.is_open:
            return
        self._opened.clear()
        self._closed.set()
        if self._is_outage:
            self._is_outage = False
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
            self._failed(error)
            raise
        self.told()

    async def until_works(self) -> None:
        """Wait until a probe succeeds."""
        while True:
            try:
                await self.check()
                return
            except (Transient, PermanentError):
                await self._closed.wait()

    async def run(self) -> None:
        """Look, while it is open, whether it may close; until cancelled."""
        while self._momento.readiness_problem() is not None:  # noqa: ASYNC110 — it has no event
            await asyncio.sleep(NOT_YET_SECONDS)
        while True:
            await self._opened.wait()
            await self._until_closed()

    def _failed(self, error: Exception) -> None:
        self._opened.set()
        self._closed.clear()
        self._cause = _cause(error)
        if not self._is_outage:
            self._is_outage = True
            RECEIVING_PAUSED.set(1)
            logger.error(
                "no tasks are received, since notifications cannot be delivered: %s", error, extra={"action": "breaker"}
            )

    async def _until_closed(self) -> None:
        looks = 0
        while self.is_open:
            if self._is_outage:
                looks += 1
                longest = min(PROBE_PAUSE_CAP_SECONDS, 0.5 * 2 ** min(looks, 10))
                await asyncio.sleep(random.uniform(longest / 2, longest))
            try:
                await self.check()
            except (Transient, PermanentError) as error:
                logger.debug("notifications cannot be delivered yet: %s", error, extra={"action": "breaker"})


def _cause(error: Exception) -> str:
    if isinstance(error, MomentoKeyRefused):
        return f"Momento refuses the API key ({error})"
    return f"notifications cannot be delivered ({error})"
