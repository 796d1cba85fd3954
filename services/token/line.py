"""The waiting line in front of Momento's vending quota: in order, bounded, and never over the quota.

Each user who comes gets the next turn. A turn that is soon is waited for; one that is far is kept for the user, who
is told when to come back, so that a thousand users at once are all served in the order in which they came.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from cachetools import TTLCache

from services.common.errors import Transient
from services.token.metrics import WAITING

MAX_TURNS = 10_000
TURN_KEPT_SECONDS = 120.0
"""How long past its time a turn is kept for a user who was told to come back."""
LONGEST_LINE_SECONDS = 600.0


class LineTooLong(Transient):
    """The turn is too far away to wait for it in the request."""

    public_detail = "Many users are signing in right now. Try again when Retry-After says."

    def __init__(self, wait_seconds: float) -> None:
        self.retry_after_seconds = wait_seconds
        super().__init__(f"the turn comes in {wait_seconds:.1f} s")


class VendingLine:
    """Gives out turns at `per_second`.

    :param wait_seconds: the longest wait within a request.
    """

    def __init__(
        self,
        per_second: float,
        wait_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / per_second
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")
        self._last = float("-inf")
        self._pace = asyncio.Lock()
        self._turns: TTLCache[str, float] = TTLCache(
            MAX_TURNS, ttl=LONGEST_LINE_SECONDS + TURN_KEPT_SECONDS, timer=clock
        )

    async def turn(self, user_id: str) -> None:
        """Wait for the user's turn.

        :raises LineTooLong: when it is further away than a request may wait; the turn is kept.
        """
        at = self._turn_of(user_id)
        wait = at - self._clock()
        if wait > self._wait_seconds:
            raise LineTooLong(wait)
        with WAITING.track_inprogress():
            await self._pause_until(at)
            async with self._pace:  # those who come back late do not come all at once; the lock keeps their order
                await self._pause_until(self._last + self._interval)
                self._last = self._clock()
        self._turns.pop(user_id, None)

    def _turn_of(self, user_id: str) -> float:
        now = self._clock()
        kept = self._turns.get(user_id)
        if kept is not None and kept > now - TURN_KEPT_SECONDS:
            return kept
        at = max(now, self._next)
        if at - now > LONGEST_LINE_SECONDS:
            raise LineTooLong(at - now)
        self._next = at + self._interval
        self._turns[user_id] = at
        return at

    async def _pause_until(self, at: float) -> None:
        pause = at - self._clock()
        if pause > 0:
            await self._sleep(pause)
