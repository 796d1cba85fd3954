"""Limits the requests per user and minute: a token bucket per user and replica (N replicas permit N times as many)."""

import time
from collections.abc import Callable

from cachetools import TTLCache

MAX_USERS = 100_000
SECONDS = 60.0


class RateLimit:
    """Permits each user `per_minute` requests, also all at once; 0 for no limit."""

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._interval = SECONDS / per_minute if per_minute else 0.0
        # A full bucket is the requests of a minute, at least one.
        self._fill_seconds = max(SECONDS, self._interval)
        # A bucket that was not used for this time is full again, like a missing one.
        self._full_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=self._fill_seconds, timer=clock)

    def retry_after(self, user_id: str) -> float:
        """Count a request and return 0, or return the seconds until the next one is permitted."""
        if not self._interval:
            return 0.0
        now = self._clock()
        full_at = max(now, self._full_at.get(user_id, now)) + self._interval
        wait_seconds = full_at - now - self._fill_seconds
        if wait_seconds > 1e-9:  # a sum of intervals is not exact
            return wait_seconds
        self._full_at[user_id] = full_at
        return 0.0
