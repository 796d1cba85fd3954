"""How long the processor's pods take to start: measured, since clusters differ (4 s on one, 30 s on another)."""

from collections import deque
from collections.abc import Mapping

ASSUMED_SECONDS = 4.0
"""Until a start has been measured."""
MIN_SECONDS, MAX_SECONDS = 1.0, 120.0
"""Kubernetes reports whole seconds. A pod that waited for a new node says nothing about the next pod."""
MAX_STARTS = 20


class PodStartTimes:
    """The start times of one stage's latest pods."""

    def __init__(self) -> None:
        self._recorded_pods: set[str] = set()
        self._seconds: deque[float] = deque(maxlen=MAX_STARTS)

    def record(self, pods: Mapping[str, float | None]) -> None:
        """Record the starts of all current pods: seconds from creation to readiness, None if that is unknown.

        A pod counts once, since one that becomes ready again has not started again.
        """
        for name, seconds in pods.items():
            if seconds is not None and name not in self._recorded_pods:
                self._recorded_pods.add(name)
                self._seconds.append(min(max(seconds, MIN_SECONDS), MAX_SECONDS))
        self._recorded_pods &= pods.keys()

    @property
    def measured_seconds(self) -> float | None:
        """The mean; None before the first start."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None

    @property
    def expected_seconds(self) -> float:
        """The mean, or what is assumed before the first start."""
        return ASSUMED_SECONDS if self.measured_seconds is None else self.measured_seconds
