"""Notes in the cache how a message's attempts started and ended: SQS counts deliveries, and not each is an attempt.

Nothing is read or written for a first delivery whose handler finishes.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from notification_api import PermanentError, TransientError
from services.common.aws.task_queue import ReceivedMessage
from services.common.background import Background
from services.common.backoff import Backoff
from services.common.momento.gateway import Momento
from services.processor.cache_guard import CacheGuard
from services.processor.metrics import HISTORY_UNAVAILABLE

logger = logging.getLogger(__name__)

TTL_SECONDS = 86_400.0
NOTE_SECONDS = 1.0
"""How long a message waits until its note is written. After that, the note of an end is written in the background."""
RETRY_SECONDS = 300.0
"""How long writing the note of an end is retried."""
RETRY_BASE_SECONDS = 0.2
RETRY_CAP_SECONDS = 10.0
MAX_UNWRITTEN = 500
"""Notes of ends that may be waiting to be written; further ones are dropped."""


_UNSTARTED = "unstarted"
"""In the place of the process, in the note of an end without a start."""


class LastAttempt(StrEnum):
    """How the last attempt ended, as far as its process could note it."""

    ENDED = "ended"
    """It failed, or a drain or a lost lease interrupted it."""
    STARTED = "started"
    """It started, and no end is known: its process died, or could not note the end yet."""
    STARTED_ISOLATED = "started_isolated"
    """The same, while no other possible poison pill ran."""
    UNKNOWN = "unknown"
    """Nothing is noted, not even that it started."""
    UNAVAILABLE = "unavailable"
    """The cache cannot be read, so that the deliveries have to be counted instead."""


@dataclass(frozen=True, slots=True)
class PastAttempts:
    """What is known of a message's attempts before this delivery."""

    failed: int
    """Attempts whose handler failed."""
    last: LastAttempt
    skipped: int = 0
    """If no end is known: deliveries since the first such start in which no handler started, such as requeues."""
    is_unstarted: bool = False
    """Whether it is known that no attempt has started."""


NO_ATTEMPTS = PastAttempts(0, LastAttempt.ENDED)


class Attempts:
    """Notes how attempts start and end.

    A note of a start names the process, because a process that reads its own note has not died.

    :param momento: None if the history is switched off.
    :param background: owns the writes that outlast their message's task.
    """

    def __init__(self, momento: Momento | None, guard: CacheGuard, background: Background) -> None:
        self._momento = momento
        self._guard = guard
        self._background = background
        self._process = secrets.token_hex(4)
        self._unwritten: set[asyncio.Task[None]] = set()

    async def read(self, message: ReceivedMessage) -> PastAttempts:
        """Return what is known of earlier attempts; counts deliveries if the cache cannot be read."""
        if message.receive_count == 1:
            return NO_ATTEMPTS
        by_deliveries = PastAttempts(message.receive_count - 1, LastAttempt.UNAVAILABLE)
        if self._momento is None:
            return by_deliveries
        return await self._guard.call("attempts", partial(self._read, self._momento, message), by_deliveries)

    async def read_or_raise(self, message: ReceivedMessage) -> PastAttempts:
        """Return what is known of earlier attempts.

        :raises TransientError, PermanentError: when the cache cannot be read.
        """
        if self._momento is None:
            return await self.read(message)
        return await self._read(self._momento, message)

    async def note(
        self, message: ReceivedMessage, failed: int, last: LastAttempt, *, skipped: int = 0, late: bool = False
    ) -> None:
        """Note that the current attempt has started, or that it has ended.

        The note of an end is retried for `RETRY_SECONDS`, even after this has returned or was cancelled.

        :param skipped: of the message's `PastAttempts`.
        :param late: the lease is over, so that a later delivery may have started, whose note must not be replaced.
        """
        momento = self._momento
        if momento is None:
            return
        key = _key(message)
        if last is LastAttempt.ENDED:
            end = _EndNote(momento, key, message.receive_count, failed)
            await self._write(end.replace if late else end.set, end.replace)
            return
        value = f"{failed} {last} {self._process} {message.receive_count} {skipped}".encode()
        await self._guard.call(
            "attempts",
            lambda: momento.set(key, value, ttl_seconds=TTL_SECONDS, deadline_seconds=NOTE_SECONDS),
            None,
        )

    async def note_release(self, message: ReceivedMessage, *, is_unstarted: bool) -> None:
        """Note that the message is released by a living process, unless something is noted already.

        :param is_unstarted: no attempt has started, in this delivery and before.
        """
        if self._momento is not None:
            end = _EndNote(self._momento, _key(message), message.receive_count, 0)
            add = end.add_unstarted if is_unstarted else end.add
            await self._write(add, add)

    async def _write(self, first: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]]) -> None:
        if len(self._unwritten) >= MAX_UNWRITTEN:
            HISTORY_UNAVAILABLE.labels("attempts").inc()
            return
        write = self._background.spawn("attempt-note", _retry_until_written(first, again), may_fail=True)
        self._unwritten.add(write)
        write.add_done_callback(self._unwritten.discard)
        await asyncio.wait({write}, timeout=NOTE_SECONDS)

    async def _read(self, momento: Momento, message: ReceivedMessage) -> PastAttempts:
        note = _parse(await momento.get(_key(message)))
        if note is None:
            return PastAttempts(0, LastAttempt.UNKNOWN)
        if note.last not in {LastAttempt.STARTED, LastAttempt.STARTED_ISOLATED}:
            return PastAttempts(note.failed, note.last, is_unstarted=note.process == _UNSTARTED)
        if note.process == self._process:
            return PastAttempts(note.failed, LastAttempt.ENDED)
        since = message.receive_count - 1 - note.delivery if note.delivery else 0
        return PastAttempts(note.failed, note.last, note.skipped + max(0, since))


@dataclass(frozen=True, slots=True)
class _Note:
    """A note as it is in the cache."""

    failed: int
    last: LastAttempt
    process: str = ""
    delivery: int = 0
    """Of a start; 0 if it is unknown."""
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _EndNote:
    """The note that a delivery of a message has ended."""

    momento: Momento
    key: str
    delivery: int
    failed: int

    async def set(self) -> None:
        await self.momento.set(self.key, self._value(), ttl_seconds=TTL_SECONDS)

    async def replace(self) -> None:
        """Set it unless the note is of a later delivery, or of an end after as many failures."""
        note = _parse(await self.momento.get(self.key))
        is_newer = note is not None and note.delivery > self.delivery
        is_as_good = note is not None and note.last is LastAttempt.ENDED and note.failed >= self.failed
        if not (is_newer or is_as_good):
            await self.set()

    async def add(self) -> None:
        """Set it if nothing is noted."""
        await self.momento.set_if_absent(self.key, self._value(), ttl_seconds=TTL_SECONDS)

    async def add_unstarted(self) -> None:
        """Note that no attempt has started, if nothing is noted."""
        value = self._value() + f" {_UNSTARTED} 0 0".encode()
        await self.momento.set_if_absent(self.key, value, ttl_seconds=TTL_SECONDS)

    def _value(self) -> bytes:
        return f"{self.failed} {LastAttempt.ENDED}".encode()


async def _retry_until_written(first: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]]) -> None:
    """Retry without the cache guard: if its pause left the note out, the process would appear to have died."""
    gives_up_at = time.monotonic() + RETRY_SECONDS
    backoff = Backoff(RETRY_BASE_SECONDS, RETRY_CAP_SECONDS)
    write = first
    while True:
        try:
            await write()
            return
        except (TransientError, PermanentError) as error:
            HISTORY_UNAVAILABLE.labels("attempts").inc()
            if isinstance(error, PermanentError) or time.monotonic() >= gives_up_at:
                logger.warning("the end of an attempt could not be noted: %s", error, extra={"action": "attempts"})
                return
        await asyncio.sleep(backoff.next_seconds())
        write = again


def _key(message: ReceivedMessage) -> str:
    """Not by the task's id: a task that is redriven has all its attempts again."""
    return f"attempts:{message.message_id}"


def _parse(note: bytes | None) -> _Note | None:
    """Parse a note; None if there is none, or it is not one of this version."""
    try:
        failed, last, *start = (note or b"").decode().split()
        process, delivery, skipped = start or ("", "0", "0")
        return _Note(int(failed), LastAttempt(last), process, int(delivery), int(skipped))
    except ValueError:
        return None
