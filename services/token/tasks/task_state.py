"""The state of a task for its user, decided from what is stored of it, or from its id when nothing is.

Pure: it reads no cache and no clock.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from services.common.messages.notification import Notification

_FINAL = frozenset({"finished", "failed", "cancelled", "expired"})
_STATUSES = _FINAL | {"queued", "running"}
_SNAPSHOT_FIELDS = (
    *("type", "message", "data", "truncated", "progress", "attempt", "maxAttempts", "startedAt", "nextAttemptAt"),
    *("input", "title", "error", "reason"),
)

FUTURE_SECONDS = 60.0
"""How far the clock of the ingest service may be ahead of this one."""
CERTAIN_SECONDS = 900.0
"""An entry is retained in the history at least this long, so a younger task without one has not ended."""
LONGEST_SECONDS = 86_400.0
"""No task lives longer, and nothing is stored longer."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of one task."""

    fields: dict[str, Any]
    """As in the response, with `taskId` and `status`."""

    @property
    def status(self) -> str:
        """The task status."""
        status: str = self.fields["status"]
        return status

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.status in _FINAL

    @classmethod
    def from_notification(cls, notification: Notification) -> Self:
        """Return the state of a task that has ended, from its final notification."""
        fields = notification.fields()
        fields["updatedAt"] = fields.pop("time")
        return cls(fields)

    @classmethod
    def from_snapshot(cls, task_id: str, snapshot: Mapping[str, Any]) -> Self | None:
        """Return the state that a status snapshot has, or None if its status is none of this version."""
        status = snapshot.get("status")
        if not isinstance(status, str) or status not in _STATUSES:
            return None
        fields = {"taskId": task_id, "status": status}
        fields |= {name: value for name in _SNAPSHOT_FIELDS if (value := snapshot.get(name)) is not None}
        updated_at = snapshot.get("updatedAt", snapshot.get("time"))
        return cls(fields if updated_at is None else {**fields, "updatedAt": updated_at})

    @classmethod
    def queued(cls, task_id: str) -> Self:
        """Return the state of a task of which nothing is stored."""
        return cls({"taskId": task_id, "status": "queued"})


class Presumption(Enum):
    """What an id alone says of a task of which nothing is stored."""

    QUEUED = "queued"
    QUEUED_UNLESS_TRIMMED = "queued_unless_trimmed"
    """Queued, unless the user's history is full: then the entry of a task that has ended may have been trimmed."""
    UNKNOWN = "unknown"


def presume(task_id: str, now_ms: int) -> Presumption:
    """Return what the id says.

    A UUIDv7 has the time of its creation in its first 48 bits (RFC 9562, section 5.7). A UUIDv5 is from an
    Idempotency-Key; its age is not known.
    """
    try:
        parsed = uuid.UUID(task_id)
    except ValueError:
        return Presumption.UNKNOWN
    if str(parsed) != task_id:  # ingest writes ids in this form, and keys are compared as text
        return Presumption.UNKNOWN
    if parsed.version == 5:
        return Presumption.QUEUED
    age_seconds = (now_ms - (parsed.int >> 80)) / 1000
    if parsed.version != 7 or not -FUTURE_SECONDS <= age_seconds < LONGEST_SECONDS:
        return Presumption.UNKNOWN
    return Presumption.QUEUED if age_seconds <= CERTAIN_SECONDS else Presumption.QUEUED_UNLESS_TRIMMED
