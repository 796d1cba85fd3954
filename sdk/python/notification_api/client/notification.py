"""A notification of the user's topic or of the notification history."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL_STATUSES = frozenset({"finished", "failed", "cancelled", "expired"})
STATUSES = FINAL_STATUSES | {"progress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification about a task, or from a backend.

    Without `task_id` and `notification_id` it is plain text, which a stage sends with `NOTIFICATION_FORMAT=text`.
    """

    message: str
    task_id: str | None = None
    notification_id: str | None = None
    status: str | None = None
    """Of a task: `progress`, `finished`, `failed`, `cancelled` or `expired`."""
    time_ms: int = 0
    """When it was sent; epoch milliseconds."""
    data: Any = None
    truncated: bool = False
    """Whether `data` or `message` did not fit; the task's result is complete."""
    percent: float | None = None
    """Of progress: 0 to 100."""
    error: str | None = None
    """Of a failed task: what its handler lets the user read."""
    reason: str | None = None
    """Of a failed task: why, such as `max_attempts`."""
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All that was received."""

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.status in FINAL_STATUSES

    @property
    def key(self) -> tuple[str, ...] | None:
        """Equal for copies of one notification; None for progress and plain text, which have no identity."""
        if self.notification_id is not None:
            return (self.notification_id,)
        if self.task_id is not None and self.is_final:
            return (self.task_id, str(self.status))
        return None


def parse_item(text: str) -> Notification | None:
    """Parse a message of the topic. Text that is not a JSON object is a notification in plain text.

    :return: None for an object that is not a notification: a read marker, or a message of a later version.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return parse_notification(value) if isinstance(value, dict) else Notification(message=text)


def parse_notification(fields: object) -> Notification | None:
    """Parse an object; None if it is not a notification."""
    if not isinstance(fields, dict):
        return None
    task_id, notification_id = (_optional(fields, name, str) for name in ("taskId", "notificationId"))
    status, message = _optional(fields, "status", str), _optional(fields, "message", str)
    is_about_task = bool(task_id) and status in STATUSES
    if message is None or not (is_about_task or notification_id):
        return None
    return Notification(
        message=message,
        task_id=task_id if is_about_task else None,
        notification_id=notification_id,
        status=status if is_about_task else None,
        time_ms=_optional(fields, "time", int) or 0,
        data=fields.get("data"),
        truncated=fields.get("truncated") is True,
        percent=_optional(fields, "percent", int, float),
        error=_optional(fields, "error", str),
        reason=_optional(fields, "reason", str),
        fields=fields,
    )


def _optional(fields: Mapping[str, Any], name: str, *types: type) -> Any:
    value = fields.get(name)
    return value if isinstance(value, types) and not isinstance(value, bool) else None
