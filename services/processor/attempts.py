"""What the cache knows of a message's earlier deliveries: the queue counts all of them, and not each was an attempt.

Nothing is read or written for a first delivery whose handler finishes.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from services.common.momento import Momento
from services.common.task_queue import ReceivedMessage
from services.processor.record import Record

KEPT_SECONDS = 86_400.0
NOTE_SECONDS = 1.0
"""How long a note is tried: it must not hold a drain up."""


class Last(StrEnum):
    """How the last attempt ended, as far as its process could say."""

    ENDED = "ended"
    """It failed, or was handed back."""
    BESIDE = "beside"
    """It began, beside others, and no end is known: its process died."""
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


NO_PAST = Past(0, Last.ENDED)


class Attempts:
    """Notes how attempts begin and end.

    :param momento: None where the record is switched off.
    """

    def __init__(self, momento: Momento | None, record: Record) -> None:
        self._momento = momento
        self._record = record

    async def past(self, message: ReceivedMessage) -> Past:
        """Return what became of the message before."""
        if message.receive_count == 1:
            return NO_PAST
        unreadable = Past(message.receive_count - 1, Last.UNREADABLE)
        if self._momento is None:
            return unreadable
        return await self._record.guarded("attempts", partial(_read, self._momento, _key(message)), unreadable)

    async def note(self, message: ReceivedMessage, failed: int, last: Last) -> None:
        """Note how the attempt that is under way has begun, or that it has ended."""
        momento = self._momento
        if momento is None:
            return
        value = f"{failed} {last}".encode()
        await self._record.guarded(
            "attempts",
            lambda: momento.set(_key(message), value, ttl_seconds=KEPT_SECONDS, deadline_seconds=NOTE_SECONDS),
            None,
        )


def _key(message: ReceivedMessage) -> str:
    """Not the task's: a task that is put back from the dead-letter queue has all its attempts again."""
    return f"attempts:{message.message_id}"


async def _read(momento: Momento, key: str) -> Past:
    noted = await momento.get(key) or b""
    try:
        failed, last = noted.decode().split()
        return Past(int(failed), Last(last))
    except ValueError:  # nothing, or another version's
        return Past(0, Last.UNNOTED)
