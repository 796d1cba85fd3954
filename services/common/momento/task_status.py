"""Status snapshots: what is known of a task that has no final notification yet.

A snapshot is an item ``task:<userId> <taskId>`` in the Momento cache. It is advisory: the notification history has the
final state. Tasks that end within two seconds have none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.common.momento.calls import DEADLINE_SECONDS
from services.common.momento.gateway import Momento


@dataclass(frozen=True, slots=True)
class TaskStatuses:
    """Reads and writes status snapshots. Raises the errors of `Momento`."""

    momento: Momento
    retention_seconds: float

    async def write(
        self, user_id: str, task_id: str, snapshot: Mapping[str, Any], *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Store a task's snapshot; the last one counts."""
        await self.momento.set(
            _key(user_id, task_id),
            orjson.dumps(snapshot),
            ttl_seconds=self.retention_seconds,
            deadline_seconds=deadline_seconds,
        )

    async def find(
        self, user_id: str, task_id: str, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> dict[str, Any] | None:
        """Return a task's snapshot, or None if there is none that can be read."""
        value = await self.momento.get(_key(user_id, task_id), deadline_seconds=deadline_seconds)
        try:
            snapshot = orjson.loads(value or b"null")
        except orjson.JSONDecodeError:
            return None
        return snapshot if isinstance(snapshot, dict) else None


def _key(user_id: str, task_id: str) -> str:
    return f"task:{user_id} {task_id}"
