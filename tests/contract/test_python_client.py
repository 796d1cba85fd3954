"""The Python client has a place for every property of the contract: what it parses is what the examples have."""

from collections.abc import Mapping
from typing import Any

import pytest

from k8s.contract_files import schemas
from notification_api.client.notification import parse_notification
from notification_api.client.tasks import TaskStatus

ATTRIBUTES = {"taskId": "task_id", "time": "time_ms"}
"""By property, where the names differ."""
IN_FIELDS_ONLY = {
    *("type", "input", "title", "attempt", "maxAttempts", "startedAt", "nextAttemptAt"),
    *("progress", "cancelRequestedAt", "updatedAt"),
}
"""Properties that have no attribute of their own."""


def examples(*names: str) -> list[Any]:
    return [
        pytest.param(example, id=f"{name}-{number}")
        for name in names
        for number, example in enumerate(schemas()[name]["examples"])
    ]


def parsed(value: Any, example: Mapping[str, Any]) -> dict[str, Any]:
    """What a parsed object has of the example's properties."""
    return {name: getattr(value, ATTRIBUTES.get(name, name)) for name in example if name not in IN_FIELDS_ONLY}


def expected(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in example.items() if name not in IN_FIELDS_ONLY}


@pytest.mark.parametrize("example", examples("FinalNotification", "ProgressNotification"))
def test_a_notification_is_parsed_whole(example: dict[str, Any]) -> None:
    notification = parse_notification(example)
    assert notification is not None
    assert parsed(notification, example) == expected(example)
    assert notification.fields == example
    assert notification.is_final == (example["status"] != "progress")


@pytest.mark.parametrize("example", examples("TaskStatus"))
def test_a_status_is_parsed_whole(example: dict[str, Any]) -> None:
    status = TaskStatus.from_fields(example["taskId"], example["status"], example)
    assert parsed(status, example) == expected(example)
    assert status.fields == example
    assert status.is_final == (example["status"] not in {"queued", "running"})
