"""Topics and a cache in memory, in the loop's time; each can have an outage."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import cast

import orjson

from services.common.momento.errors import MomentoUnavailable
from services.common.momento.gateway import Momento

CALL_SECONDS = 0.002
RETRY_SECONDS = 1.0


class SimulatedMomento:
    """`topics_out` and `cache_out` are switched by the test."""

    cache_name = "model"

    def __init__(self) -> None:
        self.topics_out = False
        self.cache_out = False
        self.write_seconds = 0.0
        """How long a write of a history entry takes."""
        self.set_seconds = 0.0
        """How long a write of an item takes."""
        self.sets = 0
        """Items written."""
        self.gets = 0
        """Fields of dictionaries read."""
        self.answers_lost = False
        """Calls during an outage fail but take effect."""
        self.published: Counter[tuple[str, str]] = Counter()
        self.stored: defaultdict[str, list[str]] = defaultdict(list)
        """The statuses in the history of each task, as they were written."""
        self.dictionaries: dict[str, dict[str, bytes]] = {}
        self._items: dict[str, tuple[bytes, float]] = {}

    def as_momento(self) -> Momento:
        return cast("Momento", self)

    def readiness_problem(self) -> str | None:
        return None

    def history(self, user_id: str) -> dict[str, str]:
        """Status by task id."""
        entries = [orjson.loads(value) for value in self.dictionaries.get(f"history:{user_id}", {}).values()]
        return {entry["taskId"]: entry["status"] for entry in entries}

    async def publish(self, topic: str, text: str, *, deadline_seconds: float = 5.0) -> None:
        async for _ in self._tries("topics_out", deadline_seconds):
            if text != "probe":
                fields = orjson.loads(text)
                self.published[fields["taskId"], fields["status"]] += 1

    async def dictionary_set(
        self, name: str, field: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0
    ) -> None:
        async for _ in self._tries("cache_out", deadline_seconds):
            await asyncio.sleep(min(self.write_seconds, deadline_seconds))
            if self.write_seconds > deadline_seconds:
                raise MomentoUnavailable("no answer in time")
            self.dictionaries.setdefault(name, {})[field] = value
            if name.startswith("history:"):
                self.stored[field].append(orjson.loads(value)["status"])

    async def dictionary_get(self, name: str, field: str, *, deadline_seconds: float = 5.0) -> bytes | None:
        self.gets += 1
        async for _ in self._tries("cache_out", deadline_seconds):
            pass
        return self.dictionaries.get(name, {}).get(field)

    async def dictionary_fetch(self, name: str, *, deadline_seconds: float = 5.0) -> dict[str, bytes]:
        async for _ in self._tries("cache_out", deadline_seconds):
            pass
        return dict(self.dictionaries.get(name, {}))

    async def dictionary_remove(self, name: str, fields: list[str], *, deadline_seconds: float = 5.0) -> None:
        async for _ in self._tries("cache_out", deadline_seconds):
            for field in fields:
                self.dictionaries.get(name, {}).pop(field, None)

    async def get(self, key: str, *, deadline_seconds: float = 5.0) -> bytes | None:
        async for _ in self._tries("cache_out", deadline_seconds):
            pass
        return self._item(key)

    async def set(self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0) -> None:
        async for _ in self._tries("cache_out", deadline_seconds):
            await asyncio.sleep(self.set_seconds)
            self.sets += 1
            self._items[key] = value, time.monotonic() + ttl_seconds

    async def set_if_absent(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        stored = False
        async for _ in self._tries("cache_out", 5.0):
            if self._item(key) is None:
                self._items[key] = value, time.monotonic() + ttl_seconds
                stored = True
        return stored

    async def delete(self, key: str) -> None:
        async for _ in self._tries("cache_out", 5.0):
            self._items.pop(key, None)

    def _item(self, key: str) -> bytes | None:
        value, expires_at = self._items.get(key, (None, 0.0))
        return value if expires_at > time.monotonic() else None

    async def _tries(self, out: str, deadline_seconds: float) -> AsyncIterator[None]:
        """Yield where the call takes effect; raise at the deadline."""
        ends_at = time.monotonic() + deadline_seconds
        await asyncio.sleep(CALL_SECONDS)
        while getattr(self, out):
            if self.answers_lost:
                yield
            if time.monotonic() + RETRY_SECONDS > ends_at:
                raise MomentoUnavailable(f"{out} for {deadline_seconds} s")
            await asyncio.sleep(RETRY_SECONDS)
        yield
