"""The cache operations that requests about tasks may use, since the processor's writes need the same quota.

A budget is in memory, per replica.
"""

import time
from collections.abc import Callable

from cachetools import TLRUCache

from services.token.failures import BusyError

BURST_SECONDS = 10.0
"""A full budget has the operations of this time, so that many pages may open at once."""
MIN_CAPACITY = 10.0
"""Enough for any single request, also where the rate is very low."""
USER_SHARE = 0.25
"""The part of the rate, and of a full budget, that one user may use. Beyond it a user gets only the upper half."""
LONGEST_RETRY_SECONDS = 120.0
MAX_USERS = 100_000


class TasksBusyError(BusyError):
    """The cache operations for requests about tasks are used up."""

    public_detail = "Many users are following their tasks right now. Try again after the time in Retry-After."

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"no cache operations for this request; available in about {retry_after_seconds:.1f} s")


class OperationBudget:
    """A token bucket of cache operations: `per_second`, for all users of this replica."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._capacity = max(BURST_SECONDS * per_second, MIN_CAPACITY)
        self._available = self._capacity
        self._refilled_at = clock()
        self._next_retry_at = float("-inf")
        # When the user's operations so far would end at the user's share of the rate.
        self._used_until: TLRUCache[str, float] = TLRUCache(
            MAX_USERS, ttu=lambda _user, until, _now: until, timer=clock
        )

    def take(self, user_id: str, operations: float) -> None:
        """Use operations.

        :raises TasksBusyError: when fewer are available.
        """
        self._refill()
        missing = operations - self._usable(user_id, operations)
        if missing > 1e-9:  # a sum of refills is not exact
            raise self._busy(missing, operations)
        self.charge(user_id, operations)

    def charge(self, user_id: str, operations: float) -> None:
        """Count operations that have been used already. The budget may become negative; `take` then refuses."""
        now = self._refill()
        self._available -= operations
        used_until = max(now, self._used_until.get(user_id, now))
        self._used_until[user_id] = used_until + operations / (USER_SHARE * self._per_second)

    def _usable(self, user_id: str, operations: float) -> float:
        """Return what this user may use: what others leave in the upper half, for one who has used much."""
        used_seconds = self._used_until.get(user_id, self._refilled_at) - self._refilled_at
        used = max(0.0, used_seconds) * USER_SHARE * self._per_second
        uses_much = used + operations > max(USER_SHARE * self._capacity, operations)
        return self._available - self._capacity / 2 if uses_much else self._available

    def _refill(self) -> float:
        now = self._clock()
        refilled = self._available + (now - self._refilled_at) * self._per_second
        self._available, self._refilled_at = min(self._capacity, refilled), now
        return now

    def _busy(self, missing: float, operations: float) -> TasksBusyError:
        """Return an error whose retry time differs for each request, so that clients do not all retry at once."""
        now = self._refilled_at
        at = min(max(now + missing / self._per_second, self._next_retry_at), now + LONGEST_RETRY_SECONDS)
        self._next_retry_at = at + operations / self._per_second
        return TasksBusyError(at - now)
