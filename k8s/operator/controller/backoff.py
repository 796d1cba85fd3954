"""How long to wait before trying again: twice as long each time, with a cap and jitter."""

import random


class Backoff:
    """One a loop. `reset` after a success."""

    def __init__(self, first_seconds: float = 1.0, cap_seconds: float = 60.0) -> None:
        self._first = first_seconds
        self._cap = cap_seconds
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last try was a failure."""
        return self._failures > 0

    def next_seconds(self, at_least: float = 0.0) -> float:
        """The pause after one more failure, from half of it to all of it; never under `at_least`."""
        pause = min(self._cap, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(at_least, pause * random.uniform(0.5, 1))

    def reset(self) -> None:
        self._failures = 0
