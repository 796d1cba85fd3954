"""Tasks a user a minute: a token bucket a user, in each replica by itself (so N replicas let N times as many by)."""

import time
from collections.abc import Callable

from cachetools import TTLCache

MAX_USERS = 100_000
SECONDS = 60.0


class RateLimit:
    """Allows `per_minute` tasks to each user, all at once or spread out."""

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # A bucket that nobody has touched for a minute is full again, which is what an absent one means.
        self._full_at: TTLCache[str, float] = TTLCache(MAX_USERS, ttl=SECONDS, timer=clock)

    def retry_after(self, user_id: str) -> float:
        """Take one task from the user's bucket; answer 0, or the seconds until there is one to take."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        interval = SECONDS / self._per_minute
        full_at = max(now, self._full_at.get(user_id, now)) + interval
        if full_at - now > max(SECONDS, interval) + 1e-9:
            return full_at - now - SECONDS
        self._full_at[user_id] = full_at
        return 0.0
