"""Counters of pods that come and go, turned into increases over a window."""

from collections import deque
from collections.abc import Iterable

from k8s.operator.api.scrape import Sample, Series


class Increases:
    """What the counters of many pods grew by within the last `window_seconds`.

    A counter that is lower than before has begun anew: all of it is growth. That of a pod first seen counts in full
    where the pod is known to be younger than the last look; otherwise it is where counting begins.
    """

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._last: dict[str, Sample] = {}
        self._grown: deque[tuple[float, float, dict[Series, float]]] = deque()
        self._looked_at: float | None = None

    def add(self, now: float, samples: Iterable[tuple[str, Sample, bool]]) -> None:
        """Take in one look: (pod, its counters, whether it is new since the last look).

        A pod that is not among them is forgotten; what it grew by stays until the window has passed.
        """
        grown: dict[Series, float] = {}
        seen: dict[str, Sample] = {}
        for pod, sample, is_new in samples:
            seen[pod] = sample
            before = self._last.get(pod)
            if before is None and not is_new:
                continue
            for series, value in sample.items():
                old = (before or {}).get(series, 0.0)
                grown[series] = grown.get(series, 0.0) + (value - old if value >= old else value)
        since = self._looked_at if self._looked_at is not None else now
        self._last, self._looked_at = seen, now
        if now > since:
            self._grown.append((since, now, grown))
        while self._grown and self._grown[0][0] < now - self.window_seconds and len(self._grown) > 1:
            self._grown.popleft()

    def total(self, name: str, **labels: str) -> float:
        """The growth of all series of this name and these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for _, _, grown in self._grown
            for (series, its_labels), value in grown.items()
            if series == name and wanted <= set(its_labels)
        )

    def seconds(self) -> float:
        """The time that the growth was measured over; 0 before the second look."""
        return self._grown[-1][1] - self._grown[0][0] if self._grown else 0.0
