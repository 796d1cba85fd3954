"""Read markers: until when a user has read the notifications, the same on every device.

A marker is an item ``read:<userId>`` in the Momento cache: epoch milliseconds as text.
"""

from dataclasses import dataclass

from services.common.momento.calls import DEADLINE_SECONDS
from services.common.momento.gateway import Momento


@dataclass(frozen=True, slots=True)
class ReadMarkers:
    """Reads and writes read markers. Raises the errors of `Momento`."""

    momento: Momento
    retention_seconds: float

    async def write(self, user_id: str, until_ms: int, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Store a user's marker."""
        await self.momento.set(
            _key(user_id),
            str(until_ms).encode(),
            ttl_seconds=self.retention_seconds,
            deadline_seconds=deadline_seconds,
        )

    async def find(self, user_id: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> int:
        """Return a user's marker, or 0 if there is none."""
        value = await self.momento.get(_key(user_id), deadline_seconds=deadline_seconds)
        return int(value) if value is not None and value.isdigit() else 0


def _key(user_id: str) -> str:
    return f"read:{user_id}"
