"""When a stream that is silent counts as dead. Pure.

Momento does not say how often it sends heartbeats, so the interval is measured.
"""

UNKNOWN_SECONDS = 45.0
"""The time limit until the interval between two heartbeats is known."""
SHORTEST_SECONDS = 5.0
LONGEST_SECONDS = 90.0
MISSED_HEARTBEATS = 3


class HeartbeatInterval:
    """Measures the interval over all streams of a subscription."""

    def __init__(self) -> None:
        self._interval = 0.0

    @property
    def silence_seconds(self) -> float:
        """How long a stream may be silent. A false alarm costs one more stream and no notification."""
        if not self._interval:
            return UNKNOWN_SECONDS
        return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, self._interval * MISSED_HEARTBEATS))

    def measured(self, seconds: float) -> None:
        """Note the time between two heartbeats. The longest counts, since messages replace heartbeats."""
        self._interval = max(self._interval, seconds)
