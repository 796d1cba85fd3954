"""Cancel requests: the tasks of a stage that their users want to stop.

They are the fields ``<userId> <taskId>`` of one dictionary, ``task-cancels``, in the Momento cache. Each replica of the
processor reads it about once a second, so a task needs no read of its own. A value is the time of the request in epoch
milliseconds. A processor removes the request of a task that is concluded.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.common.momento.calls import DEADLINE_SECONDS
from services.common.momento.gateway import Momento

NAME = "task-cancels"
RETENTION_SECONDS = 86_400.0
"""How long a request counts, which is as long as a task may wait. The dictionary expires a day after the last one."""

TaskKey = tuple[str, str]
"""User id and task id."""


@dataclass(frozen=True, slots=True)
class CancelRequests:
    """Reads and writes cancel requests. Raises the errors of `Momento`."""

    momento: Momento

    async def add(
        self, user_id: str, task_id: str, time_ms: int, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Store a request."""
        await self.momento.dictionary_set(
            NAME,
            _field(user_id, task_id),
            str(time_ms).encode(),
            ttl_seconds=RETENTION_SECONDS,
            deadline_seconds=deadline_seconds,
        )

    async def fetch(self, *, deadline_seconds: float = DEADLINE_SECONDS) -> dict[TaskKey, int]:
        """Return the time of each request, also of expired ones."""
        fields = await self.momento.dictionary_fetch(NAME, deadline_seconds=deadline_seconds)
        requests: dict[TaskKey, int] = {}
        for field, value in fields.items():
            user_id, _, task_id = field.partition(" ")
            requests[user_id, task_id] = int(value) if value.isdigit() else 0
        return requests

    async def remove(self, tasks: Iterable[TaskKey], *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Remove the requests of tasks; missing ones are ignored."""
        fields = [_field(*task) for task in tasks]
        await self.momento.dictionary_remove(NAME, fields, deadline_seconds=deadline_seconds)


def _field(user_id: str, task_id: str) -> str:
    return f"{user_id} {task_id}"
