"""How long to wait before a retry: exponential, with a cap and jitter."""

import random
from collections.abc import Callable

_MAX_EXPONENT = 30
"""`growth` to the power of 1100 would overflow after a long outage."""


def backoff_seconds(
    failures: int,
    *,
    base_seconds: float,
    cap_seconds: float,
    growth: float = 2.0,
    least_share: float = 0.5,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return the pause after a number of failures in a row.

    The longest pause is `base_seconds` after the first failure, `growth` times as long after each further one, and
    never longer than `cap_seconds`. The pause is drawn between a share of it and the whole of it, so that clients that
    failed together do not retry together.

    :param failures: failures in a row, from 1.
    :param least_share: 0 for full jitter (anything up to the longest pause), 0.5 for at least half of it.
    :param uniform: draws the pause; tests pass their own.
    """
    longest = min(cap_seconds, base_seconds * growth ** min(max(failures, 1) - 1, _MAX_EXPONENT))
    return uniform(longest * least_share, longest)


class Backoff:
    """Counts the failures of one loop. Call `reset` after a success."""

    def __init__(self, base_seconds: float = 1.0, cap_seconds: float = 60.0) -> None:
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    def next_seconds(self, at_least: float = 0.0) -> float:
        """Count one more failure and return the pause after it, never shorter than `at_least`."""
        self._failures += 1
        pause = backoff_seconds(self._failures, base_seconds=self._base_seconds, cap_seconds=self._cap_seconds)
        return max(at_least, pause)

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0
