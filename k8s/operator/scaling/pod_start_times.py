"""How long processors take to start: measured, since it is four seconds here and half a minute there."""

from collections import deque
from collections.abc import Mapping

ASSUMED_SECONDS = 4.0
"""Until a pod has been seen to start."""
LEAST_SECONDS, MOST_SECONDS = 1.0, 120.0
"""Kubernetes tells whole seconds; a pod that waited for a node to be bought says nothing about the next."""
REMEMBERED = 20


class StartTimes:
    """The starts of the last pods of one stage."""

    def __init__(self) -> None:
        self._counted: set[str] = set()
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, pods: Mapping[str, float | None]) -> None:
        """Take in all pods there are: seconds from being asked for to being ready, None while that is not known.

        Each counts once: who is ready again later has not started again.
        """
        for name, seconds in pods.items():
            if seconds is not None and name not in self._counted:
                self._counted.add(name)
                self._seconds.append(min(max(seconds, LEAST_SECONDS), MOST_SECONDS))
        self._counted &= pods.keys()

    @property
    def measured(self) -> float | None:
        """Their mean; None before the first."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None

    @property
    def seconds(self) -> float:
        """To be reckoned with."""
        return ASSUMED_SECONDS if self.measured is None else self.measured
