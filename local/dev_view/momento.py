"""The Momento emulator, by its admin calls: its settings, and the tasks in the cache of the stage."""

import re
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from local.dev_view.calls import call
from local.dev_view.tasks import CachedTask
from local.momento.fronts.admin import HEADER

_SNAPSHOT = re.compile(r"task:(\S+) (\S+)")
"""The key of a status snapshot (services/common/momento/task_status.py)."""
_HISTORY = re.compile(r"history:(\S+)")
"""The key of a notification history (services/common/momento/history.py)."""


class MomentoAdmin:
    """The admin calls of the emulator. All raise `UnavailableError` when it does not answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/_emulator"

    async def cached_tasks(self, cache_name: str) -> dict[str, CachedTask]:
        """Return the tasks in a cache, by task id."""
        items: list[Mapping[str, Any]] = (await self._call("GET", f"caches/{cache_name}"))["items"]
        return _in_histories(items) | _with_snapshots(items)

    async def settings(self) -> Mapping[str, Any]:
        """Return all settings, faults included."""
        settings: Mapping[str, Any] = await self._call("GET", "settings")
        return settings

    async def change(self, **settings: Any) -> None:
        """Change settings."""
        await self._call("PATCH", "settings", settings)

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        url, headers = f"{self._url}/{path}", {HEADER: "1"}
        return await call(self._session, "The Momento emulator", method, url, json=body, headers=headers)


def _in_histories(items: list[Mapping[str, Any]]) -> dict[str, CachedTask]:
    return {
        task_id: CachedTask(match[1])
        for item in items
        if (match := _HISTORY.fullmatch(item["key"]))
        for task_id in item.get("fields", ())
    }


def _with_snapshots(items: list[Mapping[str, Any]]) -> dict[str, CachedTask]:
    return {
        match[2]: CachedTask(match[1], _object(item.get("value")))
        for item in items
        if (match := _SNAPSHOT.fullmatch(item["key"]))
    }


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
