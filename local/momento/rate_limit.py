"""Rate limits: token buckets of one second's capacity."""

import time
from collections.abc import Callable


class RateLimiter:
    """Admits `per_second()` operations a second, in bursts of up to one second's worth.

    `per_second` is read each time; a change of the setting takes effect at once, with a full bucket.
    """

    def __init__(self, per_second: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._rate = per_second()
        self._left = self._capacity()
        self._refilled_at = clock()

    def try_acquire(self, operations: float = 1) -> bool:
        """Use `operations` if as many are left, or if the bucket is full.

        The second case admits what costs more than a second's capacity; later operations wait until the bucket has
        refilled.
        """
        self._refill()
        if self._left < operations and self._left < self._capacity():
            return False
        self._left -= operations
        return True

    def consume(self, operations: float) -> None:
        """Use `operations`, even if fewer are left: they have been done already."""
        self._refill()
        self._left -= operations

    def _capacity(self) -> float:
        return max(self._rate, 1.0)

    def _refill(self) -> None:
        now, rate = self._clock(), self._per_second()
        if rate != self._rate:
            self._rate = rate
            self._left = self._capacity()
        self._left = min(self._capacity(), self._left + (now - self._refilled_at) * rate)
        self._refilled_at = now


def operations_of(size_bytes: int) -> int:
    """Count the operations of a message: one per started KB (docs.momentohq.com/topics/limits)."""
    return max(1, -(-size_bytes // 1024))
