"""Increases of counters over a window, for pods that come and go."""

from collections import deque
from collections.abc import Iterable

from k8s.operator.api.scrape import Sample, Series


class CounterWindow:
    """The increases of many pods' counters within the latest `window_seconds`.

    A counter that is lower than before was reset, so all of it is an increase. The counters of a new pod count in full
    if the pod started after the previous poll; otherwise they are the baseline.
    """

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._last: dict[str, Sample] = {}
        self._increases: deque[tuple[float, float, dict[Series, float]]] = deque()
        self._polled_at: float | None = None

    def add(self, now: float, samples: Iterable[tuple[str, Sample, bool]]) -> None:
        """Add one poll: (pod, its counters, whether it started after the previous poll).

        The counters of a pod that is not among them are forgotten; its increases stay until the window has passed.
        """
        increases: dict[Series, float] = {}
        samples_by_pod: dict[str, Sample] = {}
        for pod, sample, is_new in samples:
            samples_by_pod[pod] = sample
            before = self._last.get(pod)
            if before is None and not is_new:
                continue
            for series, value in sample.items():
                old = (before or {}).get(series, 0.0)
                increases[series] = increases.get(series, 0.0) + (value - old if value >= old else value)
        since = self._polled_at if self._polled_at is not None else now
        self._last, self._polled_at = samples_by_pod, now
        if now > since:
            self._increases.append((since, now, increases))
        while self._increases and self._increases[0][0] < now - self.window_seconds and len(self._increases) > 1:
            self._increases.popleft()

    def increase(self, name: str, **labels: str) -> float:
        """The increase of all series with this name and these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for _, _, increases in self._increases
            for (series, its_labels), value in increases.items()
            if series == name and wanted <= set(its_labels)
        )

    def mean(self, name: str) -> float | None:
        """The mean of a histogram's observations; None if there were none."""
        count = self.increase(f"{name}_count")
        return self.increase(f"{name}_sum") / count if count else None

    def seconds(self) -> float:
        """The time between the polls that the increases lie between; 0 before the second poll."""
        return self._increases[-1][1] - self._increases[0][0] if self._increases else 0.0
