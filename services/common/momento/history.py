"""The notification history: it makes a redelivery harmless and lets a client catch up.

A dictionary a user in the Momento cache, ``history:<userId>``. Its fields are task ids, as a rule; the value is the
notification as JSON, with ``storedAt`` (epoch ms of the write), ``messageId`` and ``bodyHash`` where they are known.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import Counter

from services.common.errors import PermanentError, Transient
from services.common.messages.notification import Format, Notification, Status
from services.common.momento.gateway import DEADLINE_SECONDS, Momento
from services.common.momento.history_cursor import Cursor, digest
from services.common.telemetry.metrics import PREFIX

logger = logging.getLogger(__name__)

NEWEST = 200
"""Entries retained for a user, whenever they were stored within the retention."""
RECENT_SECONDS = 900.0
"""Entries beyond the newest are retained for so long. A redelivery finds its task concluded, since it comes within
minutes, and a pod whose clock is behind by less than this loses no entry."""
MAX_ENTRIES = 500
"""Entries retained for a user, recent ones included: a cursor that names all of them fits a URL."""
MAX_RECENT_BYTES = 1_000_000
"""Recent entries are retained while the history is no larger: reading it uses the quota of the writes."""

ELEMENTS_PER_OPERATION = 2
"""Two elements of a dictionary count as one cache operation, as does each kB (docs.momentohq.com/cache/limits)."""

TRIMMED = Counter("record_trimmed", "Records removed because a user had more than are kept.", namespace=PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A final notification as it is stored."""

    notification: Notification
    message_id: str | None = None
    """The SQS message id of the delivery that was dead-lettered; only where the task failed."""
    body_hash: str | None = None
    """Hex digest of the task's first body; only for an idempotent task."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a client has not been given yet, and the cursor to ask with the next time."""

    notifications: list[Notification]
    cursor: str


@dataclass(frozen=True, slots=True)
class History:
    """A user's retained notifications at one moment."""

    by_digest: Mapping[bytes, Notification]
    operations: int
    """Cache operations that the read cost, by our estimate."""

    def page(self, cursor: Cursor | None) -> Page:
        """Return the notifications that `cursor` does not name, oldest first."""
        given = cursor.digests if cursor is not None else frozenset[bytes]()
        new = [one for key, one in self.by_digest.items() if key not in given]
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
    """Reads and writes users' histories. Errors are `Momento`'s."""

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

        :param field: where an entry does not take the place of its task's own, what it is stored under.
        """
        await self.momento.dictionary_set(
            _name(user_id),
            entry.notification.task_id if field is None else field,
            _encode(entry, now_ms),
            ttl_seconds=self.retention_seconds,
            deadline_seconds=deadline_seconds,
        )

    async def find(self, user_id: str, task_id: str, now_ms: int) -> HistoryEntry | None:
        """Return a task's entry, or None, also where this version cannot read it.

        An expired entry may still exist: each write renews the whole dictionary.
        """
        value = await self.momento.dictionary_get(_name(user_id), task_id)
        if value is None:
            return None
        stored = _decode(task_id, value)
        if stored is None:
            _log_unreadable(1)
            return None
        return stored.entry if stored.stored_ms > self._oldest_ms(now_ms) else None

    async def page(self, user_id: str, cursor: Cursor | None, now_ms: int) -> Page:
        """Return the notifications that `cursor` does not name, oldest first, and the next cursor."""
        return (await self.read(user_id, now_ms)).page(cursor)

    async def read(self, user_id: str, now_ms: int, *, deadline_seconds: float = DEADLINE_SECONDS) -> History:
        """Return the user's history, and remove the entries that are not retained.

        Entries are removed on reading so that the common path of a task stays one write. An entry that is written again
        while it is being removed, such as that of an old task that was redriven, is lost: Momento removes fields
        whatever their values.

        :param deadline_seconds: of each of the two calls.
        """
        fields = await self.momento.dictionary_fetch(_name(user_id), deadline_seconds=deadline_seconds)
        readable = [one for field, value in fields.items() if (one := _decode(field, value)) is not None]
        # An entry that cannot be read is left alone: it may be a newer version's, which reads and trims it itself.
        # So there is no need for a bound here, and deleting would lose notifications during a rollout.
        if unreadable := len(fields) - len(readable):
            _log_unreadable(unreadable)
        retained = _retained(readable, self._oldest_ms(now_ms), now_ms)
        kept = {one.field for one in retained}
        surplus = [one.field for one in readable if one.field not in kept]
        if surplus:
            await self._remove(user_id, surplus, deadline_seconds)
        return History(
            {digest(one.entry.notification): one.entry.notification for one in retained},
            _operations(fields) + math.ceil(len(surplus) / ELEMENTS_PER_OPERATION),
        )

    async def trim(self, user_id: str, now_ms: int) -> None:
        """Remove the entries that are not retained, for a user who never reads."""
        await self.read(user_id, now_ms)

    def _oldest_ms(self, now_ms: int) -> int:
        return now_ms - int(self.retention_seconds * 1000)

    async def _remove(self, user_id: str, fields: list[str], deadline_seconds: float) -> None:
        TRIMMED.inc(len(fields))
        try:
            await self.momento.dictionary_remove(_name(user_id), fields, deadline_seconds=deadline_seconds)
        except (Transient, PermanentError):
            return  # they are not shown either way, and the next reader removes them


def _retained(entries: list[_Stored], oldest_ms: int, now_ms: int) -> list[_Stored]:
    """Return the newest entries, and all recent ones up to a bound, in the order of writing: a late write bears an old
    time.

    Entries that are in the future by this pod's clock are counted by themselves. Otherwise a pod whose clock is ahead
    would push out whatever the other pods write, until their clocks have reached the times it wrote.
    """
    entries = sorted((one for one in entries if one.stored_ms > oldest_ms), key=lambda one: (one.stored_ms, one.field))
    past = [one for one in entries if one.stored_ms <= now_ms]
    return past[-max(NEWEST, _recent(past, now_ms)) :] + entries[len(past) :][-NEWEST:]


def _recent(past: list[_Stored], now_ms: int) -> int:
    """Return how many of the last entries are recent, up to the bounds."""
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
    # Joined as text: parsing what was just written would cost every task.
    return entry.notification.encode(Format.JSON)[:-1].encode() + b"," + orjson.dumps(more)[1:]


def _decode(field: str, value: bytes) -> _Stored | None:
    """Read an entry; None if this version cannot. Fields that it does not know are ignored."""
    try:
        fields = orjson.loads(value)
        notification = Notification(
            task_id=_text(fields.get("taskId", field)),
            status=Status(_text(fields["status"])),
            message=_text(fields["message"]),
            time_ms=_whole(fields["time"]),
        )
        entry = HistoryEntry(
            notification=notification,
            message_id=_text_or_none(fields.get("messageId")),
            body_hash=_text_or_none(fields.get("bodyHash")),
        )
        return _Stored(field, entry, _whole(fields.get("storedAt", notification.time_ms)), len(value))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError


def _log_unreadable(count: int) -> None:
    logger.warning("history entries that cannot be read are left alone", extra={"action": "record", "entries": count})


def _name(user_id: str) -> str:
    return f"history:{user_id}"
