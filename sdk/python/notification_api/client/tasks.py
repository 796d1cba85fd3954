"""The status and the result of a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from notification_api.client.notification import FINAL_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """What the services know about a task (docs: HTTP API, `GET /task/{taskId}`)."""

    task_id: str
    status: str
    """`queued`, `running`, `finished`, `failed`, `cancelled` or `expired`."""
    message: str | None = None
    data: Any = None
    truncated: bool = False
    """Whether `data` or `message` is not complete; the result is."""
    error: str | None = None
    """Of a failed task: what its handler lets the user read."""
    reason: str | None = None
    """Of a failed task: why, such as `max_attempts`."""
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole answer."""

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.status in FINAL_STATUSES

    @classmethod
    def from_fields(cls, task_id: str, status: str, fields: Mapping[str, Any]) -> Self:
        """Read the optional fields of an answer."""
        return cls(
            task_id=task_id,
            status=status,
            message=fields.get("message"),
            data=fields.get("data"),
            truncated=fields.get("truncated") is True,
            error=fields.get("error"),
            reason=fields.get("reason"),
            fields=fields,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What a finished task returned."""

    task_id: str
    message: str
    data: Any = None
    """None if its handler returned none."""
