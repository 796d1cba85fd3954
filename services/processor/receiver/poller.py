"""The poller: receives as many messages as there are free slots, with more polls at once while the queue is full."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from notification_api import TransientError
from services.common.aws.task_queue import ReceivedMessage, TaskQueue
from services.common.backoff import backoff_seconds
from services.common.batcher import BATCH_ENTRIES
from services.processor.drain import wait_until_done
from services.processor.receiver.fair_slots import FairSlots

logger = logging.getLogger(__name__)

BUSY_LINGER_SECONDS = 0.01
"""Under load, how long free slots may accumulate before a receive call asks for fewer than ten messages."""
SHORT_WAIT_SECONDS = 1
"""The long poll while messages wait for their user's share, so that it is soon known whether other users wait. A poll
without any wait would ask only some of SQS's servers."""
HAD_TO_WAIT_SECONDS = 0.5
"""If an answer took this long, the queue was empty when the call began."""
RETRY_BASE_SECONDS = 0.4
RETRY_CAP_SECONDS = 4.0
_MAX_POLLS = 10


class Poller:
    """Receives messages: one poll while the queue is empty, more while they return as many messages as asked for.

    :param admit: takes received messages.
    :param capacity_changed: set by the pool when a slot is freed, and by the circuit breaker when a pause is over.
    :param on_reached: called once, with the queue's attributes, before the first poll.
    :param is_paused: whether nothing is to be received for now.
    :param uniform: draws the pause after a failure; tests pass their own.
    """

    def __init__(
        self,
        queue: TaskQueue,
        slots: FairSlots[Any],
        admit: Callable[[Sequence[ReceivedMessage]], None],
        capacity_changed: asyncio.Event,
        *,
        wait_seconds: int,
        visibility_seconds: int,
        on_reached: Callable[[Mapping[str, str]], None] = lambda _: None,
        is_paused: Callable[[], bool] = lambda: False,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._admit = admit
        self._capacity_changed = capacity_changed
        self._on_reached = on_reached
        self._is_paused = is_paused
        self._uniform = uniform
        self._wait_seconds = wait_seconds
        self._visibility_seconds = visibility_seconds
        self._max_polls = min(_MAX_POLLS, -(-slots.capacity // BATCH_ENTRIES))
        self._wanted_polls = 1
        self._polls: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failures = 0
        self._is_busy = False
        self._problem: str | None = "the queue was not reached yet"

    def readiness_problem(self) -> str | None:
        """Return what is wrong with the queue, for /readyz."""
        return self._problem and f"The task queue {self._queue.url} cannot be used: {self._problem}."

    async def run(self) -> None:
        """Poll until stopped, then wait to be cancelled."""
        await self._reach_queue()
        min_free = 1
        while not self._stopping.is_set():
            self._capacity_changed.clear()
            self._start_polls(min_free)
            min_free = await self._wait_for_capacity()
        await asyncio.Event().wait()  # a background task that returns counts as failed

    async def stop(self, seconds: float, force_stop: asyncio.Event) -> None:
        """Start no more polls and wait for the open ones: the messages of one that is cancelled would be delayed.

        Ends early on `force_stop`; `cancel_polls` then ends what is still open.
        """
        self._stopping.set()
        self._capacity_changed.set()
        await wait_until_done(self._polls, seconds, force_stop)

    async def cancel_polls(self, after_seconds: float) -> None:
        """Cancel the open polls after a while: SQS gives messages that were just requeued to an open poll first."""
        if self._polls:
            await asyncio.wait(self._polls, timeout=after_seconds)
        for poll in self._polls:
            poll.cancel()

    async def _reach_queue(self) -> None:
        """Read the queue's attributes, so that readiness need not wait for the first long poll."""
        while not self._stopping.is_set():
            try:
                attributes = await self._queue.attributes("QueueArn", "RedrivePolicy")
            except TransientError as error:
                await self._back_off(error)
            else:
                self._succeeded()
                self._on_reached(attributes)
                break

    async def _wait_for_capacity(self) -> int:
        """Wait until a poll may be worth starting; returns how many slots must be free for it."""
        if not self._should_accumulate():
            await self._capacity_changed.wait()
            return BATCH_ENTRIES if self._prefers_full_calls() else 1
        try:
            async with asyncio.timeout(BUSY_LINGER_SECONDS):
                while self._slots.free < BATCH_ENTRIES and not self._stopping.is_set():
                    self._capacity_changed.clear()
                    await self._capacity_changed.wait()
        except TimeoutError:
            return 1
        return BATCH_ENTRIES

    def _should_accumulate(self) -> bool:
        """Return whether a poll could be started, but one for ten messages may be worth a short wait."""
        return self._prefers_full_calls() and self._can_poll() and 0 < self._slots.free < BATCH_ENTRIES

    def _prefers_full_calls(self) -> bool:
        return self._is_busy and self._slots.capacity > BATCH_ENTRIES

    def _can_poll(self) -> bool:
        return not self._stopping.is_set() and not self._is_paused() and len(self._polls) < self._wanted_polls

    def _start_polls(self, min_free: int) -> None:
        while self._can_poll() and self._slots.free >= min_free:
            count = self._slots.reserve()
            poll = asyncio.get_running_loop().create_task(self._poll(count), name="poll")
            self._polls.add(poll)
            poll.add_done_callback(self._poll_ended)

    def _poll_ended(self, poll: "asyncio.Task[None]") -> None:
        self._polls.discard(poll)
        self._capacity_changed.set()

    async def _poll(self, count: int) -> None:
        wait_seconds = SHORT_WAIT_SECONDS if self._slots.startable else self._wait_seconds
        started = time.monotonic()
        try:
            messages = await self._queue.receive(count, wait_seconds, self._visibility_seconds)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is logged and retried after a pause
            self._slots.receive_failed(count)
            await self._back_off(error)
            return
        except asyncio.CancelledError:
            self._slots.receive_failed(count)
            raise
        self._succeeded()
        # SQS often returns fewer than asked for although it has more: that alone does not say that it is empty.
        had_to_wait = not messages or time.monotonic() - started >= HAD_TO_WAIT_SECONDS
        self._slots.received(count, found_empty=had_to_wait and len(messages) < count)
        self._adapt(count, len(messages))
        self._admit(messages)
        if self._slots.startable:  # another poll starts at once, even while long ones are open
            self._wanted_polls = max(self._wanted_polls, len(self._polls))

    def _adapt(self, asked: int, got: int) -> None:
        self._is_busy = got == asked
        if got == asked:
            self._wanted_polls = min(self._max_polls, self._wanted_polls * 2)
        else:
            self._wanted_polls = max(1, self._wanted_polls - 1) if got else 1

    def _succeeded(self) -> None:
        if self._problem is not None:
            logger.info("the task queue can be used again", extra={"action": "poll"})
        self._failures = 0
        self._problem = None

    async def _back_off(self, error: Exception) -> None:
        """Log the error and pause, unless stopped."""
        self._failures += 1
        self._wanted_polls = 1
        self._problem = str(error)
        is_known = isinstance(error, TransientError)
        logger.warning(
            "the task queue cannot be used: %s", error, exc_info=None if is_known else error, extra={"action": "poll"}
        )
        pause = backoff_seconds(
            self._failures,
            base_seconds=RETRY_BASE_SECONDS,
            cap_seconds=RETRY_CAP_SECONDS,
            least_share=0,
            uniform=self._uniform,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()
