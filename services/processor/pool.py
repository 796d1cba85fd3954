"""The pool: gives held messages their slots, runs one task each, and drains in good order."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Sequence

from services.common.aws.task_queue import ReceivedMessage
from services.common.error_text import describe_traceback
from services.processor.delivery.process import BUG, Worker
from services.processor.handlers.seat import spawn_with_seat
from services.processor.metrics import RECEIVED, REDELIVERED
from services.processor.receiver.acknowledger import Settlement
from services.processor.receiver.fair_slots import Slots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Back, Done, Lost, Verdict

logger = logging.getLogger(__name__)

EARLY_SECONDS = 1.0
"""How long a message may wait for a slot that was expected to become free; then it goes back for others to take."""
STOP_SECONDS = 5.0
"""How long cancelled tasks may take to hand their messages back."""
GIVE_UP_SECONDS = 3.0
"""Of these, how long a task that is cut off at its last delivery may take to be concluded."""

OUTAGE_RETURN_SECONDS = 30
"""How long a message that is returned in an outage stays hidden."""
MAX_WITHOUT_SLOT = 1_000
"""Messages that may wait for the history, or the dead-letter queue, without a slot: each keeps its lease."""
MAX_WITHOUT_SLOT_CHARACTERS = 8_000_000
"""Of their bodies in all, each of which is held about three times."""


def _nothing() -> None:
    pass


class Pool:
    """Works on messages with a bounded number of tasks.

    :param on_free: called whenever a slot has become free.
    """

    def __init__(
        self,
        worker: Worker,
        slots: Slots[Lease],
        leases: LeaseKeeper,
        settlement: Settlement,
        on_free: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._slots = slots
        self._leases = leases
        self._settlement = settlement
        self._on_free = on_free
        self.most_receives: int | None = None
        """Deliveries of a message after which SQS moves it, where that is known."""
        self.without_slot = 0
        """Messages that have given their slot up and are not done with yet."""
        self.without_slot_characters = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()
        self._draining = False
        self._drained_badly = False

    def accept(self, messages: Sequence[ReceivedMessage], *, ahead: bool) -> None:
        """Take hold of received messages and start those whose turn it is.

        :param ahead: they were asked for when not enough slots were free.
        """
        RECEIVED.inc(len(messages))
        held: list[tuple[str, Lease]] = []
        for message in messages:
            if message.receive_count > 1:
                REDELIVERED.inc()
            lease = self._leases.hold(message)
            if self._draining:
                self._spawn(self._hand_back(lease, "drain"))
            else:
                held.append((message.group_id or message.message_id, lease))
                self._slots.wait(*held[-1])
        self.start_waiting()
        early = [one for one in held if ahead and self._slots.waits_for_any(one[0])]
        if early:  # what has started by then, or was emptied out of the lines by a drain, it does not find
            asyncio.get_running_loop().call_later(EARLY_SECONDS, self._give_back, early)

    def start_waiting(self) -> None:
        """Start as many waiting messages as may start."""
        while not self._draining and (turn := self._slots.start_next()) is not None:
            user_id, lease = turn
            self._start(user_id, lease)

    def begin_drain(self) -> None:
        """Start nothing more; what has not started goes back at once."""
        self._draining = True
        for lease in self._slots.give_up_waiting():
            self._spawn(self._hand_back(lease, "drain"))

    async def drain(self, seconds: float, force_stop: asyncio.Event) -> bool:
        """Let what runs finish for `seconds`, hand back what is left; call `begin_drain` before.

        Answers whether everything ended in good order.
        """
        await asyncio.sleep(0)  # every task has begun, so that its cancellation reaches its own code
        await self._until_done(seconds, force_stop)
        cut_off = list(self._working)
        for task in cut_off:
            task.cancel()
        await self.until_settled(STOP_SECONDS)
        logger.info("drained", extra={"action": "drain", "returned_running": len(cut_off), "stuck": len(self._tasks)})
        return not self._tasks and not self._drained_badly and not force_stop.is_set()

    async def until_settled(self, seconds: float) -> None:
        """Wait for what is being settled, for `seconds` at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _start(self, user_id: str, lease: Lease) -> None:
        if lease.lost:  # while it waited
            self._slots.finished(user_id)
            self._spawn(self._settle_lost(lease))
        else:
            self._keep(spawn_with_seat(self._work(user_id, lease), name="message"))

    async def _work(self, user_id: str, lease: Lease) -> None:
        slot = _Slot(self, user_id, len(lease.message.body))
        lease.give_up_slot = slot.give_up
        try:
            verdict = await self._verdict(lease)
        except BaseException:  # nothing may hold a message whose task has ended: it comes again when its lease is over
            await self._leases.let_go(lease)
            raise
        finally:
            slot.end()
        is_settled = await self._settlement.settle(lease, verdict)
        if is_settled and isinstance(verdict, Done) and not lease.over:  # else the deletion may have had no effect
            self._worker.acknowledged(lease.message)
        if not is_settled and self._draining:
            self._drained_badly = True

    def freed(self, user_id: str, held_seconds: float) -> None:
        """Take a slot back, and start what waits for one."""
        self._slots.finished(user_id, held_seconds)
        self._on_free()
        self.start_waiting()

    async def _verdict(self, lease: Lease) -> Verdict:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 — this runs in one
        if lease.over:
            return await self._give_up_soon(lease, Lost())
        lease.on_lost = task.cancel
        self._working.add(task)
        try:
            return await self._worker.give_up(lease, await self._worked(lease), is_last=self._is_last(lease))
        except asyncio.CancelledError:
            cut_off: Verdict = Lost() if lease.lost else Back(self._until_replaced(), "drain")
        finally:
            lease.on_lost = _nothing
            self._working.discard(task)
        return await self._give_up_soon(lease, cut_off)

    async def _worked(self, lease: Lease) -> Verdict:
        try:
            return await self._worker.work(lease)
        except Exception as error:  # noqa: BLE001 — what the worker could not count as an attempt
            logger.error(  # noqa: TRY400 — the error may be a handler's, which logging could stumble over
                "the processor itself failed, the message is requeued",
                extra={"action": "work", "exception": describe_traceback(error)},
            )
            return Back(self._worker.policy.pause_seconds(lease.message.receive_count), BUG)

    async def _give_up_soon(self, lease: Lease, verdict: Verdict) -> Verdict:
        """Conclude what is cut off, in the little time there is. A task that had ended is only acknowledged."""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                return await self._worker.give_up(lease, verdict, is_last=self._is_last(lease))
        except TimeoutError:
            return verdict

    def _is_last(self, lease: Lease) -> bool:
        """Tell whether SQS would move the message instead of delivering it again."""
        return self.most_receives is not None and lease.message.receive_count >= self.most_receives

    def _until_replaced(self) -> int:
        """In an outage, hide a returned message for a while, or processes that are to end as well would receive it."""
        return OUTAGE_RETURN_SECONDS if self._worker.breaker.is_open else 0

    def _give_back(self, early: Sequence[tuple[str, Lease]]) -> None:
        """Give back what still waits for a slot that has not become free after all, and may be delivered again."""
        for user_id, lease in early:
            if not self._is_last(lease) and not lease.over and self._slots.give_up(user_id, lease):
                self._spawn(self._hand_back(lease, "early"))

    async def _hand_back(self, lease: Lease, reason: str) -> None:
        seconds = self._until_replaced() if reason == "drain" else 0
        verdict = await self._give_up_soon(lease, Back(seconds, reason))
        if isinstance(verdict, Back):
            is_settled = await self._settlement.give_back(lease, verdict)
        else:
            is_settled = await self._settlement.settle(lease, verdict)
        if not is_settled and self._draining:
            self._drained_badly = True

    async def _settle_lost(self, lease: Lease) -> None:
        await self._settlement.settle(lease, Lost())

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self._keep(asyncio.get_running_loop().create_task(work, name="message"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_done(self, seconds: float, force_stop: asyncio.Event) -> None:
        """Wait for the tasks until all are done, time is up, or a second signal hurries."""
        ends_at = time.monotonic() + seconds
        hurry = asyncio.get_running_loop().create_task(force_stop.wait(), name="hurry")
        try:
            while self._tasks and not hurry.done() and (left := ends_at - time.monotonic()) > 0:
                await asyncio.wait({*self._tasks, hurry}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()


class _Slot:
    """The slot of one message, given back once."""

    __slots__ = ("_characters", "_given_up", "_pool", "_started", "_user_id")

    def __init__(self, pool: Pool, user_id: str, characters: int) -> None:
        self._pool = pool
        self._user_id = user_id
        self._characters = characters
        self._started = time.monotonic()
        self._given_up = False

    def give_up(self) -> None:
        """Give the slot back before the message is done with, unless too much waits like this already."""
        pool = self._pool
        characters = pool.without_slot_characters + self._characters
        if self._given_up or pool.without_slot >= MAX_WITHOUT_SLOT or characters > MAX_WITHOUT_SLOT_CHARACTERS:
            return
        self._given_up = True
        pool.without_slot += 1
        pool.without_slot_characters = characters
        pool.freed(self._user_id, math.inf)

    def end(self) -> None:
        """Give the slot back, if it is still held."""
        if self._given_up:
            self._pool.without_slot -= 1
            self._pool.without_slot_characters -= self._characters
        else:
            self._pool.freed(self._user_id, time.monotonic() - self._started)
