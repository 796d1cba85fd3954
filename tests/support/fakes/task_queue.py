"""A fake task queue: it records the calls, and returns what the test sets."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from services.common.aws.queue_limit import QueueLimit
from services.common.aws.task_queue import OutgoingMessage, ReceivedMessage, TaskQueue, Visibility

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS = count()


def received(user_id: str | None = "user", **fields: Any) -> ReceivedMessage:
    """A message that has just been received."""
    number = next(_NUMBERS)
    defaults: dict[str, Any] = {
        "message_id": f"message-{number}",
        "receipt_handle": f"receipt-{number}",
        "body": "{}",
        "attributes": {},
        "receive_count": 1,
        "sent_ms": 0,
        "group_id": user_id,
    }
    return ReceivedMessage(**{**defaults, **fields})


class FakeTaskQueue:
    """`outcome` returns None or an error for each entry; every call waits for `gate`."""

    url = "http://queue"

    def __init__(self) -> None:
        self.limit = QueueLimit()
        self.sent: list[list[OutgoingMessage]] = []
        self.deleted: list[list[str]] = []
        self.changed: list[list[Visibility]] = []
        self.asked: list[tuple[int, int]] = []
        """For each receive call: the number of messages, and how long it may wait."""
        self.outcome: Callable[[str], Exception | None] = lambda _: None
        self.error: Exception | None = None
        """The error of every call."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.about: dict[str, str] = {}
        """The queue's attributes."""
        self.ready: asyncio.Queue[list[ReceivedMessage]] = asyncio.Queue()

    def as_queue(self) -> TaskQueue:
        return cast("TaskQueue", self)

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        self.sent.append(list(messages))
        await self._answer()
        return [self.outcome(str(message.body)) for message in messages]

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        self.deleted.append(list(receipt_handles))
        await self._answer()
        return [self.outcome(handle) for handle in receipt_handles]

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        self.changed.append(list(changes))
        await self._answer()
        return [self.outcome(change.receipt_handle) for change in changes]

    async def receive(self, count: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Return the messages in `ready`."""
        self.asked.append((count, wait_seconds))
        await self._answer()
        return await self.ready.get()

    async def attributes(self, *names: str) -> Mapping[str, str]:
        await self._answer()
        return {name: self.about[name] for name in names if name in self.about}

    async def _answer(self) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
