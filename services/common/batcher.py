"""Sends single entries in batches, within the limits of SQS: at most 10 entries and a total size.

Without a linger time an entry is sent at once while no call is in flight; entries that arrive during a call are sent
together when it ends. Each caller gets the outcome of its own entry. A batch that is refused as a whole is split, so
that an entry fails only because of its own content.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from notification_api import TransientError
from services.common.backoff import backoff_seconds
from services.common.overload import OverloadedError

E = TypeVar("E")

BATCH_ENTRIES = 10


class BatcherFull(OverloadedError):
    """Too many entries are waiting."""

    public_detail = "Too many tasks are being sent right now. Try again in a moment."


class BatchRefusedError(Exception):
    """A call was refused because of its total size or the content of an entry; no entry was accepted.

    `error` is the outcome of an entry that is refused alone.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """Limits of batches, calls and retries."""

    max_bytes: int = 1_000_000
    """Total size of the entries of one call; SQS accepts 1 MiB."""
    max_in_flight: int = 4
    """Calls at the same time."""
    max_waiting: int = 2_000
    """Entries that may wait for a call; one more is refused."""
    max_waiting_bytes: int = 64_000_000
    """Total size of the entries that may wait, which bounds the memory."""
    idle_linger_seconds: float = 0.0
    """How long an incomplete batch waits while no call is in flight."""
    busy_linger_seconds: float = 0.02
    """How long an incomplete batch waits while a call is in flight, before it is sent in parallel."""
    attempts: int = 3
    """Calls per entry before its caller gets the error."""
    retry_base_seconds: float = 0.1
    retry_cap_seconds: float = 1.0


@dataclass(slots=True, eq=False)
class _Entry(Generic[E]):
    value: E
    size: int
    done: asyncio.Future[None]
    attempts: int = field(default=0)


class Batcher(Generic[E]):
    """Turns `submit` of single entries into few calls of `send`.

    :param send: makes one call and returns the outcome of each entry, in order: None or an error. An error that it
        raises is the outcome of every entry; after `BatchRefusedError` each half is sent by itself. Entries with a
        `TransientError` outcome are sent again.
    :param max_bytes: returns the total size that one call may have now, if that is known to be below the policy's.
    :param before_retry: returns what to send in place of an entry that failed with an error.
    """

    def __init__(
        self,
        send: Callable[[Sequence[E]], Awaitable[Sequence[Exception | None]]],
        policy: BatchPolicy,
        *,
        before_retry: Callable[[E, Exception], E] = lambda value, _error: value,
        max_bytes: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._send = send
        self._policy = policy
        self._before_retry = before_retry
        self._max_bytes = max_bytes
        self._waiting: deque[_Entry[E]] = deque()
        self._waiting_bytes = 0
        self._in_flight: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    async def submit(self, value: E, size: int = 0) -> None:
        """Send `value` in a batch; return when it was acknowledged.

        :raises BatcherFull: when too many entries are waiting.
        :raises Exception: the error of this entry.
        """
        self._drop_cancelled()
        if self._is_full(size):
            raise BatcherFull(f"{len(self._waiting)} entries of {self._waiting_bytes} bytes are waiting")
        entry = _Entry(value, size, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._waiting_bytes += size
        self._pump()
        await entry.done

    async def close(self) -> None:
        """Send all waiting entries at once and wait for every call."""
        self._closing = True
        self._pump()
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def _is_full(self, size: int) -> bool:
        if self._closing or len(self._waiting) >= self._policy.max_waiting:
            return True
        return bool(self._waiting) and self._waiting_bytes + size > self._policy.max_waiting_bytes

    def _pump(self) -> None:
        """Start the calls that are due, and a timer for the rest."""
        self._drop_cancelled()
        while self._waiting and len(self._in_flight) < self._policy.max_in_flight and self._is_due():
            self._start(self._next_batch())
        if self._waiting and self._timer is None and len(self._in_flight) < self._policy.max_in_flight:
            linger = self._policy.busy_linger_seconds if self._in_flight else self._policy.idle_linger_seconds
            self._timer = asyncio.get_running_loop().call_later(linger, self._timer_fired)

    def _is_due(self) -> bool:
        if len(self._waiting) >= BATCH_ENTRIES or self._closing:
            return True
        return not self._in_flight and self._policy.idle_linger_seconds == 0

    def _timer_fired(self) -> None:
        self._timer = None
        self._drop_cancelled()
        if self._waiting and len(self._in_flight) < self._policy.max_in_flight:
            self._start(self._next_batch())
        self._pump()

    def _drop_cancelled(self) -> None:
        """Drop the first entries whose callers were cancelled; they were never sent."""
        while self._waiting and self._waiting[0].done.cancelled():
            self._pop()

    def _pop(self) -> _Entry[E]:
        entry = self._waiting.popleft()
        self._waiting_bytes -= entry.size
        return entry

    def _next_batch(self) -> list[_Entry[E]]:
        batch: list[_Entry[E]] = []
        size = 0
        max_bytes = min(self._policy.max_bytes, self._max_bytes() or self._policy.max_bytes)
        while self._waiting and len(batch) < BATCH_ENTRIES:
            entry = self._waiting[0]
            if batch and size + entry.size > max_bytes:
                break
            self._pop()
            if not entry.done.cancelled():
                batch.append(entry)
                size += entry.size
        return batch

    def _start(self, batch: list[_Entry[E]]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not batch:
            return
        task = asyncio.get_running_loop().create_task(self._call(batch), name="batch")
        self._in_flight.add(task)
        task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._waiting and self._policy.idle_linger_seconds == 0:
            self._start(self._next_batch())
        self._pump()

    async def _call(self, batch: list[_Entry[E]]) -> None:
        """Send `batch` until each entry has its outcome; only entries that failed are sent again."""
        while batch:
            try:
                outcomes = await self._outcomes(batch)
            except BatchRefusedError:
                for half in _halves(batch):
                    await self._call([entry for entry in half if not entry.done.cancelled()])
                return
            retries = self._resolve(outcomes)
            if retries:
                await asyncio.sleep(self._pause_seconds(retries[0].attempts))
            batch = [entry for entry in retries if not entry.done.cancelled()]

    async def _outcomes(self, batch: list[_Entry[E]]) -> list[tuple[_Entry[E], Exception | None]]:
        """Make one call.

        :raises BatchRefusedError: when it was refused as a whole and has several entries.
        """
        try:
            return list(zip(batch, await self._send([entry.value for entry in batch]), strict=True))
        except BatchRefusedError as refused:
            if len(batch) > 1:
                raise
            return [(batch[0], refused.error)]
        except Exception as error:  # noqa: BLE001 — becomes the outcome of every entry
            return [(entry, error) for entry in batch]

    def _resolve(self, outcomes: list[tuple[_Entry[E], Exception | None]]) -> list[_Entry[E]]:
        """Return the outcomes to the callers; return the entries to send again."""
        retries: list[_Entry[E]] = []
        for entry, error in outcomes:
            entry.attempts += 1
            if entry.done.done():
                continue
            if error is None:
                entry.done.set_result(None)
            elif isinstance(error, TransientError) and entry.attempts < self._policy.attempts:
                entry.value = self._before_retry(entry.value, error)
                retries.append(entry)
            else:
                entry.done.set_exception(error)
        return retries

    def _pause_seconds(self, attempts: int) -> float:
        policy = self._policy
        return backoff_seconds(
            attempts, base_seconds=policy.retry_base_seconds, cap_seconds=policy.retry_cap_seconds, least_share=0
        )


def _halves(batch: list[_Entry[E]]) -> tuple[list[_Entry[E]], list[_Entry[E]]]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]
