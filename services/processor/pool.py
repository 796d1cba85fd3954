"""The pool: admits received messages, runs one task for each that has a slot, and drains."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager

from services.common.aws.task_queue import ReceivedMessage
from services.processor.delivery.process import DeliveryProcessor
from services.processor.drain import wait_until_done
from services.processor.metrics import RECEIVED, REDELIVERED
from services.processor.receiver.acknowledger import Acknowledger
from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Acknowledge, LeaseLost, Outcome, Requeue

logger = logging.getLogger(__name__)

DRAIN_REQUEUE_SECONDS = 5.0
"""How long the tasks that a drain cancels may take to requeue their messages."""
CONCLUDE_SECONDS = 3.0
"""Of these, how long it may take to conclude a task that is interrupted at its last delivery."""

TYPE_FULL_SECONDS = 10.0
"""How long a message that is requeued because its type has reached its limit stays hidden at most."""
OUTAGE_DELAY_SECONDS = 30
"""How long a message that is requeued by a drain during an outage stays hidden."""
MAX_WITHOUT_SLOT = 1_000
"""Messages that may wait for the history, or the dead-letter queue, without a slot: each keeps its lease."""
MAX_WITHOUT_SLOT_CHARACTERS = 8_000_000
"""The size of their bodies together; each is in memory about three times."""


def _do_nothing() -> None:
    pass


class Pool:
    """Runs a bounded number of tasks.

    :param capacity_changed: is set whenever a slot has become free.
    """

    def __init__(
        self,
        deliveries: DeliveryProcessor,
        slots: FairSlots[Lease],
        leases: LeaseKeeper,
        acknowledger: Acknowledger,
        capacity_changed: asyncio.Event,
    ) -> None:
        self._deliveries = deliveries
        self._slots = slots
        self._leases = leases
        self._acknowledger = acknowledger
        self._capacity_changed = capacity_changed
        self.without_slot = 0
        """Messages that have released their slot and are not done."""
        self.without_slot_characters = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._processing: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._is_drain_clean = True
        self.has_requeued = False
        """Whether the drain has requeued a message."""

    def admit(self, messages: Sequence[ReceivedMessage]) -> None:
        """Take a lease of received messages and start those that may start."""
        RECEIVED.inc(len(messages))
        for message in messages:
            if message.receive_count > 1:
                REDELIVERED.inc()
            lease = self._leases.add(message)
            lease.task_type = self._deliveries.policies.label_of(message)
            if self._is_draining:
                self._spawn(self._requeue_unstarted(lease, self._drain_requeue()))
            elif self._slots.should_requeue(lease.task_type) and self._deliveries.can_requeue_unstarted(message):
                # Other replicas may be able to run it sooner.
                pause = round(random.uniform(1, TYPE_FULL_SECONDS))
                self._spawn(self._requeue_unstarted(lease, Requeue(pause, "type_full")))
            else:
                self._slots.add(message.group_id or message.message_id, lease, lease.task_type)
        self.start_waiting()

    def start_waiting(self) -> None:
        """Start as many waiting messages as may start."""
        while not self._is_draining and (next_one := self._slots.start_next()) is not None:
            self._spawn(self._run(*next_one))

    def begin_drain(self) -> None:
        """Start nothing more, and requeue what has not started."""
        self._is_draining = True
        for lease in self._slots.remove_waiting():
            self._spawn(self._requeue_unstarted(lease, self._drain_requeue()))

    async def drain(self, seconds: float, force_stop: asyncio.Event) -> bool:
        """Let what runs finish for `seconds`, then requeue what is left; call `begin_drain` before.

        Returns whether every task ended, the queue took every outcome, and the stop was not forced.
        """
        await asyncio.sleep(0)  # every task has begun, so that its cancellation reaches its own code
        await wait_until_done(self._tasks, seconds, force_stop)
        interrupted = list(self._processing)
        for task in interrupted:
            task.cancel()
        await self.wait_until_acknowledged(DRAIN_REQUEUE_SECONDS)
        logger.info("drained", extra={"action": "drain", "interrupted": len(interrupted), "stuck": len(self._tasks)})
        return not self._tasks and self._is_drain_clean and not force_stop.is_set()

    async def wait_until_acknowledged(self, seconds: float) -> None:
        """Wait for what is being acknowledged or requeued, for `seconds` at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def free_slot(self, user_id: str, task_type: str) -> None:
        """Free a slot of the user, and start what waits for one."""
        self._slots.release(user_id, task_type)
        self._capacity_changed.set()
        self.start_waiting()

    async def _run(self, user_id: str, lease: Lease) -> None:
        """Process one message in a slot, and acknowledge or requeue it."""
        slot = _Slot(self, user_id, lease)
        lease.release_slot = slot.release_early
        try:
            interrupted: Outcome | None = None
            try:
                with self._cancellable(lease):
                    if lease.is_over:  # it has waited too long for a slot
                        interrupted = LeaseLost()
                    else:
                        outcome = await self._deliveries.process_message(lease)
            except asyncio.CancelledError:
                interrupted = LeaseLost() if lease.is_lost else self._drain_requeue()
            if interrupted is not None:
                outcome = await self._conclude_interrupted(lease, interrupted)
        except BaseException:  # a lease must not be extended when its task has ended: the message would never return
            await self._leases.release(lease)
            raise
        finally:
            slot.release()
        await self._acknowledge(lease, outcome)

    @contextmanager
    def _cancellable(self, lease: Lease) -> Iterator[None]:
        """Let a drain or the loss of the lease cancel the current task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 — this runs in one
        lease.on_lost = task.cancel
        self._processing.add(task)
        try:
            yield
        finally:
            lease.on_lost = _do_nothing
            self._processing.discard(task)

    async def _acknowledge(self, lease: Lease, outcome: Outcome) -> None:
        is_taken = await self._acknowledger.acknowledge(lease, outcome)
        if is_taken and isinstance(outcome, Acknowledge) and not lease.is_over:  # else it may not have been deleted
            self._deliveries.acknowledged(lease)
        self._note_drain(outcome, is_taken=is_taken)

    async def _requeue_unstarted(self, lease: Lease, requeue: Requeue) -> None:
        outcome = await self._conclude_interrupted(lease, requeue)
        if isinstance(outcome, Requeue):
            is_taken = await self._acknowledger.requeue_unstarted(lease, outcome)
        else:
            is_taken = await self._acknowledger.acknowledge(lease, outcome)
        self._note_drain(outcome, is_taken=is_taken)

    async def _conclude_interrupted(self, lease: Lease, outcome: Outcome) -> Outcome:
        """Conclude an interrupted task if this is its last delivery, within `CONCLUDE_SECONDS`."""
        try:
            async with asyncio.timeout(CONCLUDE_SECONDS):
                return await self._deliveries.conclude_if_last(lease, outcome)
        except TimeoutError:
            return outcome

    def _note_drain(self, outcome: Outcome, *, is_taken: bool) -> None:
        if self._is_draining:
            self._is_drain_clean = self._is_drain_clean and is_taken
            self.has_requeued = self.has_requeued or isinstance(outcome, Requeue)

    def _drain_requeue(self) -> Requeue:
        """During an outage, hide a requeued message for a while: another process that drains would receive it."""
        return Requeue(OUTAGE_DELAY_SECONDS if self._deliveries.breaker.is_open else 0, "drain")

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="message")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Slot:
    """The slot of one message, released once."""

    __slots__ = ("_characters", "_is_released", "_pool", "_task_type", "_user_id")

    def __init__(self, pool: Pool, user_id: str, lease: Lease) -> None:
        self._pool = pool
        self._user_id = user_id
        self._task_type = lease.task_type
        self._characters = len(lease.message.body)
        self._is_released = False

    def release_early(self) -> None:
        """Release the slot before the message is done, unless too many messages wait without a slot already."""
        pool = self._pool
        characters = pool.without_slot_characters + self._characters
        if self._is_released or pool.without_slot >= MAX_WITHOUT_SLOT or characters > MAX_WITHOUT_SLOT_CHARACTERS:
            return
        self._is_released = True
        pool.without_slot += 1
        pool.without_slot_characters = characters
        pool.free_slot(self._user_id, self._task_type)

    def release(self) -> None:
        """Release the slot, if that has not happened."""
        if self._is_released:
            self._pool.without_slot -= 1
            self._pool.without_slot_characters -= self._characters
        else:
            self._pool.free_slot(self._user_id, self._task_type)
