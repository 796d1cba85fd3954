"""Guards cache calls that a task can do without, such as looking up earlier attempts."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from notification_api import PermanentError, TransientError
from services.processor.metrics import HISTORY_UNAVAILABLE

logger = logging.getLogger(__name__)

R = TypeVar("R")

PAUSE_SECONDS = 5.0
"""How long the cache is not called after a failure, so that tasks do not all wait for its deadline."""


class CacheGuard:
    """Calls the cache, except for a while after it has failed. One a process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paused_until = float("-inf")

    @property
    def is_paused(self) -> bool:
        """Whether the cache has failed in the last seconds."""
        return self._clock() < self._paused_until

    def pause(self) -> None:
        """Note that the cache has failed."""
        self._paused_until = self._clock() + PAUSE_SECONDS

    def resume(self) -> None:
        """Note that the cache works."""
        self._paused_until = float("-inf")

    async def call(self, operation: str, call: Callable[[], Awaitable[R]], otherwise: R) -> R:
        """Call the cache; if it fails or is paused, count that and return `otherwise`."""
        if not self.is_paused:
            try:
                return await call()
            except (TransientError, PermanentError) as error:
                self.pause()
                logger.warning(
                    "the cache cannot be used, delivery is at least once: %s",
                    error,
                    extra={"action": "history", "operation": operation},
                )
        HISTORY_UNAVAILABLE.labels(operation).inc()
        return otherwise
