"""The circuit breaker: no task is received while notifications cannot be delivered.

A message is acknowledged when its notification is stored and published. SQS counts each delivery and moves a message
to the dead-letter queue after `maxReceiveCount` of them, without a reason; an outage of the topics or of the cache may
outlast these deliveries. So leases of messages that were received before the breaker opens are extended, and a process
that starts during an outage receives none.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from notification_api import PermanentError, TransientError
from services.common.backoff import backoff_seconds
from services.common.momento.errors import MomentoKeyRefused
from services.common.momento.gateway import Momento
from services.processor.metrics import RECEIVING_PAUSED

logger = logging.getLogger(__name__)

PROBE_TOPIC = "notification-api-probe"
"""No user's topic: those are named after a `sub`. The dictionary that a probe writes has this name, too."""
PROBE_TTL_SECONDS = 60.0
PROBE_PAUSE_BASE_SECONDS = 1.0
PROBE_PAUSE_CAP_SECONDS = 5.0
KEY_CHECK_SECONDS = 0.1
"""How often it is checked at start whether the API key has been read."""


class CircuitBreaker:
    """Opens when notifications cannot be delivered and closes when they can be. It is open until the first probe.

    :param on_closed: called when tasks may be received.
    :param stores: whether notifications are stored, so that the cache has to work, too.
    :param uniform: draws the pauses; tests pass their own.
    """

    def __init__(
        self,
        momento: Momento,
        on_closed: Callable[[], None],
        *,
        stores: bool,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._momento = momento
        self._on_closed = on_closed
        self._stores = stores
        self._uniform = uniform
        self._opened = asyncio.Event()
        self._opened.set()
        self._closed = asyncio.Event()
        self._is_outage = False
        self._cause = ""
        self._confirming = asyncio.Lock()
        RECEIVING_PAUSED.set(0)

    @property
    def is_open(self) -> bool:
        """Whether no task should be received: before the first probe, and during an outage."""
        return self._opened.is_set()

    def readiness_problem(self) -> str | None:
        """Return that the first probe has not ended, for /readyz. An outage does not make a processor unready."""
        return "No notification was tried yet." if self.is_open and not self._is_outage else None

    def pause_reason(self) -> str | None:
        """Return why no tasks are received during an outage, for /readyz."""
        return self._cause if self._is_outage else None

    async def confirm_outage(self, error: Exception) -> bool:
        """Return whether notifications in general cannot be delivered, now that `error` has prevented one."""
        async with self._confirming:
            if self.is_open:
                return True
            logger.warning("a notification could not be delivered: %s", error, extra={"action": "breaker"})
            try:
                await self.probe()
            except (TransientError, PermanentError):
                return True
            return False

    def record_success(self) -> None:
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

    async def probe(self) -> None:
        """Publish to a topic without subscribers, and write to the cache as notifications are stored.

        :raises TransientError, PermanentError: when either cannot be done.
        """
        try:
            await self._momento.publish(PROBE_TOPIC, "probe")
            if self._stores:
                await self._momento.dictionary_set(PROBE_TOPIC, "probe", b"probe", ttl_seconds=PROBE_TTL_SECONDS)
        except (TransientError, PermanentError) as error:
            self._open(error)
            raise
        self.record_success()

    async def wait_until_available(self) -> None:
        """Wait until a probe succeeds."""
        while True:
            try:
                await self.probe()
                return
            except (TransientError, PermanentError):
                await self._closed.wait()

    async def run(self) -> None:
        """Probe while it is open, until cancelled."""
        while self._momento.readiness_problem() is not None:  # noqa: ASYNC110 — it has no event
            await asyncio.sleep(KEY_CHECK_SECONDS)
        while True:
            await self._opened.wait()
            await self._probe_until_closed()

    def _open(self, error: Exception) -> None:
        self._opened.set()
        self._closed.clear()
        self._cause = _cause(error)
        if not self._is_outage:
            self._is_outage = True
            RECEIVING_PAUSED.set(1)
            logger.error(
                "no tasks are received, since notifications cannot be delivered: %s", error, extra={"action": "breaker"}
            )

    async def _probe_until_closed(self) -> None:
        failures = 0
        while self.is_open:
            if self._is_outage:
                failures += 1
                pause = backoff_seconds(
                    failures,
                    base_seconds=PROBE_PAUSE_BASE_SECONDS,
                    cap_seconds=PROBE_PAUSE_CAP_SECONDS,
                    uniform=self._uniform,
                )
                await asyncio.sleep(pause)
            try:
                await self.probe()
            except (TransientError, PermanentError) as error:
                logger.debug("notifications cannot be delivered yet: %s", error, extra={"action": "breaker"})


def _cause(error: Exception) -> str:
    if isinstance(error, MomentoKeyRefused):
        return f"Momento refuses the API key ({error})"
    return f"notifications cannot be delivered ({error})"
