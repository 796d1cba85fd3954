"""What was posted and what was told: each task's news must come exactly once. No I/O."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from local.demo.news import News

FINAL = frozenset({"finished", "failed"})


@dataclass(frozen=True, slots=True)
class Told:
    """News that belongs to a task, and how long after its POST it came."""

    data: str
    status: str
    message: str
    seconds: float


@dataclass
class Tally:
    """Pairs tasks with their news, in whichever order the two become known."""

    expected: int
    told: list[Told] = field(default_factory=list)
    _posted: dict[str, tuple[str, float]] = field(default_factory=dict)
    _waiting: list[tuple[str, str, News]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def posted(self, task_id: str, data: str, at: float) -> list[Told]:
        """A task was accepted whose POST began `at`; gives what had been told of it before that was known."""
        self._posted[task_id] = (data, at)
        return self._pair()

    def heard(self, news: News) -> list[Told]:
        """A message came; gives the final news that this makes known. Progress and strangers' messages do not count."""
        try:
            fields = json.loads(news.text)
            task_id, status = fields["taskId"], fields["status"]
            message = str(fields["message"])
        except (ValueError, KeyError, TypeError):
            return []
        if status in FINAL:
            self._waiting.append((task_id, f"{status}: {message}", news))
        return self._pair()

    def _pair(self) -> list[Told]:
        known = [one for one in self._waiting if one[0] in self._posted]
        self._waiting = [one for one in self._waiting if one[0] not in self._posted]
        paired = [self._told(*one) for one in known]
        self.told.extend(paired)
        return paired

    def _told(self, task_id: str, text: str, news: News) -> Told:
        self._counts[task_id] = self._counts.get(task_id, 0) + 1
        data, posted_at = self._posted[task_id]
        status, _, message = text.partition(": ")
        return Told(data, status, message, news.at - posted_at)

    @property
    def complete(self) -> bool:
        return len(self._counts) == self.expected

    def problems(self) -> list[str]:
        """Why this was not as it should be; empty when every task was told once, as finished."""
        missing = self.expected - len(self._counts)
        doubled = sum(1 for count in self._counts.values() if count > 1)
        failed = sum(1 for told in self.told if told.status != "finished")
        return [
            *([f"{missing} of {self.expected} tasks had no news"] if missing else []),
            *([f"{doubled} of {self.expected} tasks were told more than once"] if doubled else []),
            *([f"{failed} failed"] if failed else []),
            *([f"{len(self._waiting)} pieces of news were of unknown tasks"] if self._waiting else []),
        ]

    def summary(self) -> str:
        times = [told.seconds for told in self.told]
        if not times:
            return f"{self.expected} tasks, no news"
        return (
            f"{self.expected} tasks, {len(times)} pieces of news; from POST to news: "
            f"p50 {percentile(times, 50):.2f} s, p95 {percentile(times, 95):.2f} s, max {max(times):.2f} s"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (nearest rank); `values` not empty."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1]
