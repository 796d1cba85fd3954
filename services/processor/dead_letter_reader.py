"""Reading the dead-letter queue: SQS has no look without a receive, so what is only looked at is given back at once.

A look costs each message one of its receive count on the dead-letter queue, and hides it from others for the moment.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.common.batcher import BATCH_ENTRIES
from services.common.errors import Transient
from services.common.task_message import TASK_ID
from services.common.task_queue import ReceivedMessage, TaskQueue, Visibility

HOLD_SECONDS = 300
"""How long a message stays hidden if this command dies before it gives it back; longer than a long search takes."""
MOST_BARREN = 20
"""Receives in a row that bring nothing to look at, after which the search is given up."""
WAIT_SECONDS = 1
"""A long poll asks all of SQS's servers; a short one may miss messages (ReceiveMessage, "Short polling")."""
UNSTATED = "unstated"
"""The reason of messages that SQS itself moved here: their receives were used up without a verdict."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead-letter queue."""

    message: ReceivedMessage

    @property
    def id(self) -> str:
        return self.message.message_id

    @property
    def task_id(self) -> str:
        """The task's id; tasks of the serverless original have that of their first message."""
        return self.message.attributes.get(TASK_ID) or self.message.attributes.get("deadLetterMessageId", self.id)

    @property
    def reason(self) -> str:
        return self.message.attributes.get("deadLetterReason", UNSTATED)

    def is_named(self, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` that mean this message: its own, its task's, or its id on the task queue."""
        return {self.id, self.task_id, self.message.attributes.get("deadLetterMessageId", self.id)} & set(ids)

    def summary(self) -> dict[str, Any]:
        """What a list tells of it; never the payload."""
        given = self.message.attributes
        return {
            "messageId": self.id,
            "taskId": self.task_id,
            "userId": self.message.group_id,
            "reason": self.reason,
            "detail": given.get("deadLetterDetail", ""),
            "attempts": int(given["deadLetterAttempts"]) if given.get("deadLetterAttempts", "").isdigit() else None,
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


class Reader:
    """Reads each message once; use `opened`."""

    def __init__(self, queue: TaskQueue, limit: int, before_ms: float) -> None:
        self._queue = queue
        self._left = limit
        self._before_ms = before_ms
        self._held: dict[str, str] = {}
        self._seen: set[str] = set()
        self.gave_up = False
        """Whether the queue still gave messages at the end, none of which were to be looked at."""

    @property
    def looked_at(self) -> int:
        return len(self._seen)

    async def next_batch(self) -> list[Letter]:
        """Return up to ten letters, or none at the end: the queue is empty, or the limit is met, or it gave up.

        :raises Transient: when SQS could not be asked.
        """
        for _ in range(MOST_BARREN):
            if self._left <= 0 or not (received := await self._receive(min(BATCH_ENTRIES, self._left))):
                return []
            if new := [one for one in received if self._is_new(one)]:
                self._seen.update(one.message_id for one in new)
                self._left -= len(new)
                return [Letter(one) for one in new]
        self.gave_up = True
        return []

    def _is_new(self, message: ReceivedMessage) -> bool:
        return message.message_id not in self._seen and message.sent_ms <= self._before_ms

    async def _receive(self, count: int) -> list[ReceivedMessage]:
        """Receive and hold. An open call is awaited even when we are cancelled: cut off, it strands what it brings."""
        call = asyncio.ensure_future(self._queue.receive(count, WAIT_SECONDS, HOLD_SECONDS))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            await asyncio.wait({call})
            raise
        finally:
            if call.done() and call.exception() is None:
                self._held.update((one.message_id, one.receipt_handle) for one in call.result())
        return call.result()

    def settled(self, letter: Letter) -> None:
        """Note that the letter was deleted, so that it is not given back."""
        self._held.pop(letter.id, None)

    async def give_back(self) -> int:
        """Make everything visible again that is still held; answers how many come back only when their time is up."""
        handles, late = list(self._held.values()), 0
        for start in range(0, len(handles), BATCH_ENTRIES):
            batch = [Visibility(handle, 0) for handle in handles[start : start + BATCH_ENTRIES]]
            try:
                late += sum(outcome is not None for outcome in await self._queue.change_visibility(batch))
            except Transient:
                late += len(batch)
        self._held.clear()
        return late


@asynccontextmanager
async def opened(queue: TaskQueue, limit: int, before_ms: float = math.inf) -> AsyncIterator[Reader]:
    """Read up to `limit` messages; whatever is not settled is given back, also when the block is left by an error.

    :param before_ms: leave out what was sent later, by the server's clock.
    """
    reader = Reader(queue, limit, before_ms)
    try:
        yield reader
    finally:
        await reader.give_back()
