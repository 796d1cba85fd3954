"""The record of final notifications: what makes a redelivery harmless and lets a client catch up.

A dictionary a user in the Momento cache, ``news:<userId>``, field ``taskId``, value the notification as JSON.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import Counter

from services.common.errors import PermanentError, Transient
from services.common.metrics import PREFIX
from services.common.momento import Momento
from services.common.notification import Format, Notification, Status

logger = logging.getLogger(__name__)

NEWEST = 200
"""Notifications kept for a user."""

TRIMMED = Counter("record_trimmed", "Records removed because a user had more than are kept.", namespace=PREFIX)


@dataclass(frozen=True, slots=True)
class NewsRecord:
    """Reads and writes users' records. Errors are `Momento`'s."""

    momento: Momento
    retention_seconds: float

    async def write(self, user_id: str, notification: Notification) -> None:
        """Remember `notification` as what became of its task."""
        await self.momento.dictionary_set(
            _name(user_id),
            notification.task_id,
            notification.encode(Format.JSON).encode(),
            ttl_seconds=self.retention_seconds,
        )

    async def find(self, user_id: str, task_id: str, now_ms: int) -> Notification | None:
        """Return what became of a task, or None. What is not kept may be there still: each write renews all of it."""
        value = await self.momento.dictionary_get(_name(user_id), task_id)
        known = None if value is None else _notification(task_id, value)
        return known if known is not None and known.time_ms > self._oldest_ms(now_ms) else None

    async def since(self, user_id: str, after_ms: int, now_ms: int) -> list[Notification]:
        """Return the user's notifications later than `after_ms`, oldest first, and remove what is not kept.

        Reading is where trimming belongs: the common path of a task stays one write.
        """
        fields = await self.momento.dictionary_fetch(_name(user_id))
        kept, surplus = _newest(fields, self._oldest_ms(now_ms))
        if surplus:
            await self._trim(user_id, surplus)
        return [notification for notification in kept if notification.time_ms > after_ms]

    async def trim(self, user_id: str, now_ms: int) -> None:
        """Remove what is not kept, for a user who never reads."""
        await self.since(user_id, now_ms, now_ms)

    def _oldest_ms(self, now_ms: int) -> int:
        return now_ms - int(self.retention_seconds * 1000)

    async def _trim(self, user_id: str, task_ids: list[str]) -> None:
        TRIMMED.inc(len(task_ids))
        try:
            await self.momento.dictionary_remove(_name(user_id), task_ids)
        except (Transient, PermanentError):
            return  # they are not told either way, and the next reader removes them


def _newest(fields: Mapping[str, bytes], oldest_ms: int) -> tuple[list[Notification], list[str]]:
    readable = [one for task_id, value in fields.items() if (one := _notification(task_id, value)) is not None]
    notifications = sorted(readable, key=lambda one: (one.time_ms, one.task_id))
    kept = [one for one in notifications if one.time_ms > oldest_ms][-NEWEST:]
    keep = {one.task_id for one in kept}
    return kept, [task_id for task_id in fields if task_id not in keep]


def _notification(task_id: str, value: bytes) -> Notification | None:
    """Read a record; one that cannot be read, such as another version's, hides itself and not the others."""
    try:
        fields: dict[str, Any] = orjson.loads(value)
        return Notification(
            task_id=task_id,
            status=Status(fields["status"]),
            message=str(fields["message"]),
            time_ms=int(fields["time"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("a record cannot be read: %s", type(error).__name__, extra={"action": "record"})
        return None


def _name(user_id: str) -> str:
    return f"news:{user_id}"
