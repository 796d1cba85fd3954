"""The state of a task, from its log lines and the cache."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.dev_view.log_files import LogLine
from local.dev_view.tasks import CachedTask, Task, tasks_of

START = datetime(2026, 11, 28, 10, tzinfo=UTC)
ACCEPTED = {"action": "accept", "outcome": "accepted"}
FAILED_ATTEMPT = {"action": "handle", "failure": "transient", "attempt": 1}
REQUEUED = {"action": "requeue", "outcome": "requeued", "reason": "transient", "delivery": 1, "attempt": 1}


def concluded(outcome: str, **fields: object) -> dict[str, Any]:
    return {"action": "conclude", "outcome": outcome, "delivery": 1, **fields}


def task(*lines: Mapping[str, Any], cached: CachedTask | None = None) -> Task:
    """The task of these lines, one a second."""
    written = [
        LogLine("processor", START + timedelta(seconds=second), {"taskId": "task-1", **fields})
        for second, fields in enumerate(lines)
    ]
    (found,) = tasks_of(written, {"task-1": cached} if cached else {})
    return found


def test_an_accepted_task_is_queued_and_nothing_else_is_known() -> None:
    found = task(ACCEPTED)
    assert (found.status, found.type, found.user_id, found.deliveries, found.attempts) == ("queued", "", "", 0, 0)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        *((each, each) for each in ("finished", "failed", "cancelled", "expired")),
        ("malformed", "failed"),
        ("conflict", "failed"),
    ],
)
def test_a_concluded_task_has_its_final_status(outcome: str, status: str) -> None:
    assert task(ACCEPTED, concluded(outcome)).status == status


def test_deliveries_and_attempts_are_counted() -> None:
    found = task(ACCEPTED, FAILED_ATTEMPT, REQUEUED, concluded("finished", delivery=3, attempt=2, type="report"))
    assert (found.status, found.type, found.deliveries, found.attempts) == ("finished", "report", 3, 2)


def test_a_task_between_two_attempts_is_queued() -> None:
    found = task(ACCEPTED, FAILED_ATTEMPT, REQUEUED)
    assert (found.status, found.type, found.deliveries, found.attempts) == ("queued", "default", 1, 1)


def test_a_repeated_delivery_does_not_change_the_final_status() -> None:
    found = task(ACCEPTED, concluded("failed"), concluded("duplicate", delivery=2))
    assert (found.status, found.deliveries) == ("failed", 2)


def test_a_redriven_task_has_the_status_of_its_last_delivery() -> None:
    assert task(concluded("failed"), concluded("finished", redriven=True)).status == "finished"


def test_the_cache_has_the_user_and_what_runs() -> None:
    running = CachedTask("user-1", {"status": "running", "type": "report", "percent": 5})
    found = task(ACCEPTED, cached=running)
    assert (found.user_id, found.status, found.type) == ("user-1", "running", "report")


def test_a_snapshot_is_older_than_the_line_of_a_concluded_task() -> None:
    assert (
        task(ACCEPTED, concluded("finished"), cached=CachedTask("user-1", {"status": "running"})).status == "finished"
    )


def test_the_newest_task_is_first() -> None:
    lines = [
        LogLine("ingest", START + timedelta(seconds=second), {"taskId": task_id, **ACCEPTED})
        for second, task_id in enumerate(("first", "second", "first"))
    ]
    assert [one.id for one in tasks_of(lines, {})] == ["second", "first"]
