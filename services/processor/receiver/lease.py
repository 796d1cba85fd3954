"""A lease: our hold on one message, for as long as it is hidden from others."""

import asyncio
from collections.abc import Callable

from services.common.aws.task_queue import ReceivedMessage
from services.processor.settings import SQS_LONGEST_HOLD_SECONDS


class Lease:
    """Our hold on one message. `on_lost` is called once, when it cannot be kept."""

    __slots__ = (
        "_clock",
        "_longest_until",
        "_settled",
        "attempt",
        "dead_letter_reason",
        "due_at",
        "ends_at",
        "expires_at",
        "give_up_slot",
        "handler_seconds",
        "lost",
        "message",
        "on_lost",
        "wait_seconds",
    )

    def __init__(self, message: ReceivedMessage, clock: Callable[[], float], expires_at: float, due_at: float) -> None:
        self.message = message
        self.expires_at = expires_at
        """When others may see the message (monotonic seconds)."""
        self.due_at = due_at
        """When it is to be extended."""
        self._longest_until = clock() + SQS_LONGEST_HOLD_SECONDS
        self.ends_at = self._longest_until
        """When it is extended no more."""
        self.lost = False
        self.on_lost: Callable[[], object] = lambda: None
        self.give_up_slot: Callable[[], None] = lambda: None
        """Lets another task run while this message waits for the history or the dead-letter queue."""
        self.attempt: int | None = None
        """The number of the handler's run in this delivery, None where it has not run; for the log, as what follows."""
        self.handler_seconds: float | None = None
        self.wait_seconds: float | None = None
        """From the acknowledgement of a new task to the start of its handler."""
        self.dead_letter_reason: str | None = None
        self._clock = clock
        self._settled: asyncio.Event | None = None

    @property
    def over(self) -> bool:
        """Whether others may have the message, also where a blocked loop has kept the keeper from noticing."""
        return self.lost or self._clock() >= self.expires_at

    def begin(self, longest_seconds: float) -> None:
        """Say that work on it begins; the time that it waited for a slot does not count."""
        self.ends_at = min(self.ends_at, self._clock() + longest_seconds)

    def conclude(self) -> None:
        """Say that the handler has ended: what is left may take as long as SQS permits, such as in an outage."""
        self.ends_at = self._longest_until

    def extending(self) -> None:
        """Note that an extension is under way."""
        if self._settled is None:
            self._settled = asyncio.Event()

    def settled(self) -> None:
        """Note that it has come back."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    async def until_settled(self) -> None:
        """Wait until no extension is under way."""
        if self._settled is not None:
            await self._settled.wait()
