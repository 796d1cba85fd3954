"""Tasks a user a minute: a token bucket a user, in each replica by itself (so N replicas let N times as many by)."""

import time
from collections.abc import Callable

from cachetools import TTLCache

MAX_USERS = 100_000
SECONDS = 60.0


class RateLimit:
    """Allows `per_minute` tasks to each user, all at once or spread out."""

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._interval = SECONDS / per_minute if per_minute else 0.0
        # A bucket holds a minute's worth of tasks, and one task at least.
        self._fill_seconds = max(SECONDS, self._interval)
        # One that nobody has touched for so long is full again, which is what an absent one means.
        self._full_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=self._fill_seconds, timer=clock)

    def retry_after(self, user_id: str) -> float:
        """Take one task from the user's bucket; answer 0, or the seconds until there is one to take."""
        if not self._interval:
            return 0.0
        now = self._clock()
        full_at = max(now, self._full_at.get(user_id, now)) + self._interval
        wait_seconds = full_at - now - self._fill_seconds
        if wait_seconds > 1e-9:  # a sum of intervals is not exact
            return wait_seconds
        self._full_at[user_id] = full_at
        return 0.0
