"""Polling: receives as many messages as there are slots for, with more pollers while the queue gives plenty."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from services.common.aws.task_queue import ReceivedMessage, TaskQueue
from services.common.batcher import BATCH_ENTRIES
from services.common.errors import Transient
from services.processor.receiver.fair_slots import Slots

logger = logging.getLogger(__name__)

BUSY_LINGER_SECONDS = 0.01
"""Under load, how long slots may gather before a receive call asks for fewer than ten messages."""
SHORT_WAIT_SECONDS = 1
"""The long poll while messages wait for a slot within their user's share: whether others wait is to be known soon. A
poll without any wait would ask some of SQS's servers only, and prove nothing. Nor may slots that are not free yet be
promised for longer."""
HAD_TO_WAIT_SECONDS = 0.5
"""An answer that took this long had nothing to bring at first."""
RETRY_CAP_SECONDS = 4.0
_MOST_POLLERS = 10


class Accept(Protocol):
    """Takes received messages, and whether they were asked for ahead of free slots."""

    def __call__(self, messages: Sequence[ReceivedMessage], /, *, ahead: bool) -> None: ...


class Poller:
    """Asks the queue for work: one idle poller, more while receives come back full.

    :param on_reached: called once, with the queue's attributes, before the first poll.
    :param is_paused: whether no work is to be taken for now; call `wake` when that is over.
    """

    def __init__(
        self,
        queue: TaskQueue,
        slots: Slots[Any],
        accept: Accept,
        *,
        wait_seconds: int,
        visibility_seconds: int,
        on_reached: Callable[[Mapping[str, str]], None] = lambda _: None,
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._accept = accept
        self._on_reached = on_reached
        self._is_paused = is_paused
        self._wait_seconds = wait_seconds
        self._visibility_seconds = visibility_seconds
        self._most = min(_MOST_POLLERS, -(-slots.capacity // BATCH_ENTRIES))
        self._wanted = 1
        self._polls: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failures = 0
        self._busy = False
        self._gathering = False
        self._calls_ahead = 0
        self._problem: str | None = "the queue was not reached yet"

    def readiness_problem(self) -> str | None:
        """Say what is wrong with the queue, for /readyz."""
        return self._problem and f"The task queue {self._queue.url} cannot be used: {self._problem}."

    def wake(self) -> None:
        """Say that a slot has become free, or that a pause is over."""
        if not self._gathering or self._slots.room >= BATCH_ENTRIES:
            self._wake.set()

    async def run(self) -> None:
        """Poll until stopped; ends when it is cancelled."""
        await self._until_reached()
        least = 1
        while not self._stopping.is_set():
            self._wake.clear()
            self._launch(least)
            least = await self._next()
        await asyncio.Event().wait()  # an end of its own would be taken for a failure

    async def stop(self, seconds: float, force_stop: asyncio.Event) -> None:
        """Poll no more, and wait for the open polls: a poll that is cut off strands what it was about to bring.

        Ends early when force_stop; `cut_off` then ends what is still open.
        """
        self._stopping.set()
        self._wake.set()
        hurry = asyncio.get_running_loop().create_task(force_stop.wait(), name="hurry")
        try:
            ends_at = time.monotonic() + seconds
            while self._polls and not hurry.done() and (left := ends_at - time.monotonic()) > 0:
                await asyncio.wait({*self._polls, hurry}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()

    async def cut_off(self, seconds: float) -> None:
        """End the open polls, if any: messages that were just given back go to an open poll first, and at once."""
        if self._polls:
            await asyncio.wait(self._polls, timeout=seconds)
        for poll in self._polls:
            poll.cancel()

    async def _until_reached(self) -> None:
        """Ask for attributes, so that readiness need not wait for the first long poll."""
        while not self._stopping.is_set():
            try:
                attributes = await self._queue.attributes("QueueArn", "RedrivePolicy")
            except Transient as error:
                await self._pause_after(error)
            else:
                self._reached()
                self._on_reached(attributes)
                break

    async def _next(self) -> int:
        """Wait until there may be something to ask for; answers how many messages are worth a call."""
        if self._should_gather():
            self._gathering = True
            try:
                async with asyncio.timeout(BUSY_LINGER_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                return 1
            finally:
                self._gathering = False
        else:
            await self._wake.wait()
        return BATCH_ENTRIES if self._calls_for_ten() else 1

    def _should_gather(self) -> bool:
        """Tell whether a call could be made for the free slots, but one for ten may be worth a short wait."""
        return self._calls_for_ten() and self._can_launch() and 0 < self._slots.room < BATCH_ENTRIES

    def _calls_for_ten(self) -> bool:
        return self._busy and self._slots.capacity > BATCH_ENTRIES

    def _can_launch(self) -> bool:
        return self._may_poll() and len(self._polls) < self._wanted

    def _launch(self, least: int) -> None:
        while self._can_launch() and self._slots.room >= least:
            count = self._slots.reserve()
            ahead = self._slots.is_overbooked
            self._calls_ahead += ahead
            poll = asyncio.get_running_loop().create_task(self._poll(count, ahead=ahead), name="poll")
            self._polls.add(poll)
            poll.add_done_callback(self._ended)

    def _may_poll(self) -> bool:
        return not self._stopping.is_set() and not self._is_paused()

    def _ended(self, poll: "asyncio.Task[None]") -> None:
        self._polls.discard(poll)
        self.wake()

    async def _poll(self, count: int, *, ahead: bool) -> None:
        wait_seconds = SHORT_WAIT_SECONDS if ahead or self._slots.waiting else self._wait_seconds
        started, ended_before = time.monotonic(), self._slots.ended_quickly
        calls_ahead = self._calls_ahead
        try:
            messages = await self._queue.receive(count, wait_seconds, self._visibility_seconds)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is paced, told and tried again
            self._slots.failed(count)
            await self._pause_after(error)
            return
        except asyncio.CancelledError:
            self._slots.failed(count)
            raise
        self._reached()
        # SQS often gives fewer than it was asked for although it has more: that alone means nothing.
        had_to_wait = not messages or time.monotonic() - started >= HAD_TO_WAIT_SECONDS
        ended_meanwhile = None if had_to_wait else self._slots.ended_quickly - ended_before
        self._slots.received(count, drained=had_to_wait and len(messages) < count, ended_meanwhile=ended_meanwhile)
        self._adapt(count, len(messages))
        # A call that was made later and ahead may have filled the slots that this one was made for.
        self._accept(messages, ahead=ahead or self._calls_ahead > calls_ahead)
        if self._slots.waiting:  # another poll goes at once, even while long ones are open
            self._wanted = max(self._wanted, len(self._polls))

    def _adapt(self, asked: int, got: int) -> None:
        self._busy = got == asked
        if got == asked:
            self._wanted = min(self._most, self._wanted * 2)
        else:
            self._wanted = max(1, self._wanted - 1) if got else 1

    def _reached(self) -> None:
        if self._problem is not None:
            logger.info("the task queue is reached", extra={"action": "poll"})
        self._failures = 0
        self._problem = None

    async def _pause_after(self, error: Exception) -> None:
        self._failures += 1
        self._wanted = 1
        self._problem = str(error)
        known = isinstance(error, Transient)
        logger.warning(
            "the task queue cannot be used: %s", error, exc_info=None if known else error, extra={"action": "poll"}
        )
        await self._pause(random.uniform(0, min(RETRY_CAP_SECONDS, 0.2 * 2 ** min(self._failures, 10))))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when told to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
