"""A lease: a received message, for as long as it is hidden from other receivers."""

import asyncio
from collections.abc import Callable

from notification_api.task import DEFAULT_TYPE
from services.common.aws.task_queue import ReceivedMessage
from services.common.momento.cancel_requests import TaskKey
from services.processor.settings import SQS_MAX_LEASE_SECONDS


class Lease:
    """The lease of one message. `on_lost` is called once, when the lease cannot be extended any more."""

    __slots__ = (
        "_clock",
        "_extended",
        "_sqs_limit_at",
        "attempt",
        "dead_letter_reason",
        "due_at",
        "ends_at",
        "expires_at",
        "handler_seconds",
        "is_lost",
        "message",
        "on_lost",
        "release_slot",
        "task",
        "task_type",
        "wait_seconds",
    )

    def __init__(self, message: ReceivedMessage, clock: Callable[[], float], expires_at: float, due_at: float) -> None:
        self.message = message
        self.expires_at = expires_at
        """When the message becomes visible to others (monotonic seconds)."""
        self.due_at = due_at
        """When the lease is to be extended next."""
        self._sqs_limit_at = clock() + SQS_MAX_LEASE_SECONDS
        self.ends_at = self._sqs_limit_at
        """From then on the lease is not extended."""
        self.is_lost = False
        self.on_lost: Callable[[], object] = lambda: None
        self.release_slot: Callable[[], None] = lambda: None
        """Lets another task run while this message waits for the history or the dead-letter queue."""
        self.attempt: int | None = None
        """The number of the handler's run in this delivery, None if it has not run. This and the following are for the
        log."""
        self.handler_seconds: float | None = None
        self.wait_seconds: float | None = None
        """From the acceptance of a new task to the start of its handler."""
        self.dead_letter_reason: str | None = None
        self.task: TaskKey | None = None
        """The user and the task, once they are known."""
        self.task_type = DEFAULT_TYPE
        """The task type for metrics and slots: a registered one, or `UNKNOWN_TYPE`."""
        self._clock = clock
        self._extended: asyncio.Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether another replica may have the message, even if a blocked event loop delays the lease keeper."""
        return self.is_lost or self._clock() >= self.expires_at

    def limit(self, max_seconds: float) -> None:
        """Extend the lease for at most `max_seconds` from now: work begins, and the wait for a slot does not count."""
        self.ends_at = min(self.ends_at, self._clock() + max_seconds)

    def remove_limit(self) -> None:
        """Extend the lease for as long as SQS permits: the handler has ended, and the rest may have to wait."""
        self.ends_at = self._sqs_limit_at

    def begin_extension(self) -> None:
        """Note that a call that extends the lease is under way."""
        if self._extended is None:
            self._extended = asyncio.Event()

    def end_extension(self) -> None:
        """Note that the call has ended."""
        if self._extended is not None:
            self._extended.set()
            self._extended = None

    async def wait_for_extension(self) -> None:
        """Wait until no call that extends the lease is under way."""
        if self._extended is not None:
            await self._extended.wait()
