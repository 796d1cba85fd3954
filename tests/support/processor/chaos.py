"""Faults on every call to SQS and Momento, and counts of the results of a load of tasks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.sqs_fault_proxy import SqsFault, throttled

SQS_ACTIONS = ("SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
MOMENTO_METHODS = (
    *("Publish", "DictionarySet", "DictionaryGet", "DictionaryFetch", "DictionaryDelete"),
    *("SetIfNotExists", "Set", "Get", "Delete"),
)


def sqs_faults() -> list[SqsFault]:
    """About one call in seven: 5xx, throttling, resets before and after the effect, delays, silence, failed entries."""
    faults = [throttled(ratio=0.02)]
    for action in SQS_ACTIONS:
        faults += [
            SqsFault(action=action, ratio=0.03, status=503, code="ServiceUnavailable"),
            SqsFault(action=action, ratio=0.02, reset=True),
            SqsFault(action=action, ratio=0.02, reset=True, after_effect=True),
            SqsFault(action=action, ratio=0.03, delay_seconds=0.5),
            SqsFault(action=action, ratio=0.01, calls=3, never_answer=True),
        ]
        if action.endswith("Batch"):
            faults.append(SqsFault(action=action, ratio=0.05, fails=lambda entry: entry["Id"] in {"0", "3"}))
    return faults


def momento_faults() -> list[dict[str, Any]]:
    """The same for Momento; `afterEffect` is a call that took effect and whose answer was lost."""
    faults: list[dict[str, Any]] = []
    for method in MOMENTO_METHODS:
        faults += [
            {"method": method, "ratio": 0.03, "status": "UNAVAILABLE"},
            {"method": method, "ratio": 0.02, "status": "UNAVAILABLE", "afterEffect": True},
            {"method": method, "ratio": 0.01, "status": "RESOURCE_EXHAUSTED"},
            {"method": method, "ratio": 0.01, "status": "INTERNAL"},
            {"method": method, "ratio": 0.02, "delayMs": 300},
            {"method": method, "ratio": 0.005, "calls": 3, "neverAnswer": True},
        ]
    return faults


@dataclass
class Tally:
    """Which tasks were accepted, and which notifications were received."""

    accepted: set[str] = field(default_factory=set)
    posts: int = 0
    """Requests made, retries among them."""
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Notifications by task id and status."""

    def add(self, notifications: Sequence[dict[str, Any]]) -> None:
        self.received.update((one["taskId"], one["status"]) for one in notifications)

    @property
    def lost(self) -> set[str]:
        return self.accepted - {task_id for task_id, _ in self.received}

    @property
    def duplicates(self) -> int:
        """Notifications that a client drops because it has seen the same task with the same status."""
        return self.received.total() - len(self.received)

    @property
    def notified_twice(self) -> list[str]:
        """Tasks with more than one final status, which a client cannot drop."""
        final = Counter(task_id for task_id, status in self.received if status != "progress")
        return [task_id for task_id, count in final.items() if count > 1]

    @property
    def notified_without_acceptance(self) -> int:
        """Tasks whose POST was answered with an error although SQS had them."""
        return len({task_id for task_id, _ in self.received} - self.accepted)


@dataclass(frozen=True)
class Runs:
    """Which process ran which task, in order."""

    lines: Sequence[tuple[int, str]]

    @classmethod
    def read(cls, file: Path) -> "Runs":
        """Read what `processor_handlers.note` wrote."""
        return cls([(int(pid), task_id) for pid, task_id in map(str.split, file.read_text().splitlines())])

    def beyond(self, messages: Counter[str]) -> Counter[str]:
        """Runs of a task beyond one for each of its messages."""
        return Counter(task_id for _, task_id in self.lines) - messages

    def interrupted(self, killed: "Killed") -> set[str]:
        """Tasks that the killed process ran and another one after it."""
        others = {task_id for pid, task_id in self.lines if pid != killed.pid}
        return {task_id for pid, task_id in self.lines if pid == killed.pid} & others


@dataclass(frozen=True)
class Killed:
    """A process that was killed, and the state at that moment."""

    pid: int
    retried: Counter[str]
    """Its retries, by metric."""
    received: set[str]
    """Tasks whose notification had been received."""
    unstored: set[str]
    """Those of them that were not in the history."""
