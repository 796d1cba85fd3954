"""What reading histories may cost: the processor's writes need the same quota of cache operations.

Both limits are kept in memory, by each replica for itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from cachetools import TLRUCache

from services.common.errors import Transient
from services.common.momento.history import ELEMENTS_PER_OPERATION, MAX_ENTRIES

WAIT_SECONDS = 5.0
"""How long a request waits for cache operations to be available."""
LONGEST_RETRY_SECONDS = 120.0
FULL_READ_OPERATIONS = MAX_ENTRIES / ELEMENTS_PER_OPERATION
"""What is reserved for a read until its cost is known."""
USER_SHARE = 0.25
"""The part of a replica's operations that one user may use in the long run."""
MAX_DEFERRED_OPERATIONS = 800
"""About what the largest history costs beyond that: 1 MB."""
BURST_SECONDS = 20.0
"""How far a user may be ahead of the rate: ten reads at once, at the default rate."""
MAX_USERS = 100_000


class HistoryBusyError(Transient):
    """The cache operations for reading histories are used up."""

    public_detail = "Many users are reading their notifications right now. Try again when Retry-After says."

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"no cache operations for another read; free in about {retry_after_seconds:.1f} s")


class UserLimit:
    """A token bucket a user, measured in seconds: each request, and each read by its cost, uses some of them.

    :param operations_per_second: what all users together may use on this replica.
    """

    def __init__(
        self, reads_per_minute: float, operations_per_second: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 60 / reads_per_minute
        self._burst_seconds = max(BURST_SECONDS, self._interval)
        self._user_operations = USER_SHARE * operations_per_second
        self._clock = clock
        # Until when the user's reads so far would take at the permitted rate.
        self._used_until: TLRUCache[str, float] = TLRUCache(
            MAX_USERS, ttu=lambda _user, until, _now: until, timer=clock
        )

    def retry_after(self, user_id: str) -> float:
        """Count a request and answer 0; where there were too many, answer the seconds until the next may come."""
        now = self._clock()
        used_until = max(now, self._used_until.get(user_id, now)) + self._interval
        wait_seconds = used_until - now - self._burst_seconds
        if wait_seconds > 1e-9:  # a sum of intervals is not exact
            return wait_seconds
        self._used_until[user_id] = used_until
        return 0.0

    def charge(self, user_id: str, operations: float) -> None:
        """Count what a read cost beyond what its request counted for."""
        now, more = self._clock(), operations / self._user_operations - self._interval
        if more > 0:
            self._used_until[user_id] = max(now, self._used_until.get(user_id, now)) + more


@dataclass(slots=True)
class Turn:
    """A read that may begin; `operations` is what it turned out to cost."""

    operations: float = 1.0


class ReadBudget:
    """Permits reads in order of arrival, as far as `per_second` cache operations a second go.

    A read's cost is known afterwards only. So each reserves that of a full history of short texts, and debts delay
    those after it. What a history of long texts costs beyond that is paid off at `USER_SHARE` of the rate, so that the
    reads of other users go on beside it.
    """

    def __init__(
        self, per_second: float, *, wait_seconds: float = WAIT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._capacity = max(per_second, FULL_READ_OPERATIONS)
        self._left = self._capacity
        self._deferred = 0.0
        """What is paid off little by little."""
        self._refilled_at = clock()
        self._usual_operations = 1.0
        self._waiting = 0
        self._reading = 0
        self._retry_slots_until = float("-inf")
        self._first_in_order = asyncio.Lock()
        self._read_ended = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until a read may begin; the block says on the turn what the read cost.

        :raises HistoryBusyError: when it would take longer than a request may wait.
        """
        if self._expected_wait() > self._wait_seconds:
            raise self._busy()
        await self._permitted()
        self._reading += 1
        turn = Turn()
        try:
            yield turn
        finally:
            self._reading -= 1
            self._refill()
            operations = turn.operations - self._defer(turn.operations)
            self._left -= operations
            self._usual_operations += (operations - self._usual_operations) / 10
            self._read_ended.set()

    async def _permitted(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds), self._first_in_order:
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
        return self._left - self._reading * FULL_READ_OPERATIONS

    def _refill(self) -> None:
        now = self._clock()
        new = (now - self._refilled_at) * self._per_second
        paid_off = min(self._deferred, new * USER_SHARE)
        self._deferred -= paid_off
        self._left = min(self._capacity, self._left + new - paid_off)
        self._refilled_at = now

    def _defer(self, operations: float) -> float:
        """Return how much of a read's cost is paid off later."""
        deferred = max(0.0, min(operations - FULL_READ_OPERATIONS, MAX_DEFERRED_OPERATIONS - self._deferred))
        self._deferred += deferred
        return deferred

    def _expected_wait(self) -> float:
        self._refill()
        ahead = (self._waiting + self._reading) * self._usual_operations
        return max(0.0, ahead - self._left) / self._per_second

    def _busy(self) -> HistoryBusyError:
        """Spread those who are refused over the time to come, so that they do not all return at once."""
        now = self._clock()
        at = max(now + self._expected_wait(), self._retry_slots_until)
        at = min(at, now + LONGEST_RETRY_SECONDS)
        self._retry_slots_until = at + self._usual_operations / self._per_second
        return HistoryBusyError(at - now)
