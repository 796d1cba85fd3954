"""Metrics of the ingest service."""

import asyncio

from prometheus_client import Counter

from services.common.telemetry.metrics import PREFIX

ACCEPTED = Counter("tasks_accepted", "Tasks that SQS has acknowledged.", namespace=PREFIX)
AVAILABLE = Counter(
    "tasks_available",
    "Accepted tasks that a processor may receive; a delayed task counts when its delay has passed.",
    namespace=PREFIX,
)
REFUSED = Counter(
    "tasks_refused",
    "Tasks that were refused, by reason: rate, too_large, key_reused, queue, timeout.",
    ("reason",),
    namespace=PREFIX,
)


class AcceptedTasks:
    """Counts accepted tasks, at once and again when they become available."""

    def __init__(self) -> None:
        self._delayed: dict[int, int] = {}
        """How many become available by the second of the event loop's time: at most as many keys as the longest delay
        has seconds."""

    def count(self, delay_seconds: int) -> None:
        """Count a task that SQS has just acknowledged."""
        ACCEPTED.inc()
        if not delay_seconds:
            AVAILABLE.inc()
            return
        loop = asyncio.get_running_loop()
        second = int(loop.time()) + delay_seconds + 1
        if second not in self._delayed:
            loop.call_at(second, self._become_available, second)
        self._delayed[second] = self._delayed.get(second, 0) + 1

    def _become_available(self, second: int) -> None:
        AVAILABLE.inc(self._delayed.pop(second))
