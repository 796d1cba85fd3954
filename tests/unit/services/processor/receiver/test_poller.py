"""Polling: as many messages as there are free slots, more polls while the queue is full, and an orderly end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from services.common.aws.task_queue import QueueUnavailable, ReceivedMessage
from services.processor.receiver import poller
from services.processor.receiver.fair_slots import FairSlots
from services.processor.receiver.poller import Poller
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.waiting import wait_until


class Polling:
    """A poller over a queue that answers on demand; each message takes a slot."""

    def __init__(self, capacity: int, share: float) -> None:
        self.is_paused = False
        self.queue = FakeTaskQueue()
        self.slots = FairSlots[ReceivedMessage](capacity, share)
        self.capacity_changed = asyncio.Event()
        self.pauses: list[float] = []
        """The longest pause after each failure."""
        self.pause_seconds = 0.001
        self.poller = Poller(
            self.queue.as_queue(),
            self.slots,
            self._admit,
            self.capacity_changed,
            wait_seconds=20,
            visibility_seconds=30,
            is_paused=lambda: self.is_paused,
            uniform=self._pause,
        )
        self.force_stop = asyncio.Event()

    async def give(self, *counts: int) -> None:
        """Answer so many polls with so many messages each."""
        for count in counts:
            await self.queue.ready.put([received() for _ in range(count)])

    def finish(self, count: int) -> None:
        for _ in range(count):
            self.slots.release("user")
        self.capacity_changed.set()

    def _pause(self, _low: float, high: float) -> float:
        self.pauses.append(high)
        return self.pause_seconds

    def _admit(self, messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            self.slots.add("user", message)
        while self.slots.start_next():
            pass


@asynccontextmanager
async def polling(capacity: int, share: float = 1.0) -> AsyncIterator[Polling]:
    harness = Polling(capacity, share)
    running = asyncio.create_task(harness.poller.run())
    try:
        yield harness
    finally:
        await harness.poller.stop(0, harness.force_stop)
        await harness.poller.cancel_polls(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await asyncio.sleep(0)


async def test_an_idle_queue_has_one_long_poll_for_ten() -> None:
    async with polling(100) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        await harness.give(0, 0)
        await wait_until(lambda: len(harness.queue.asked) == 3)
    assert harness.queue.asked == [(10, 20)] * 3


async def test_a_poll_asks_for_no_more_than_the_free_slots_and_none_is_made_without() -> None:
    async with polling(3) as harness:
        await wait_until(lambda: harness.queue.asked == [(3, 20)])
        await harness.give(3)
        await wait_until(lambda: harness.slots.running == 3)
        assert len(harness.queue.asked) == 1
        harness.finish(2)
        await wait_until(lambda: len(harness.queue.asked) == 2)
    assert harness.queue.asked[1] == (2, 20)


async def test_under_load_polls_ask_for_ten_or_wait_for_slots_to_accumulate() -> None:
    async with polling(100) as harness:
        await harness.give(*[10] * 10)
        await wait_until(lambda: harness.slots.running == 100)
        asked = len(harness.queue.asked)
        harness.finish(7)
        await asyncio.sleep(0)
        assert len(harness.queue.asked) == asked
        harness.finish(3)
        await wait_until(lambda: len(harness.queue.asked) == asked + 1)
        harness.finish(4)
        await wait_until(lambda: len(harness.queue.asked) == asked + 2)
    assert harness.queue.asked[asked:] == [(10, 20), (4, 20)]


async def test_free_slots_are_asked_for_after_a_short_answer_that_follows_full_ones() -> None:
    async with polling(20) as harness:
        await harness.give(10, 5)
        await wait_until(lambda: len(harness.queue.asked) == 3)
    assert harness.queue.asked == [(10, 20), (10, 20), (5, 20)]


async def test_the_poller_does_not_spin_while_no_poll_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[int] = []
    async with polling(100) as harness:
        await harness.give(10)
        await wait_until(lambda: len(harness.poller._polls) == 2)
        harness.is_paused = True
        await harness.give(10, 10)
        await wait_until(lambda: not harness.poller._polls)
        monkeypatch.setattr(harness.poller, "_start_polls", launched.append)
        harness.finish(5)
        await asyncio.sleep(0.2)
        assert len(launched) <= 1


async def test_messages_beyond_the_share_wait_until_a_poll_of_a_second_finds_the_queue_empty() -> None:
    async with polling(20, share=0.1) as harness:
        await harness.give(7)
        await wait_until(lambda: len(harness.queue.asked) == 2)
        assert (harness.slots.running, harness.slots.waiting, harness.queue.asked[-1]) == (2, 5, (10, 1))
        await harness.give(3)  # fewer than asked for, and at once
        await wait_until(lambda: len(harness.queue.asked) == 3)
        assert harness.slots.running == 2
        await harness.give(0)
        await wait_until(lambda: harness.slots.running == 10)


async def test_a_poll_that_had_to_wait_found_the_queue_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller, "HAD_TO_WAIT_SECONDS", 0.0)
    async with polling(20, share=0.1) as harness:
        await harness.give(7)
        await wait_until(lambda: harness.slots.running == 7)


async def test_a_short_poll_finds_out_whether_others_wait_even_while_a_long_poll_is_open() -> None:
    async with polling(40, share=0.1) as harness:
        await harness.give(10)
        await wait_until(lambda: len(harness.queue.asked) == 3)
        await harness.give(10)
        await wait_until(lambda: len(harness.queue.asked) >= 4)
        harness.poller._wanted_polls = 1
        opened = len(harness.queue.asked)
        await harness.give(3)
        await wait_until(lambda: len(harness.queue.asked) == opened + 1)
        assert harness.queue.asked[-1][1] == 1


async def test_pollers_increase_while_polls_return_full_up_to_a_bound_and_decrease_afterwards() -> None:
    async with polling(2_000) as harness:
        await harness.give(*[10] * 60)
        await wait_until(harness.queue.ready.empty)
        await wait_until(lambda: len(harness.poller._polls) == 10)
        await asyncio.sleep(0.05)
        assert len(harness.poller._polls) == 10
        await harness.give(*[0] * 10)
        await wait_until(lambda: harness.queue.ready.empty() and len(harness.poller._polls) == 1)


async def test_a_failing_queue_is_polled_less_and_less_often_and_reported() -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        assert harness.poller.readiness_problem() is None
        harness.queue.error = QueueUnavailable("out of order")
        await harness.give(0)
        await wait_until(lambda: len(harness.pauses) > 12)
        assert "out of order" in (harness.poller.readiness_problem() or "")
        harness.queue.error = None
        await wait_until(lambda: harness.queue.asked[-1] == (10, 20))
        await harness.give(1)
        await wait_until(lambda: harness.poller.readiness_problem() is None)
    assert harness.pauses[:6] == [0.4, 0.8, 1.6, 3.2, 4.0, 4.0]
    assert max(harness.pauses) == 4.0


@pytest.mark.parametrize("error", [KeyError("MessageId"), AssertionError()])
async def test_an_answer_that_cannot_be_parsed_neither_spins_nor_stops_the_poller(error: Exception) -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        harness.pause_seconds = 0.05
        harness.queue.error = error
        await harness.give(0)
        await asyncio.sleep(0.2)
        assert 2 <= len(harness.queue.asked) <= 6
        harness.queue.error = None
        await harness.give(1)
        await wait_until(lambda: harness.slots.running == 1)
        await wait_until(lambda: harness.queue.asked[-1] == (9, 20))  # no reservation was left behind


async def test_no_poll_is_made_while_receiving_is_paused() -> None:
    async with polling(10) as harness:
        harness.is_paused = True  # before its first step
        await wait_until(lambda: harness.poller.readiness_problem() is None)
        await asyncio.sleep(0.15)
        assert harness.queue.asked == []
        harness.is_paused = False
        harness.capacity_changed.set()
        await wait_until(lambda: len(harness.queue.asked) == 1)


async def test_no_poll_is_made_during_a_pause_and_messages_of_an_open_one_are_accepted() -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        harness.is_paused = True
        await harness.give(1)
        await wait_until(lambda: harness.slots.running == 1)
        harness.finish(1)
        await asyncio.sleep(0.05)
        assert len(harness.queue.asked) == 1
        assert harness.poller.readiness_problem() is None
        harness.is_paused = False
        harness.capacity_changed.set()
        await wait_until(lambda: len(harness.queue.asked) == 2)


async def test_a_pause_does_not_delay_the_stop() -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        harness.is_paused = True
        await harness.give(0)
        await wait_until(lambda: not harness.poller._polls)
        async with asyncio.timeout(5):
            await harness.poller.stop(60, harness.force_stop)


async def test_the_stop_awaits_the_open_poll_and_accepts_its_messages() -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        stopping = asyncio.create_task(harness.poller.stop(10, harness.force_stop))
        await asyncio.sleep(0)
        assert not stopping.done()
        await harness.give(2)
        await stopping
        assert harness.slots.running == 2
        assert len(harness.queue.asked) == 1


async def test_the_stop_does_not_await_a_pause_after_a_failure() -> None:
    async with polling(10) as harness:
        harness.pause_seconds = 60.0
        await wait_until(lambda: len(harness.queue.asked) == 1)
        harness.queue.error = QueueUnavailable("out of order")
        await harness.give(0)
        harness.queue.gate.set()
        await wait_until(lambda: harness.poller.readiness_problem() is None)
        await harness.give(0)
        await wait_until(lambda: harness.poller.readiness_problem() is not None)
        async with asyncio.timeout(5):
            await harness.poller.stop(60, harness.force_stop)


async def test_a_forced_stop_awaits_nothing() -> None:
    async with polling(10) as harness:
        await wait_until(lambda: len(harness.queue.asked) == 1)
        harness.force_stop.set()
        async with asyncio.timeout(5):
            await harness.poller.stop(60, harness.force_stop)


async def test_a_stop_before_the_first_poll_ends_at_once() -> None:
    """Stopped and cancelled at the same moment, as in a drain that has nothing to wait for."""
    harness = Polling(1, share=1.0)
    harness.is_paused = True
    running = asyncio.create_task(harness.poller.run())
    await asyncio.sleep(0.03)  # it is paused
    await harness.poller.stop(0, harness.force_stop)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=2)
    assert done == {running}
    assert running.cancelled()
