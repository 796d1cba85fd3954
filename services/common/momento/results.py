"""Whole results of finished tasks, for those that do not fit into a notification.

A result is an item ``result:<userId> <taskId>`` in the Momento cache: JSON ``{"message": …, "data": …}``, compressed
with zlib. Momento accepts items of 1 MB (docs.momentohq.com/cache/limits). Two of the largest results a
second use the default quota of 1 MB/s.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from notification_api.json_rules import MAX_RESULT_BYTES
from services.common.momento.calls import DEADLINE_SECONDS
from services.common.momento.gateway import Momento

_MAX_STORED_BYTES = MAX_RESULT_BYTES + 1_024
"""The message of a notification is longer than that of its result."""
COMPRESSION_LEVEL = 1
"""The fastest: a result of the largest size takes a few milliseconds."""


def compress(json: bytes) -> bytes:
    """Return the stored form of a result."""
    return zlib.compress(json, COMPRESSION_LEVEL)


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result that was read."""

    fields: dict[str, Any]
    """`message` and `data`."""
    stored_bytes: int
    """Its size in the cache, for the cost of the read."""


@dataclass(frozen=True, slots=True)
class Results:
    """Reads and writes results. Raises the errors of `Momento`."""

    momento: Momento
    retention_seconds: float

    async def write(
        self, user_id: str, task_id: str, compressed: bytes, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Store a result in the form that `compress` returns."""
        await self.momento.set(
            _key(user_id, task_id), compressed, ttl_seconds=self.retention_seconds, deadline_seconds=deadline_seconds
        )

    async def find(
        self, user_id: str, task_id: str, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> StoredResult | None:
        """Return the stored result, or None if there is none that can be read."""
        value = await self.momento.get(_key(user_id, task_id), deadline_seconds=deadline_seconds)
        if value is None:
            return None
        try:
            decompressor = zlib.decompressobj()
            result = orjson.loads(decompressor.decompress(value, _MAX_STORED_BYTES))
        except (zlib.error, orjson.JSONDecodeError):
            return None
        return StoredResult(result, len(value)) if isinstance(result, dict) else None


def _key(user_id: str, task_id: str) -> str:
    return f"result:{user_id} {task_id}"
