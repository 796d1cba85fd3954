"""Pairs the submitted tasks with their notifications: each task must be notified exactly once. No I/O."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from notification_api.client.subscription import ReceivedNotification

FINAL_STATUSES = frozenset({"finished", "failed"})


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
    _unmatched: list[tuple[str, Delivered]] = field(default_factory=list)
    """`seconds` of these is the time of arrival."""
    _counts: dict[str, int] = field(default_factory=dict)

    def submitted(self, task_id: str, posted_at: float) -> list[Delivered]:
        """Note an accepted task; return the notifications that arrived before it was known."""
        self._posted_at[task_id] = posted_at
        return self._match()

    def received(self, notification: ReceivedNotification) -> list[Delivered]:
        """Note a message; return the final notifications that can now be matched. Progress does not count."""
        try:
            fields = json.loads(notification.text)
            task_id, status, message = fields["taskId"], fields["status"], str(fields["message"])
        except (ValueError, KeyError, TypeError):
            return []
        if status in FINAL_STATUSES:
            self._unmatched.append((task_id, Delivered(status, message, notification.received_at)))
        return self._match()

    def _match(self) -> list[Delivered]:
        matched = [self._delivered(task_id, each) for task_id, each in self._unmatched if task_id in self._posted_at]
        self._unmatched = [each for each in self._unmatched if each[0] not in self._posted_at]
        self.delivered.extend(matched)
        return matched

    def _delivered(self, task_id: str, arrived: Delivered) -> Delivered:
        self._counts[task_id] = self._counts.get(task_id, 0) + 1
        return Delivered(arrived.status, arrived.message, arrived.seconds - self._posted_at[task_id])

    @property
    def is_complete(self) -> bool:
        """Whether every task was notified."""
        return len(self._counts) == self.expected

    def problems(self) -> list[str]:
        """Say what went wrong; empty when every task finished and was notified exactly once."""
        missing = self.expected - len(self._counts)
        duplicates = sum(1 for count in self._counts.values() if count > 1)
        failed = sum(1 for each in self.delivered if each.status != "finished")
        return [
            *([f"{missing} of {self.expected} tasks were not notified"] if missing else []),
            *([f"{duplicates} of {self.expected} tasks were notified more than once"] if duplicates else []),
            *([f"{failed} failed"] if failed else []),
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
