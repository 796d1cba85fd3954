"""A dead-letter queue in memory with the receives and deletions of SQS, in any order and with any failure."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

from services.common.aws.task_queue import OutgoingMessage, ReceivedMessage, TaskQueue, Visibility

_NUMBERS = count()


@dataclass
class Stored:
    """A message in the queue."""

    message: ReceivedMessage
    receipt_handle: str = ""
    is_visible: bool = True


class ModelQueue:
    """Stores messages; a test may replace the functions.

    `order` decides which visible messages are received first. `before` and `after` are called with the name of each
    call, and may raise. `refuses` answers the error of one entry.
    """

    url = "http://queue"

    def __init__(self, *messages: ReceivedMessage) -> None:
        self.stored: dict[str, Stored] = {}
        self.calls: list[str] = []
        self.sent: list[OutgoingMessage] = []
        self.asked: list[tuple[int, int]] = []
        """For each receive: the number of messages, and for how long they are hidden."""
        self.counted: int | None = None
        """The number of visible messages that SQS reports; None for the real number."""
        self.order: Callable[[list[str]], list[str]] = lambda names: names
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self.refuses: Callable[[str, str], Exception | None] = lambda _call, _body: None
        for message in messages:
            self.add(message)

    def as_queue(self) -> TaskQueue:
        return cast("TaskQueue", self)

    def add(self, message: ReceivedMessage) -> None:
        self.stored[message.message_id] = Stored(message)

    @property
    def names(self) -> set[str]:
        return set(self.stored)

    @property
    def hidden(self) -> set[str]:
        return {name for name, one in self.stored.items() if not one.is_visible}

    def show_again(self, name: str) -> None:
        """Make a message visible whose visibility timeout has ended."""
        self.stored[name].is_visible = True

    async def receive(self, count: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        await self._begin("receive")
        self.asked.append((count, visibility_seconds))
        visible = [name for name, one in self.stored.items() if one.is_visible]
        given = [self._hand_out(name) for name in self.order(visible)[:count]]
        await self._end("receive")
        return given

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        await self._begin("send")
        outcomes = [self.refuses("send", str(message.body)) for message in messages]
        self.sent += [message for message, error in zip(messages, outcomes, strict=True) if error is None]
        await self._end("send")
        return outcomes

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        """Delete; as in SQS, an old receipt handle deletes nothing and is no error."""
        await self._begin("delete")
        outcomes: list[Exception | None] = []
        for handle in receipt_handles:
            stored = self._of(handle)
            outcomes.append(self.refuses("delete", stored.message.body) if stored else None)
            if stored and outcomes[-1] is None:
                del self.stored[stored.message.message_id]
        await self._end("delete")
        return outcomes

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        await self._begin("change-visibility")
        for change in changes:
            if stored := self._of(change.receipt_handle):
                stored.is_visible = change.seconds == 0
        await self._end("change-visibility")
        return [None] * len(changes)

    async def attributes(self, *names: str) -> Mapping[str, str]:
        await self._begin("attributes")
        visible = len(self.stored) - len(self.hidden) if self.counted is None else self.counted
        return {name: str(len(self.hidden) if name.endswith("NotVisible") else visible) for name in names}

    async def _begin(self, call: str) -> None:
        self.calls.append(call)
        self.before(call)
        await asyncio.sleep(0)  # as on a network, other tasks run here, and the caller may be cancelled

    async def _end(self, call: str) -> None:
        self.after(call)
        await asyncio.sleep(0)

    def _hand_out(self, name: str) -> ReceivedMessage:
        stored = self.stored[name]
        stored.receipt_handle = f"{name}#{next(_NUMBERS)}"
        stored.is_visible = False
        return replace(stored.message, receipt_handle=stored.receipt_handle)

    def _of(self, receipt_handle: str) -> Stored | None:
        stored = self.stored.get(receipt_handle.partition("#")[0])
        return stored if stored is not None and stored.receipt_handle == receipt_handle else None
