"""An SQS queue in memory, in the loop's time: visibility, receive counts, stale receipts, outages."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TypeVar, cast

from services.common.aws.queue_limit import QueueLimit
from services.common.aws.task_queue import (
    OutgoingMessage,
    QueueAnswerLost,
    QueueUnavailable,
    ReceiptExpired,
    ReceivedMessage,
    TaskQueue,
    Visibility,
)
from services.common.telemetry.faults import CallFaults

T = TypeVar("T")

SHORTEST_SECONDS = 0.005
SILENT_SECONDS = 5.0
"""The timeout of a call (`CALL_SECONDS` of the real queue)."""


@dataclass
class _Stored:
    message_id: str
    sent: OutgoingMessage
    sent_ms: int
    visible_at: float = 0.0
    receive_count: int = 0
    receipt: str = ""


class SimulatedQueue:
    """`fault` is None, "refuses", "silent" (no effect, no answer) or "answers lost" (effect, no answer)."""

    url = "model"

    def __init__(self, max_receives: int | None = None) -> None:
        self.moved: list[str] = []
        """Bodies of the messages that were moved to the dead-letter queue after `max_receives` receives."""
        self._max_receives = max_receives
        self.fault: str | None = None
        self.limit = QueueLimit()
        self.faults = CallFaults()
        self.deliveries_before = 0
        """The receive count of messages that are added."""
        self._messages: dict[str, _Stored] = {}
        self._numbers = count()
        self._changed = asyncio.Event()

    def as_queue(self) -> TaskQueue:
        return cast("TaskQueue", self)

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def bodies(self) -> list[str]:
        return [str(each.sent.body) for each in self._messages.values()]

    def add(self, message: OutgoingMessage) -> None:
        """Store a message, whatever the fault."""
        message_id = f"message-{next(self._numbers)}"
        self._messages[message_id] = _Stored(
            message_id,
            message,
            int(time.time() * 1000),
            visible_at=time.monotonic() + message.delay_seconds,
            receive_count=self.deliveries_before,
        )
        self._notify()

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        await self._before()
        for message in messages:
            self.add(message)
        return await self._after([None] * len(messages))

    async def receive(self, number: int, wait_seconds: int, visibility_seconds: int) -> list[ReceivedMessage]:
        """Where answers are lost it has no effect: no process could handle a delivery that does not reach it."""
        await self._before()
        if self.fault == "answers lost":
            return await self._after([])
        ends_at = time.monotonic() + wait_seconds
        while not (visible := self._visible(number)) and time.monotonic() < ends_at:
            await self._until_visible(ends_at)
        received = [self._receive(each, visibility_seconds) for each in visible]
        return await self._after(received)

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        """Accept a stale receipt handle, as SQS does, and keep its message."""
        await self._before()
        for each in list(self._messages.values()):
            if each.receipt in receipt_handles:
                del self._messages[each.message_id]
        return await self._after([None] * len(receipt_handles))

    async def change_visibility(self, changes: Sequence[Visibility]) -> list[Exception | None]:
        await self._before()
        return await self._after([self._change(change) for change in changes])

    async def attributes(self, *_names: str) -> Mapping[str, str]:
        await self._before()
        policy = {"maxReceiveCount": self._max_receives}
        return {} if self._max_receives is None else {"RedrivePolicy": json.dumps(policy)}

    def _visible(self, number: int) -> list[_Stored]:
        visible = [each for each in self._messages.values() if each.visible_at <= time.monotonic()][:number]
        for each in visible:
            if self._max_receives is not None and each.receive_count >= self._max_receives:
                del self._messages[each.message_id]
                self.moved.append(str(each.sent.body))
        return [each for each in visible if each.message_id in self._messages]

    async def _until_visible(self, ends_at: float) -> None:
        visible_at = min((each.visible_at for each in self._messages.values()), default=ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(visible_at, ends_at) - time.monotonic()):
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _receive(self, each: _Stored, seconds: int) -> ReceivedMessage:
        each.receive_count += 1
        each.visible_at = time.monotonic() + seconds
        each.receipt = f"{each.message_id} receipt-{next(self._numbers)}"
        return ReceivedMessage(
            message_id=each.message_id,
            receipt_handle=each.receipt,
            body=str(each.sent.body),
            attributes=each.sent.attributes,
            receive_count=each.receive_count,
            sent_ms=each.sent_ms,
            group_id=each.sent.group_id,
        )

    def _change(self, change: Visibility) -> Exception | None:
        for each in self._messages.values():
            if each.receipt == change.receipt_handle and each.visible_at > time.monotonic():
                each.visible_at = time.monotonic() + change.seconds
                self._notify()
                return None
        return ReceiptExpired("the receipt is stale")

    async def _before(self) -> None:
        await asyncio.sleep(SHORTEST_SECONDS)
        if self.fault == "refuses":
            raise QueueUnavailable("refused")
        if self.fault == "silent":
            await asyncio.sleep(SILENT_SECONDS)
            raise QueueAnswerLost("no answer")

    async def _after(self, answer: T) -> T:
        if self.fault == "answers lost":
            await asyncio.sleep(SILENT_SECONDS)
            raise QueueAnswerLost("no answer")
        return answer
