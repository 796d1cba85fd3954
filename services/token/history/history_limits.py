"""Limits for reading histories, since the processor's writes need the same quota of cache operations.

Both limits are in memory, per replica.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from cachetools import TLRUCache

from services.common.momento.history import ELEMENTS_PER_OPERATION, MAX_ENTRIES
from services.token.failures import BusyError

WAIT_SECONDS = 5.0
"""How long a request waits for cache operations."""
LONGEST_RETRY_SECONDS = 120.0
FULL_READ_OPERATIONS = MAX_ENTRIES / ELEMENTS_PER_OPERATION
"""Reserved for a read until its cost is known."""
USER_SHARE = 0.25
"""The part of a replica's operations that one user may use on average."""
MAX_DEFERRED_OPERATIONS = 800
"""About the cost of the largest history (1 MB) beyond `FULL_READ_OPERATIONS`."""
BURST_SECONDS = 20.0
"""The burst of a user: ten reads at once, at the default rate."""
MAX_USERS = 100_000


class HistoryBusyError(BusyError):
    """The cache operations for reading histories are used up."""

    public_detail = "Many users are reading their notifications right now. Try again after the time in Retry-After."

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"no cache operations for another read; available in about {retry_after_seconds:.1f} s")


class UserLimit:
    """A token bucket per user, in seconds. Requests use it, and reads by their cost.

    :param operations_per_second: for all users together, on this replica.
    """

    def __init__(
        self, reads_per_minute: float, operations_per_second: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 60 / reads_per_minute
        self._burst_seconds = max(BURST_SECONDS, self._interval)
        self._user_operations = USER_SHARE * operations_per_second
        self._clock = clock
        # When the user's reads so far would end at the permitted rate.
        self._used_until: TLRUCache[str, float] = TLRUCache(
            MAX_USERS, ttu=lambda _user, until, _now: until, timer=clock
        )

    def retry_after(self, user_id: str) -> float:
        """Count a request and return 0, or return the seconds until the next request if there were too many."""
        now = self._clock()
        used_until = max(now, self._used_until.get(user_id, now)) + self._interval
        wait_seconds = used_until - now - self._burst_seconds
        if wait_seconds > 1e-9:  # a sum of intervals is not exact
            return wait_seconds
        self._used_until[user_id] = used_until
        return 0.0

    def charge(self, user_id: str, operations: float) -> None:
        """Count the cost of a read beyond that of its request."""
        now, more = self._clock(), operations / self._user_operations - self._interval
        if more > 0:
            self._used_until[user_id] = max(now, self._used_until.get(user_id, now)) + more


@dataclass(slots=True)
class ReadCost:
    """The cost of a read, set when it is known."""

    operations: float = 1.0


class ReadBudget:
    """Permits reads in order of arrival, within `per_second` cache operations per second.

    The cost of a read is only known afterwards. So each read reserves the cost of a full history of short messages. The
    cost of long messages beyond that is deferred and paid at `USER_SHARE` of the rate, so that it does not block the
    reads of other users.
    """

    def __init__(
        self, per_second: float, *, wait_seconds: float = WAIT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._capacity = max(per_second, FULL_READ_OPERATIONS)
        self._available_operations = self._capacity
        self._deferred = 0.0
        """Operations that are paid later."""
        self._refilled_at = clock()
        self._usual_operations = 1.0
        self._waiting = 0
        self._reading = 0
        self._next_retry_at = float("-inf")
        self._queue = asyncio.Lock()
        self._read_ended = asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadCost]:
        """Wait until a read is permitted. The block makes the read and sets its cost.

        :raises HistoryBusyError: when the wait would be too long.
        """
        if self._expected_wait() > self._wait_seconds:
            raise self._busy()
        await self._wait_for_permission()
        self._reading += 1
        cost = ReadCost()
        try:
            yield cost
        finally:
            self._reading -= 1
            self._refill()
            operations = cost.operations - self._defer(cost.operations)
            self._available_operations -= operations
            self._usual_operations += (operations - self._usual_operations) / 10
            self._read_ended.set()

    async def _wait_for_permission(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds), self._queue:
                while (available := self._available()) < 1:
                    self._read_ended.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout((1 - available) / self._per_second):
                            await self._read_ended.wait()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1

    def _available(self) -> float:
        self._refill()
        return self._available_operations - self._reading * FULL_READ_OPERATIONS

    def _refill(self) -> None:
        now = self._clock()
        new = (now - self._refilled_at) * self._per_second
        paid = min(self._deferred, new * USER_SHARE)
        self._deferred -= paid
        self._available_operations = min(self._capacity, self._available_operations + new - paid)
        self._refilled_at = now

    def _defer(self, operations: float) -> float:
        """Return how much of a read's cost is deferred."""
        deferred = max(0.0, min(operations - FULL_READ_OPERATIONS, MAX_DEFERRED_OPERATIONS - self._deferred))
        self._deferred += deferred
        return deferred

    def _expected_wait(self) -> float:
        self._refill()
        ahead = (self._waiting + self._reading) * self._usual_operations
        return max(0.0, ahead - self._available_operations) / self._per_second

    def _busy(self) -> HistoryBusyError:
        """Return an error whose retry time differs for each request, so that clients do not all retry at once."""
        now = self._clock()
        at = max(now + self._expected_wait(), self._next_retry_at)
        at = min(at, now + LONGEST_RETRY_SECONDS)
        self._next_retry_at = at + self._usual_operations / self._per_second
        return HistoryBusyError(at - now)
