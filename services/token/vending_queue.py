"""The waiting line in front of Momento's vending quota: in order, bounded, and never over the quota.

Each user who comes gets a place. A turn is used by whoever is present and was placed first, so that none is wasted on
somebody who is away: a load balancer may well send a user who was told to come back to another replica's line.
Whoever would wait for long is told when to come back, and keeps the place.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from cachetools import TTLCache

from services.common.errors import Transient
from services.token.metrics import WAITING

MAX_PLACES = 10_000
PLACE_KEPT_SECONDS = 300.0
"""How long past the time that a user was told the place is kept."""
LONGEST_LINE_SECONDS = 600.0
PATIENCE_SECONDS = 1.0
"""How much longer than expected a request waits, since sleeps are late and users placed before may come back."""


class LineTooLong(Transient):
    """The turn is too far away to wait for it in the request."""

    public_detail = "Many users are signing in right now. Try again when Retry-After says."

    def __init__(self, wait_seconds: float) -> None:
        self.retry_after_seconds = wait_seconds
        super().__init__(f"the turn comes in {wait_seconds:.1f} s")


@dataclass(slots=True, order=True)
class _Place:
    number: int
    since: float = field(compare=False)
    told: float | None = field(default=None, compare=False)
    """When the user was told to come back."""


class VendingQueue:
    """Gives out turns at `per_second`.

    :param wait_seconds: the longest wait that a request begins.
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
        self._due = float("-inf")
        self._told_until = float("-inf")
        self._numbers = count()
        self._places: TTLCache[str, _Place] = TTLCache(
            MAX_PLACES, ttl=LONGEST_LINE_SECONDS + PLACE_KEPT_SECONDS, timer=clock
        )
        self._present: list[_Place] = []
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[None]:
        """Wait for the user's turn, and use it; where the block fails, the user keeps the place.

        :raises LineTooLong: when the turn is further away than a request may wait; the place is kept.
        """
        place = self._place_of(user_id)
        if self._wait_of(place) > self._wait_seconds:
            raise self._come_back(user_id, place)
        insort(self._present, place)
        try:
            with WAITING.track_inprogress():
                await self._until_first(user_id, place)
        finally:
            self._present.remove(place)
            self._moved.set()
            self._moved = asyncio.Event()
        yield
        self._places.pop(user_id, None)

    def _place_of(self, user_id: str) -> _Place:
        now = self._clock()
        kept = self._places.get(user_id)
        if kept is not None and (kept.told or kept.since) > now - PLACE_KEPT_SECONDS:
            return kept
        place = self._places[user_id] = _Place(next(self._numbers), now)
        return place

    def _wait_of(self, place: _Place) -> float:
        """Return how long it takes if nobody who was placed before comes back meanwhile."""
        ahead = bisect_left(self._present, place)
        return max(0.0, self._due - self._clock()) + ahead * self._interval

    async def _until_first(self, user_id: str, place: _Place) -> None:
        gives_up_at = self._clock() + self._wait_seconds + PATIENCE_SECONDS
        while (now := self._clock()) < self._due or self._present[0] is not place:
            if now >= gives_up_at:
                raise self._come_back(user_id, place)
            if now < self._due:
                await self._sleep(min(self._due, gives_up_at) - now)
            else:
                await self._moved.wait()  # whoever is first is about to go
        self._due = now + self._interval

    def _come_back(self, user_id: str, place: _Place) -> LineTooLong:
        """Say when: once, spread over the turns to come; who was there in time and was crowded out stands next."""
        now = self._clock()
        soonest = now + self._wait_of(place)
        if place.told is None:
            at = max(soonest, self._told_until)
            if at - now > LONGEST_LINE_SECONDS:
                self._places.pop(user_id, None)
                return LineTooLong(at - now)
            place.told, self._told_until = at, at + self._interval
        return LineTooLong(max(place.told, soonest) - now)
