"""What the log lines, and the cache of the stage, say about each task. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from local.dev_view.log_files import LogLine
from notification_api.task import DEFAULT_TYPE

MAX_TASKS = 100
"""Of a list, the newest ones."""
QUEUED = "queued"
_REPEATED = frozenset({"duplicate", "already_acknowledged"})
"""Outcomes of a delivery after the task was concluded by another one."""
_FAILED = frozenset({"conflict", "malformed"})


@dataclass(frozen=True, slots=True)
class CachedTask:
    """A task in the cache of the stage: its user, and its snapshot if it has one."""

    user_id: str
    snapshot: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """A task, as far as it is known. Empty text and 0 mean that a value is not known yet."""

    id: str
    lines: tuple[LogLine, ...] = ()
    """The oldest first."""
    type: str = ""
    status: str = QUEUED
    user_id: str = ""
    deliveries: int = 0
    attempts: int = 0
    """Runs of the handler, as far as a line names them."""

    @property
    def first_time(self) -> datetime:
        return self.lines[0].time

    @property
    def last_line(self) -> LogLine:
        return self.lines[-1]


def tasks_of(lines: Iterable[LogLine], cached: Mapping[str, CachedTask]) -> list[Task]:
    """Return the tasks that the lines name, those that began last first.

    :param lines: the oldest first.
    :param cached: what the cache has, by task id.
    """
    by_id: dict[str, list[LogLine]] = {}
    for line in lines:
        by_id.setdefault(line.task_id, []).append(line)
    tasks = [_with_cached(_task(task_id, of_task), cached.get(task_id)) for task_id, of_task in by_id.items()]
    return sorted(tasks, key=lambda task: task.first_time, reverse=True)


def _task(task_id: str, lines: list[LogLine]) -> Task:
    task = Task(task_id, tuple(lines))
    for line in lines:
        task = _after(task, line.fields)
    return task


def _after(task: Task, fields: Mapping[str, Any]) -> Task:
    """Return what is known of the task after a line."""
    delivery = _number(fields, "delivery")
    return replace(
        task,
        status=_status(fields) or task.status,
        # The lines of a delivery name every type but the default one.
        type=str(fields.get("type") or task.type or (DEFAULT_TYPE if delivery else "")),
        deliveries=max(task.deliveries, delivery),
        attempts=max(task.attempts, _number(fields, "attempt")),
    )


def _status(fields: Mapping[str, Any]) -> str:
    """Return the status of a task after a line; empty if the line does not change it."""
    outcome = str(fields.get("outcome", ""))
    if fields.get("action") == "requeue" or outcome == "lease_lost":
        return QUEUED
    if fields.get("action") != "conclude" or outcome in _REPEATED:
        return ""
    return "failed" if outcome in _FAILED else outcome


def _with_cached(task: Task, cached: CachedTask | None) -> Task:
    """Add what only the cache knows. A snapshot is at least as new as the log lines of a task that is not concluded."""
    if cached is None:
        return task
    snapshot = cached.snapshot if task.status == QUEUED else {}
    return replace(
        task,
        user_id=cached.user_id,
        status=str(snapshot.get("status", task.status)),
        type=str(snapshot.get("type", task.type)),
    )


def _number(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0
