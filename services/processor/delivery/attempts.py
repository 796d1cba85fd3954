"""What the cache knows of a message's earlier deliveries: the queue counts all of them, and not each was an attempt.

Nothing is read or written for a first delivery whose handler finishes.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from services.common.aws.task_queue import ReceivedMessage
from services.common.background import Background
from services.common.errors import PermanentError, Transient
from services.common.momento.gateway import Momento
from services.processor.metrics import RECORD_UNAVAILABLE
from services.processor.notify.history import Record

logger = logging.getLogger(__name__)

KEPT_SECONDS = 86_400.0
NOTE_SECONDS = 1.0
"""How long a message waits for its note. The note of an end is written beyond that, beside the message's task."""
RETRY_SECONDS = 300.0
"""How long the note of an end is tried."""
RETRY_BASE_SECONDS = 0.2
RETRY_CAP_SECONDS = 10.0
MAX_UNWRITTEN = 500
"""Notes of ends that are being written at once; beyond that they are left out."""


class Last(StrEnum):
    """How the last attempt ended, as far as its process could say."""

    ENDED = "ended"
    """It failed, or was handed back."""
    BESIDE = "beside"
    """It began, beside others, and no end is known: its process died, or could not note the end yet."""
    ALONE = "alone"
    """The like, while no other suspect ran."""
    UNNOTED = "unnoted"
    """Nothing is known of it, not even that it began."""
    UNREADABLE = "unreadable"
    """The cache does not say, so that the deliveries have to be counted instead."""


@dataclass(frozen=True, slots=True)
class Past:
    """What became of a message before this delivery."""

    failed: int
    """Attempts whose handler failed."""
    last: Last
    skipped: int = 0
    """Where no end is known: deliveries since the first such start in which no handler started, such as requeues."""


NO_PAST = Past(0, Last.ENDED)


class Attempts:
    """Notes how attempts begin and end.

    A note of a start names the process, since a process that reads its own note has not died.

    :param momento: None where the record is switched off.
    :param background: owns the writes that outlast their message's task.
    """

    def __init__(self, momento: Momento | None, record: Record, background: Background) -> None:
        self._momento = momento
        self._record = record
        self._background = background
        self._process = secrets.token_hex(4)
        self._unwritten: set[asyncio.Task[None]] = set()

    async def past(self, message: ReceivedMessage) -> Past:
        """Return what became of the message before."""
        if message.receive_count == 1:
            return NO_PAST
        unreadable = Past(message.receive_count - 1, Last.UNREADABLE)
        if self._momento is None:
            return unreadable
        return await self._record.guarded("attempts", partial(self._read, self._momento, message), unreadable)

    async def read(self, message: ReceivedMessage) -> Past:
        """Return what became of the message before, and wait for the cache instead of going on without it.

        :raises Transient, PermanentError: when the cache does not answer.
        """
        if self._momento is None:
            return await self.past(message)
        return await self._read(self._momento, message)

    async def note(
        self, message: ReceivedMessage, failed: int, last: Last, *, skipped: int = 0, late: bool = False
    ) -> None:
        """Note how the attempt that is under way has begun, or that it has ended.

        The note of an end is tried for `RETRY_SECONDS`, also after this has returned or was cancelled.

        :param skipped: of the message's `Past`.
        :param late: the lease is over, so that a later delivery may have begun, whose note must not be replaced.
        """
        momento = self._momento
        if momento is None:
            return
        key = _key(message)
        if last is Last.ENDED:
            end = _End(momento, key, message.receive_count, failed)
            await self._write(end.replace if late else end.set, end.replace)
            return
        value = f"{failed} {last} {self._process} {message.receive_count} {skipped}".encode()
        await self._record.guarded(
            "attempts",
            lambda: momento.set(key, value, ttl_seconds=KEPT_SECONDS, deadline_seconds=NOTE_SECONDS),
            None,
        )

    async def note_unstarted(self, message: ReceivedMessage) -> None:
        """Note that a living process returned the message without a start, unless something is noted already."""
        if self._momento is not None:
            end = _End(self._momento, _key(message), message.receive_count, 0)
            await self._write(end.add, end.add)

    async def _write(self, first: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]]) -> None:
        if len(self._unwritten) >= MAX_UNWRITTEN:
            RECORD_UNAVAILABLE.labels("attempts").inc()
            return
        write = self._background.spawn("attempt-note", _until_written(first, again), may_fail=True)
        self._unwritten.add(write)
        write.add_done_callback(self._unwritten.discard)
        await asyncio.wait({write}, timeout=NOTE_SECONDS)

    async def _read(self, momento: Momento, message: ReceivedMessage) -> Past:
        noted = _parsed(await momento.get(_key(message)))
        if noted is None:
            return Past(0, Last.UNNOTED)
        if noted.last not in {Last.BESIDE, Last.ALONE}:
            return Past(noted.failed, noted.last)
        if noted.process == self._process:
            return Past(noted.failed, Last.ENDED)
        since = message.receive_count - 1 - noted.delivery if noted.delivery else 0
        return Past(noted.failed, noted.last, noted.skipped + max(0, since))


@dataclass(frozen=True, slots=True)
class _Noted:
    """A note as it is in the cache."""

    failed: int
    last: Last
    process: str = ""
    delivery: int = 0
    """Of a start; 0 where that is unknown, as of one that an older version noted."""
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    """The note that a delivery of a message has ended."""

    momento: Momento
    key: str
    delivery: int
    failed: int

    async def set(self) -> None:
        value = f"{self.failed} {Last.ENDED}".encode()
        await self.momento.set(self.key, value, ttl_seconds=KEPT_SECONDS)

    async def replace(self) -> None:
        """Set it unless a later delivery's note, or as good a one, is there."""
        noted = _parsed(await self.momento.get(self.key))
        if noted is None or not (noted.delivery > self.delivery or _says_as_much(noted, self.failed)):
            await self.set()

    async def add(self) -> None:
        """Set it if nothing is noted."""
        value = f"{self.failed} {Last.ENDED}".encode()
        await self.momento.set_if_absent(self.key, value, ttl_seconds=KEPT_SECONDS)


def _says_as_much(noted: _Noted, failed: int) -> bool:
    return noted.last is Last.ENDED and noted.failed >= failed


async def _until_written(first: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]]) -> None:
    """Not guarded by the record's pause: after it, the message would look as if its process had died."""
    gives_up_at = time.monotonic() + RETRY_SECONDS
    write, longest = first, RETRY_BASE_SECONDS
    while True:
        try:
            await write()
            return
        except (Transient, PermanentError) as error:
            RECORD_UNAVAILABLE.labels("attempts").inc()
            if isinstance(error, PermanentError) or time.monotonic() >= gives_up_at:
                logger.warning("the end of an attempt could not be noted: %s", error, extra={"action": "attempts"})
                return
        await asyncio.sleep(random.uniform(longest / 2, longest))
        write, longest = again, min(RETRY_CAP_SECONDS, longest * 2)


def _key(message: ReceivedMessage) -> str:
    """Not the task's: a task that is put back from the dead-letter queue has all its attempts again."""
    return f"attempts:{message.message_id}"


def _parsed(noted: bytes | None) -> _Noted | None:
    """Read a note; None for nothing, or another version's."""
    try:
        failed, last, *start = (noted or b"").decode().split()
        process, delivery, skipped = start or ("", "0", "0")
        return _Noted(int(failed), Last(last), process, int(delivery), int(skipped))
    except ValueError:
        return None
