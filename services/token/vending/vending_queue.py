"""The queue for Momento's vending quota: first come, first served, bounded, and never above the quota.

A new user gets a place. Each turn goes to the waiting user with the earliest place. Users who would wait too long get
`VendingQuotaExceeded` with a time to retry. They keep their place, but no turn is reserved for them, since a load
balancer may send the retry to another replica.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from cachetools import TTLCache

from services.common.overload import OverloadedError
from services.token.metrics import WAITING

MAX_PLACES = 10_000
PLACE_EXPIRY_SECONDS = 300.0
"""A place expires this long after the user's retry time."""
MAX_QUEUE_SECONDS = 600.0
EXTRA_WAIT_SECONDS = 1.0
"""How much longer than expected a request waits, since sleeps are late and users with earlier places may return."""


class VendingQuotaExceeded(OverloadedError):
    """The user's turn is too far away to wait for it in the request."""

    public_detail = "Many users are signing in right now. Try again after the time in Retry-After."

    def __init__(self, wait_seconds: float) -> None:
        self.retry_after_seconds = wait_seconds
        super().__init__(f"the vending quota is exceeded; next turn in {wait_seconds:.1f} s")


@dataclass(slots=True, order=True)
class _Place:
    number: int
    created_at: float = field(compare=False)
    retry_at: float | None = field(default=None, compare=False)
    """When the user should retry."""


class VendingQueue:
    """Grants turns at the rate `per_second`.

    :param wait_seconds: the longest expected wait of a request.
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
        self._next_turn_at = float("-inf")
        self._next_retry_at = float("-inf")
        self._numbers = count()
        self._places: TTLCache[str, _Place] = TTLCache(
            MAX_PLACES, ttl=MAX_QUEUE_SECONDS + PLACE_EXPIRY_SECONDS, timer=clock
        )
        self._waiting: list[_Place] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[None]:
        """Wait for the user's turn. If the block fails, the user keeps the place.

        :raises VendingQuotaExceeded: when the wait would be too long; the user keeps the place.
        """
        place = self._place_of(user_id)
        if self._expected_wait(place) > self._wait_seconds:
            raise self._quota_exceeded(user_id, place)
        insort(self._waiting, place)
        try:
            with WAITING.track_inprogress():
                await self._wait_for_turn(user_id, place)
        finally:
            self._waiting.remove(place)
            self._changed.set()
            self._changed = asyncio.Event()
        yield
        self._places.pop(user_id, None)

    def _place_of(self, user_id: str) -> _Place:
        now = self._clock()
        place = self._places.get(user_id)
        if place is not None and (place.retry_at or place.created_at) > now - PLACE_EXPIRY_SECONDS:
            return place
        place = self._places[user_id] = _Place(next(self._numbers), now)
        return place

    def _expected_wait(self, place: _Place) -> float:
        """Return the wait in seconds if no user with an earlier place returns."""
        ahead = bisect_left(self._waiting, place)
        return max(0.0, self._next_turn_at - self._clock()) + ahead * self._interval

    async def _wait_for_turn(self, user_id: str, place: _Place) -> None:
        wait_until = self._clock() + self._wait_seconds + EXTRA_WAIT_SECONDS
        while (now := self._clock()) < self._next_turn_at or self._waiting[0] is not place:
            if now >= wait_until:
                raise self._quota_exceeded(user_id, place)
            if now < self._next_turn_at:
                await self._sleep(min(self._next_turn_at, wait_until) - now)
            else:
                await self._changed.wait()  # the first is about to take its turn
        self._next_turn_at = now + self._interval

    def _quota_exceeded(self, user_id: str, place: _Place) -> VendingQuotaExceeded:
        """Assign the place a retry time, once. Retry times are one interval apart, so that clients do not collide."""
        now = self._clock()
        earliest = now + self._expected_wait(place)
        if place.retry_at is None:
            retry_at = max(earliest, self._next_retry_at)
            if retry_at - now > MAX_QUEUE_SECONDS:
                self._places.pop(user_id, None)
                return VendingQuotaExceeded(retry_at - now)
            place.retry_at, self._next_retry_at = retry_at, retry_at + self._interval
        return VendingQuotaExceeded(max(place.retry_at, earliest) - now)
