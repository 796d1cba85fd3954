"""Receiving from the dead-letter queue: SQS shows a message only by receiving it, which hides it for a while.

What is not deleted is made visible again at the end. Each receive adds one to a message's receive count on the
dead-letter queue.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from services.common.aws.task_queue import ReceivedMessage, TaskQueue, Visibility
from services.common.batcher import BATCH_ENTRIES
from services.common.errors import Transient
from services.common.messages.task_message import TASK_ID, task_id_of

HOLD_SECONDS = 300
"""How long a message stays hidden if this command is killed before it makes it visible again."""
WAIT_SECONDS = 1
"""A long poll asks all of SQS's servers; a short one may miss messages (ReceiveMessage, "Short polling")."""
UNSTATED = "unstated"
"""The reason of messages that SQS itself moved here: their receives were used up without a verdict."""
_SLOWEST_PER_SECOND = 50
"""Messages a second that are read at the least."""
_GIVE_BACK_CALLS = 8
_FAILURE_ID = "deadLetterMessageId"
_SUMMARY_ATTRIBUTES = (
    TASK_ID,
    _FAILURE_ID,
    "deadLetterReason",
    "deadLetterDetail",
    "deadLetterReceiveCount",
    "deadLetteredAt",
    "deadLetterVersion",
)
_MAX_SUMMARY_VALUE = 256


def hold_seconds(messages: int) -> int:
    """Return for how long to hide each of `messages` so that the first is still hidden when the last is read."""
    return max(HOLD_SECONDS, messages // _SLOWEST_PER_SECOND)


def now() -> float:
    """Return seconds that are counted also while this machine is suspended, as SQS counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


async def ended(work: "asyncio.Future[Any]") -> None:
    """Wait for the end of `work`, whatever it is, also when cancelled meanwhile; the cancellation is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead-letter queue."""

    message: ReceivedMessage

    @property
    def id(self) -> str:
        return self.message.message_id

    @property
    def failure_id(self) -> str:
        """The message id of the delivery that failed; what SQS itself moves here keeps its message id."""
        return self.message.attributes.get(_FAILURE_ID, self.id)

    @property
    def task_id(self) -> str:
        """The task's id; tasks of the serverless original have that of their first message."""
        return task_id_of(self.message.attributes, self.failure_id)

    @property
    def reason(self) -> str:
        return self.message.attributes.get("deadLetterReason", UNSTATED)

    def failure(self) -> bytes:
        """Return the same bytes for each dead letter of one failure, and others for every other letter.

        The body is part of it: a letter must not be deleted as the duplicate of a letter with other content.
        """
        digest = hashlib.blake2b(digest_size=16)
        for text in (self.failure_id, self.task_id, self.message.body):
            digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
        return digest.digest()

    def brief(self) -> "Letter":
        """Return the letter with no more than its summary needs: 100,000 of them have to fit into memory."""
        given = self.message.attributes
        attributes = {name: given[name][:_MAX_SUMMARY_VALUE] for name in _SUMMARY_ATTRIBUTES if name in given}
        return Letter(replace(self.message, body="", receipt_handle="", attributes=attributes))

    def is_named(self, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` that mean this message: its own, its task's, or its id on the task queue."""
        return {self.id, self.task_id, self.failure_id} & set(ids)

    def summary(self) -> dict[str, Any]:
        """What a list tells of it; never the payload."""
        given = self.message.attributes
        return {
            "messageId": self.id,
            "taskId": self.task_id,
            "userId": self.message.group_id,
            "reason": self.reason,
            "detail": given.get("deadLetterDetail", ""),
            "attempts": int(given["deadLetterReceiveCount"])
            if given.get("deadLetterReceiveCount", "").isdigit()
            else None,
            "at": given.get("deadLetteredAt"),
            "version": given.get("deadLetterVersion"),
        }

    def everything(self) -> dict[str, Any]:
        """The whole message, payload included."""
        return {
            **self.summary(),
            "sentAtMs": self.message.sent_ms,
            "receives": self.message.receive_count,
            "attributes": dict(self.message.attributes),
            "body": self.message.body,
        }


@dataclass(frozen=True, slots=True)
class _Hold:
    receipt_handle: str
    until: float
    """When the message becomes visible again by itself, by the reader's clock."""


class Reader:
    """Receives and hides messages; use `opened`."""

    def __init__(self, queue: TaskQueue, seconds: int, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._seconds = seconds
        self._clock = clock
        self._held: dict[str, _Hold] = {}

    async def receive(self, count: int) -> list[Letter]:
        """Return up to `count` letters, each once, none when SQS has none to give; one may come again later.

        :raises Transient: when SQS could not be asked.
        """
        asked_at = self._clock()  # SQS hides them later than that: the hold ends here before it ends there
        call = asyncio.ensure_future(self._queue.receive(count, WAIT_SECONDS, self._seconds))
        try:
            await ended(call)  # a long poll that is cut off strands what it brings
        finally:
            if call.exception() is None:
                until = asked_at + self._seconds
                self._held.update((one.message_id, _Hold(one.receipt_handle, until)) for one in call.result())
        return list({one.message_id: Letter(one) for one in call.result()}.values())

    def is_hidden(self, letter: Letter, seconds: float = 0.0) -> bool:
        """Tell whether nobody else can receive the letter for `seconds` from now."""
        hold = self._held.get(letter.id)
        return hold is not None and self._clock() + seconds < hold.until

    def settled(self, letter: Letter) -> None:
        """Note that the letter was deleted, so that it is not made visible again."""
        self._held.pop(letter.id, None)

    async def give_back(self) -> None:
        """Make everything visible again that is still held; where that fails, it is visible when its time is up."""
        handles = [hold.receipt_handle for hold in self._held.values()]
        self._held.clear()
        batches = iter([handles[start : start + BATCH_ENTRIES] for start in range(0, len(handles), BATCH_ENTRIES)])
        await asyncio.gather(*(self._give_back(batches) for _ in range(_GIVE_BACK_CALLS)))

    async def _give_back(self, batches: Iterable[list[str]]) -> None:
        for batch in batches:
            try:
                await self._queue.change_visibility([Visibility(handle, 0) for handle in batch])
            except Transient:
                continue


@asynccontextmanager
async def opened(
    queue: TaskQueue, seconds: int = HOLD_SECONDS, *, clock: Callable[[], float] = now
) -> AsyncIterator[Reader]:
    """Read messages; whatever is not settled is made visible again, also when the block is left by an error.

    :param seconds: how long each message is hidden.
    """
    reader = Reader(queue, seconds, clock)
    try:
        yield reader
    finally:
        await ended(asyncio.ensure_future(reader.give_back()))
