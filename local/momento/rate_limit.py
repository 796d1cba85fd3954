"""Rates: token buckets that hold one second's worth."""

import time
from collections.abc import Callable


class Rate:
    """Admits `per_second()` operations a second, in bursts of up to one second's worth.

    `per_second` is asked each time; a change of the setting holds at once, with a full bucket.
    """

    def __init__(self, per_second: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._rate = per_second()
        self._left = self._capacity()
        self._refilled_at = clock()

    def take(self, operations: float = 1) -> bool:
        """Spend `operations` if there are as many left, or if nothing was spent lately.

        The second case lets through what costs more than a whole second's worth; the debt is paid by those after.
        """
        self._refill()
        if self._left < operations and self._left < self._capacity():
            return False
        self._left -= operations
        return True

    def charge(self, operations: float) -> None:
        """Spend `operations` whether there are as many left or not: what was asked for is already done."""
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


def chunks(size_bytes: int) -> int:
    """How many operations a message counts for: one per started KB (docs.momentohq.com/topics/limits)."""
    return max(1, -(-size_bytes // 1024))
