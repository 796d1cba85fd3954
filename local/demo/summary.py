"""Pairs the submitted tasks with their notifications. No I/O."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from notification_api.client import Notification


@dataclass(frozen=True, slots=True)
class Delivered:
    """The final notification of a submitted task, and how long after its POST it arrived."""

    status: str
    message: str
    seconds: float


@dataclass
class Summary:
    """What was submitted and received. A notification may arrive before the answer to its POST."""

    expected: int
    delivered: list[Delivered] = field(default_factory=list)
    _posted_at: dict[str, float] = field(default_factory=dict)
    _unmatched: dict[str, tuple[Notification, float]] = field(default_factory=dict)
    """With the time of arrival, by task id."""

    def submitted(self, task_id: str, posted_at: float) -> list[Delivered]:
        """Note an accepted task; return the notifications that arrived before it was known."""
        self._posted_at[task_id] = posted_at
        return self._match()

    def received(self, notification: Notification, received_at: float) -> list[Delivered]:
        """Note a notification; return the final ones that can now be matched. Progress does not count."""
        if notification.task_id is not None and notification.is_final:
            self._unmatched[notification.task_id] = (notification, received_at)
        return self._match()

    def _match(self) -> list[Delivered]:
        known = self._unmatched.keys() & self._posted_at.keys()
        matched = [self._delivered(task_id, *self._unmatched.pop(task_id)) for task_id in known]
        self.delivered.extend(matched)
        return matched

    def _delivered(self, task_id: str, notification: Notification, received_at: float) -> Delivered:
        return Delivered(str(notification.status), notification.message, received_at - self._posted_at[task_id])

    @property
    def is_complete(self) -> bool:
        """Whether every task was notified."""
        return len(self.delivered) == self.expected

    def problems(self) -> list[str]:
        """Say what went wrong; empty when every task finished and was notified."""
        missing = self.expected - len(self.delivered)
        failed = sum(1 for each in self.delivered if each.status != "finished")
        return [
            *([f"{missing} of {self.expected} tasks were not notified"] if missing else []),
            *([f"{failed} did not finish"] if failed else []),
            *([f"{len(self._unmatched)} notifications were of unknown tasks"] if self._unmatched else []),
        ]

    def text(self) -> str:
        """Summarise counts and times in one line."""
        times = [each.seconds for each in self.delivered]
        if not times:
            return f"{self.expected} tasks, no notifications"
        return (
            f"{self.expected} tasks, {len(times)} notifications; from POST to notification: "
            f"p50 {percentile(times, 50):.2f} s, p95 {percentile(times, 95):.2f} s, max {max(times):.2f} s"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all are not above (nearest rank); `values` not empty."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1]
