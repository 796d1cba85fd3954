"""Reads the dead-letter queue. A message can only be read by receiving it, which hides it for a while.

Messages that are not deleted are made visible again at the end. Each receive adds one to a message's receive count on
the dead-letter queue.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from notification_api import TransientError
from services.common.aws.task_queue import ReceivedMessage, TaskQueue, Visibility
from services.common.batcher import BATCH_ENTRIES
from services.common.messages.task_message import TASK_ID, TYPE, task_id_of, task_type_of

MIN_VISIBILITY_SECONDS = 300
"""How long messages stay hidden if the command is killed."""
WAIT_SECONDS = 1
"""A long poll reads all servers of SQS; a short poll may miss messages (ReceiveMessage, "Short polling")."""
MOVED_BY_SQS = "moved_by_sqs"
"""The reason of messages without one: SQS itself moved them after maxReceiveCount receives."""
_SLOWEST_PER_SECOND = 50
"""Messages that are read per second, at least."""
_RELEASE_CALLS = 8
_FAILURE_ID = "deadLetterMessageId"
_SUMMARY_ATTRIBUTES = (
    TASK_ID,
    TYPE,
    _FAILURE_ID,
    "deadLetterReason",
    "deadLetterDetail",
    "deadLetterReceiveCount",
    "deadLetteredAt",
    "deadLetterVersion",
)
_MAX_SUMMARY_VALUE = 256


def visibility_seconds(messages: int) -> int:
    """Return how long to hide messages so that the first of `messages` is still hidden when the last is read."""
    return max(MIN_VISIBILITY_SECONDS, messages // _SLOWEST_PER_SECOND)


def now() -> float:
    """Return seconds that continue while this machine is suspended, like the visibility timeouts in SQS."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


async def wait_uninterrupted(work: "asyncio.Future[Any]") -> None:
    """Wait for the end of `work`. A cancellation is raised after it."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the dead-letter queue."""

    message: ReceivedMessage

    @property
    def id(self) -> str:
        return self.message.message_id

    @property
    def failure_id(self) -> str:
        """The message id of the delivery that failed. A message that SQS itself moved keeps its id."""
        return self.message.attributes.get(_FAILURE_ID, self.id)

    @property
    def task_id(self) -> str:
        """The task id. Tasks of the serverless original have the id of their first message."""
        return task_id_of(self.message.attributes, self.failure_id)

    @property
    def reason(self) -> str:
        return self.message.attributes.get("deadLetterReason", MOVED_BY_SQS)

    def failure_key(self) -> bytes:
        """Return a key that is equal for the dead letters of one failure only.

        It includes the body, so that a message with other content is never deleted as a duplicate.
        """
        digest = hashlib.blake2b(digest_size=16)
        for text in (self.failure_id, self.task_id, self.message.body):
            digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
        return digest.digest()

    def without_payload(self) -> "DeadLetter":
        """Return the dead letter with what its summary needs, since 100,000 of them have to fit into memory."""
        given = self.message.attributes
        attributes = {name: given[name][:_MAX_SUMMARY_VALUE] for name in _SUMMARY_ATTRIBUTES if name in given}
        return DeadLetter(replace(self.message, body="", receipt_handle="", attributes=attributes))

    def matching_ids(self, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` that match: the message id, the task id, or the message id on the task queue."""
        return {self.id, self.task_id, self.failure_id} & set(ids)

    def summary(self) -> dict[str, Any]:
        """Return the fields of a list, without the payload."""
        given = self.message.attributes
        return {
            "messageId": self.id,
            "taskId": self.task_id,
            "type": task_type_of(given),
            "userId": self.message.group_id,
            "reason": self.reason,
            "detail": given.get("deadLetterDetail", ""),
            "receiveCount": int(count) if (count := given.get("deadLetterReceiveCount", "")).isdigit() else None,
            "deadLetteredAt": given.get("deadLetteredAt"),
            "version": given.get("deadLetterVersion"),
        }

    def details(self) -> dict[str, Any]:
        """Return the whole message, payload included."""
        return {
            **self.summary(),
            "sentAtMs": self.message.sent_ms,
            "deadLetterQueueReceiveCount": self.message.receive_count,
            "attributes": dict(self.message.attributes),
            "body": self.message.body,
        }


@dataclass(frozen=True, slots=True)
class _Lease:
    receipt_handle: str
    until: float
    """When the message becomes visible again, by the reader's clock."""


class Reader:
    """Receives messages; create it with `open_reader`."""

    def __init__(self, queue: TaskQueue, seconds: int, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._seconds = seconds
        self._clock = clock
        self._leases: dict[str, _Lease] = {}

    async def receive(self, count: int) -> list[DeadLetter]:
        """Return up to `count` different dead letters. A later call may return them again.

        :raises TransientError: when the call to SQS failed.
        """
        called_at = self._clock()  # before SQS hides the messages, so the lease ends earlier here than in SQS
        call = asyncio.ensure_future(self._queue.receive(count, WAIT_SECONDS, self._seconds))
        try:
            await wait_uninterrupted(call)  # an interrupted long poll would leave its messages hidden
        finally:
            if call.exception() is None:
                until = called_at + self._seconds
                self._leases.update((one.message_id, _Lease(one.receipt_handle, until)) for one in call.result())
        return list({one.message_id: DeadLetter(one) for one in call.result()}.values())

    def is_hidden(self, dead_letter: DeadLetter, seconds: float = 0.0) -> bool:
        """Return whether the message stays hidden from other consumers for `seconds` from now."""
        lease = self._leases.get(dead_letter.id)
        return lease is not None and self._clock() + seconds < lease.until

    def mark_deleted(self, dead_letter: DeadLetter) -> None:
        """Note that the message was deleted, so that it is not made visible again."""
        self._leases.pop(dead_letter.id, None)

    async def release(self) -> None:
        """Make all other messages visible again. If that fails, they become visible when their timeout ends."""
        handles = [lease.receipt_handle for lease in self._leases.values()]
        self._leases.clear()
        batches = iter([handles[start : start + BATCH_ENTRIES] for start in range(0, len(handles), BATCH_ENTRIES)])
        await asyncio.gather(*(self._release_batches(batches) for _ in range(_RELEASE_CALLS)))

    async def _release_batches(self, batches: Iterable[list[str]]) -> None:
        for batch in batches:
            try:
                await self._queue.change_visibility([Visibility(handle, 0) for handle in batch])
            except TransientError:
                continue


@asynccontextmanager
async def open_reader(
    queue: TaskQueue, seconds: int = MIN_VISIBILITY_SECONDS, *, clock: Callable[[], float] = now
) -> AsyncIterator[Reader]:
    """Read messages. At the end of the block, also after an error, those that were not deleted become visible again.

    :param seconds: how long each message is hidden.
    """
    reader = Reader(queue, seconds, clock)
    try:
        yield reader
    finally:
        await wait_uninterrupted(asyncio.ensure_future(reader.release()))
