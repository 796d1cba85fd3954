"""The notification history: final notifications by user, for clients that catch up and to detect redeliveries.

Each user has a dictionary in the Momento cache, ``history:<userId>``. Its fields are mostly task ids. A value is the
notification as JSON with ``storedAt`` (epoch milliseconds) and optionally ``messageId`` and ``bodyHash``.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import Counter

from notification_api import PermanentError, TransientError
from services.common.messages.notification import Format, Notification, text_of, whole_number_of
from services.common.momento.calls import DEADLINE_SECONDS
from services.common.momento.gateway import Momento
from services.common.momento.history_cursor import Cursor, digest
from services.common.telemetry.metrics import PREFIX

logger = logging.getLogger(__name__)

NEWEST = 200
"""Entries retained per user, of any age within the retention."""
RECENT_SECONDS = 900.0
"""Entries beyond the newest are retained for this time. A redelivery comes within minutes, so it finds its task; and a
pod whose clock is less than this behind loses no entry."""
MAX_ENTRIES = 500
"""Entries retained per user, recent ones included. A cursor with all of them fits into a URL."""
MAX_RECENT_BYTES = 1_000_000
"""Recent entries are retained up to this size, since reading uses the same quota as writing."""

ELEMENTS_PER_OPERATION = 2
"""Momento counts two elements of a dictionary, or 1 kB, as one operation (docs.momentohq.com/cache/limits)."""

TRIMMED = Counter(
    "history_entries_trimmed", "History entries removed because a user had more than are retained.", namespace=PREFIX
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A final notification in the history."""

    notification: Notification
    message_id: str | None = None
    """Of a failed task: the SQS message id of the delivery that was dead-lettered."""
    body_hash: str | None = None
    """Of an idempotent task: the hex digest of its first body."""


@dataclass(frozen=True, slots=True)
class Page:
    """The notifications that a client has not read yet, and the cursor for its next read."""

    notifications: list[Notification]
    cursor: str


@dataclass(frozen=True, slots=True)
class HistorySnapshot:
    """A user's retained notifications at the time of a read."""

    by_digest: Mapping[bytes, Notification]
    operations: int
    """Cache operations that the read used, estimated."""

    @property
    def is_full(self) -> bool:
        """Whether earlier entries may have been removed."""
        return len(self.by_digest) >= NEWEST

    def page(self, cursor: Cursor | None) -> Page:
        """Return the notifications that `cursor` does not contain, oldest first."""
        known = cursor.digests if cursor is not None else frozenset[bytes]()
        new = [one for key, one in self.by_digest.items() if key not in known]
        new.sort(key=lambda one: (one.time_ms, one.task_id))
        return Page(new, str(Cursor(frozenset(self.by_digest))))


@dataclass(frozen=True, slots=True)
class _Stored:
    field: str
    entry: HistoryEntry
    stored_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NotificationHistory:
    """Reads and writes the histories of users. Raises the errors of `Momento`."""

    momento: Momento
    retention_seconds: float

    async def write(
        self,
        user_id: str,
        entry: HistoryEntry,
        now_ms: int,
        *,
        field: str | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Store `entry`.

        :param field: the dictionary field; by default the task id, which replaces an earlier entry of the task.
        """
        await self.momento.dictionary_set(
            _name(user_id),
            entry.notification.task_id if field is None else field,
            _encode(entry, now_ms),
            ttl_seconds=self.retention_seconds,
            deadline_seconds=deadline_seconds,
        )

    async def find(
        self, user_id: str, task_id: str, now_ms: int, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> HistoryEntry | None:
        """Return a task's entry, or None if there is none that this version can read.

        Expired entries may still be stored, since each write renews the whole dictionary. They are ignored.
        """
        value = await self.momento.dictionary_get(_name(user_id), task_id, deadline_seconds=deadline_seconds)
        if value is None:
            return None
        stored = _decode(task_id, value)
        if stored is None:
            _log_unreadable(1)
            return None
        return stored.entry if stored.stored_ms > self._oldest_ms(now_ms) else None

    async def page(self, user_id: str, cursor: Cursor | None, now_ms: int) -> Page:
        """Return the notifications that `cursor` does not contain, oldest first, and the next cursor."""
        return (await self.read(user_id, now_ms)).page(cursor)

    async def read(self, user_id: str, now_ms: int, *, deadline_seconds: float = DEADLINE_SECONDS) -> HistorySnapshot:
        """Return the user's history, and remove the entries that are not retained.

        Entries are removed here so that a task needs one write only. An entry that is written again during the removal,
        such as that of an old task that was redriven, is lost: Momento removes fields whatever their values.

        :param deadline_seconds: for each of the two calls.
        """
        fields = await self.momento.dictionary_fetch(_name(user_id), deadline_seconds=deadline_seconds)
        readable = [one for field, value in fields.items() if (one := _decode(field, value)) is not None]
        # Unreadable entries are not removed: they may be from a newer version, which trims them itself. Removing them
        # would lose notifications during a rollout.
        if unreadable := len(fields) - len(readable):
            _log_unreadable(unreadable)
        retained = _retained(readable, self._oldest_ms(now_ms), now_ms)
        kept = {one.field for one in retained}
        surplus = [one.field for one in readable if one.field not in kept]
        if surplus:
            await self._remove(user_id, surplus, deadline_seconds)
        return HistorySnapshot(
            {digest(one.entry.notification): one.entry.notification for one in retained},
            _operations(fields) + math.ceil(len(surplus) / ELEMENTS_PER_OPERATION),
        )

    async def trim(self, user_id: str, now_ms: int) -> None:
        """Remove the entries that are not retained, for a user who never reads the history."""
        await self.read(user_id, now_ms)

    def _oldest_ms(self, now_ms: int) -> int:
        return now_ms - int(self.retention_seconds * 1000)

    async def _remove(self, user_id: str, fields: list[str], deadline_seconds: float) -> None:
        TRIMMED.inc(len(fields))
        try:
            await self.momento.dictionary_remove(_name(user_id), fields, deadline_seconds=deadline_seconds)
        except (TransientError, PermanentError):
            return  # they are not returned in any case, and the next read removes them


def _retained(entries: list[_Stored], oldest_ms: int, now_ms: int) -> list[_Stored]:
    """Return the newest entries, and all recent ones up to a limit, in the order of writing.

    Entries in the future, by this pod's clock, have a limit of their own. Otherwise the entries of a pod whose clock is
    ahead would displace those of all other pods.
    """
    entries = sorted((one for one in entries if one.stored_ms > oldest_ms), key=lambda one: (one.stored_ms, one.field))
    past = [one for one in entries if one.stored_ms <= now_ms]
    return past[-max(NEWEST, _recent(past, now_ms)) :] + entries[len(past) :][-NEWEST:]


def _recent(past: list[_Stored], now_ms: int) -> int:
    """Return how many of the last entries are recent, up to the limits."""
    count = size_bytes = 0
    for one in reversed(past[-MAX_ENTRIES:]):
        size_bytes += one.size_bytes
        if one.stored_ms <= now_ms - RECENT_SECONDS * 1000 or size_bytes > MAX_RECENT_BYTES:
            break
        count += 1
    return count


def _operations(fields: Mapping[str, bytes]) -> int:
    size_bytes = sum(len(field.encode()) + len(value) for field, value in fields.items())
    return max(1, math.ceil(len(fields) / ELEMENTS_PER_OPERATION), math.ceil(size_bytes / 1024))


def _encode(entry: HistoryEntry, now_ms: int) -> bytes:
    more: dict[str, Any] = {"storedAt": now_ms}
    if entry.message_id is not None:
        more["messageId"] = entry.message_id
    if entry.body_hash is not None:
        more["bodyHash"] = entry.body_hash
    # Joined as text, since parsing the JSON again would cost time for every task.
    return entry.notification.encode(Format.JSON)[:-1].encode() + b"," + orjson.dumps(more)[1:]


def _decode(field: str, value: bytes) -> _Stored | None:
    """Parse an entry; None if it is invalid. Unknown fields are ignored."""
    try:
        fields = orjson.loads(value)
        notification = Notification.from_fields(fields, default_task_id=field)
        entry = HistoryEntry(
            notification=notification,
            message_id=_text_or_none(fields.get("messageId")),
            body_hash=_text_or_none(fields.get("bodyHash")),
        )
        return _Stored(field, entry, whole_number_of(fields.get("storedAt", notification.time_ms)), len(value))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _text_or_none(value: object) -> str | None:
    return None if value is None else text_of(value)


def _log_unreadable(count: int) -> None:
    logger.warning("history entries cannot be read", extra={"action": "history", "entries": count})


def _name(user_id: str) -> str:
    return f"history:{user_id}"
