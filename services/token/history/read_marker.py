"""Moves users' read markers, so that what is read on one device is read on all."""

import logging
import time
from collections.abc import Callable

import orjson

from notification_api import PermanentError, TransientError
from services.common.messages.notification import user_topic
from services.common.momento.gateway import Momento
from services.common.momento.read_markers import ReadMarkers
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.common.web.rate_limit import RateLimit
from services.token.operation_budget import OperationBudget

logger = logging.getLogger(__name__)

MOVES_PER_MINUTE = 60.0
"""Of a user, on each replica. A page moves the marker when it shows a notification, which a person reads in seconds."""
MOVE_OPERATIONS = 3
"""Read, write, read again."""
MAX_WRITES = 3
CALL_SECONDS = 2.0
AHEAD_SECONDS = 60.0
"""How far the clock of a client may be ahead. Such a marker becomes the time of this service."""


class ReadMarkerMover:
    """Moves read markers forward, never backward and never beyond the present."""

    def __init__(
        self,
        momento: Momento,
        markers: ReadMarkers,
        budget: OperationBudget,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._momento = momento
        self._markers = markers
        self._limit = RateLimit(MOVES_PER_MINUTE)
        self._budget = budget
        self._clock = clock

    async def move(self, user_id: str, until_ms: int) -> int:
        """Move the user's marker to `until_ms` (epoch milliseconds) unless it is there or beyond; return where it is.

        :raises Problem: 400 when `until_ms` is in the future, 429 when the user moves it too often.
        :raises TransientError: when the cache cannot be read or written now.
        """
        self._check_rate(user_id)
        now_ms = int(self._clock() * 1000)
        if not 0 <= until_ms <= now_ms + AHEAD_SECONDS * 1000:
            raise Problem(
                ProblemType.INVALID_BODY,
                "`until` must be a time in the past, in milliseconds since 1970. Send the `time` of a notification.",
            )
        self._budget.take(user_id, MOVE_OPERATIONS)
        until_ms = min(until_ms, now_ms)
        current_ms = await self._markers.find(user_id, deadline_seconds=CALL_SECONDS)
        if current_ms >= until_ms:
            return current_ms
        moved_to_ms = await self._write(user_id, until_ms)
        await self._publish(user_id, moved_to_ms)
        return moved_to_ms

    async def _write(self, user_id: str, until_ms: int) -> int:
        """Write the marker, and again if a concurrent request wrote an earlier one. There is no compare-and-set."""
        for _ in range(MAX_WRITES):
            await self._markers.write(user_id, until_ms, deadline_seconds=CALL_SECONDS)
            stored_ms = await self._markers.find(user_id, deadline_seconds=CALL_SECONDS)
            if stored_ms >= until_ms:
                return stored_ms
        return until_ms

    async def _publish(self, user_id: str, read_until_ms: int) -> None:
        """Notify the user's other devices. They read the marker with their next history in any case."""
        text = orjson.dumps({"readUntil": read_until_ms}).decode()
        try:
            await self._momento.publish(user_topic(user_id), text, deadline_seconds=CALL_SECONDS)
        except (TransientError, PermanentError) as error:
            logger.warning("a read marker is not published: %s", error, extra={"action": "read-marker"})

    def _check_rate(self, user_id: str) -> None:
        wait_seconds = self._limit.retry_after(user_id)
        if wait_seconds:
            raise Problem(
                ProblemType.RATE_LIMITED,
                "You have marked notifications as read too often. Try again after the time in Retry-After.",
                retry_after_seconds=wait_seconds,
            )
