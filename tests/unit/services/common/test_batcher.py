"""Coalescing: no entry waits without need, and each caller gets the outcome of its own entry."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import pytest

from notification_api import PermanentError, TransientError
from services.common.batcher import BATCH_ENTRIES, Batcher, BatcherFull, BatchPolicy, BatchRefusedError
from tests.support.fakes.batch_sender import BatchSender

FAST = {"retry_base_seconds": 0.0, "retry_cap_seconds": 0.0}
NEVER = 3_600.0


@pytest.fixture
async def sender() -> BatchSender:
    return BatchSender()


@pytest.fixture
async def callers() -> AsyncIterator["Callers"]:
    callers = Callers()
    yield callers
    await callers.cancel()


class Callers:
    """Callers of `submit`, each a task."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    async def submit(self, batcher: Batcher[str], values: Iterable[str], size: int = 0) -> list[asyncio.Task[None]]:
        """Submit each value from a separate caller, and return once all wait."""
        tasks = [asyncio.create_task(batcher.submit(value, size)) for value in values]
        self.tasks += tasks
        await asyncio.sleep(0)
        return tasks

    async def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def policy(**fields: float) -> BatchPolicy:
    return BatchPolicy(**{"busy_linger_seconds": NEVER, **FAST, **fields})  # type: ignore[arg-type]


async def test_an_entry_is_sent_at_once_while_idle(sender: BatchSender) -> None:
    batcher = Batcher(sender, policy())
    caller = asyncio.create_task(batcher.submit("a"))
    await asyncio.sleep(0)  # the caller's first step alone starts the call
    assert await sender.called(1) == ["a"]
    assert not caller.done()
    sender.answer(1)
    await caller


async def test_entries_that_arrive_during_a_call_are_sent_together_when_it_ends(
    sender: BatchSender, callers: Callers
) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "bcd")
    assert sender.calls == [["a"]]
    sender.answer(1)
    assert await sender.called(2) == ["b", "c", "d"]


async def test_a_full_batch_is_sent_in_parallel_to_a_call(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "0123456789x")
    assert await sender.called(2) == list("0123456789")
    assert len(sender.calls) == 2


async def test_a_partial_batch_waits_for_a_slow_call_only_so_long(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(busy_linger_seconds=0.01))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "bc")
    assert await sender.called(2) == ["b", "c"]


async def test_no_more_calls_at_once_than_permitted(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=2, busy_linger_seconds=0.0))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "0123456789")
    await callers.submit(batcher, "abcdefghijklm")
    await asyncio.sleep(0.01)  # time for a call that must not come
    assert len(sender.calls) == 2
    sender.answer(2)
    assert await sender.called(3) == list("abcdefghij")
    assert len(sender.calls) == 3


async def test_a_batch_keeps_below_the_size_that_is_permitted(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_bytes=100))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "bcdef", size=40)
    sender.answer(1)
    assert await sender.called(2) == ["b", "c"]
    sender.answer(2)
    assert await sender.called(3) == ["d", "e"]


async def test_an_entry_above_the_size_is_sent_alone(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_bytes=100))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "b", size=101)
    await callers.submit(batcher, "c", size=1)
    sender.answer(1)
    assert await sender.called(2) == ["b"]


async def test_a_failed_entry_fails_its_own_caller_alone(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy())
    (first,) = await callers.submit(batcher, "a")
    good, bad, also_good = await callers.submit(batcher, "bcd")
    sender.answer(1)
    await sender.called(2)
    sender.answer(2, [None, PermanentError("no"), None])
    await asyncio.gather(first, good, also_good)
    with pytest.raises(PermanentError, match="no"):
        await bad
    assert len(sender.calls) == 2


async def test_only_what_failed_for_now_is_sent_again(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    good, transient, permanent = await callers.submit(batcher, "bcd")
    sender.answer(1)
    await sender.called(2)
    sender.answer(2, [None, TransientError("busy"), PermanentError("no")])
    assert await sender.called(3) == ["c"]
    assert good.done()
    assert permanent.done()
    sender.answer(3)
    await transient


async def test_what_is_sent_again_may_be_changed_for_the_error_that_it_failed_with(
    sender: BatchSender, callers: Callers
) -> None:
    batcher = Batcher(sender, policy(), before_retry=lambda value, error: f"{value}, {error}")
    (caller,) = await callers.submit(batcher, "a")
    await sender.called(1)
    sender.fail(1, TransientError("lost"))
    await sender.called(2)
    sender.answer(2, [TransientError("busy")])
    assert await sender.called(3) == ["a, lost, busy"]
    sender.answer(3)
    await caller


async def test_an_entry_that_keeps_failing_fails_after_its_attempts(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(attempts=3))
    (caller,) = await callers.submit(batcher, "a")
    for number in (1, 2, 3):
        assert await sender.called(number) == ["a"]
        sender.answer(number, [TransientError(f"busy {number}")])
    with pytest.raises(TransientError, match="busy 3"):
        await caller
    assert len(sender.calls) == 3


@pytest.mark.parametrize("wrong", [[], [None, None, None]])
async def test_an_answer_of_another_length_is_everybodys_error(
    sender: BatchSender, callers: Callers, wrong: list[None]
) -> None:
    batcher = Batcher(sender, policy())
    (caller,) = await callers.submit(batcher, "a")
    await sender.called(1)
    sender.answer(1, wrong)
    with pytest.raises(ValueError, match="argument"):
        await caller


async def test_an_error_of_the_call_is_everybodys(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    both = await callers.submit(batcher, "bc")
    sender.answer(1)
    await sender.called(2)
    sender.fail(2, PermanentError("no"))
    for outcome in await asyncio.gather(*both, return_exceptions=True):
        assert isinstance(outcome, PermanentError)


async def test_a_batch_that_is_refused_as_a_whole_is_sent_in_halves(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1))
    await callers.submit(batcher, "a")
    first, second, third = await callers.submit(batcher, "bcd")
    sender.answer(1)
    assert await sender.called(2) == ["b", "c", "d"]
    sender.fail(2, BatchRefusedError(PermanentError("no")))
    assert await sender.called(3) == ["b"]
    sender.answer(3)
    assert await sender.called(4) == ["c", "d"]
    assert first.done()  # its outcome does not wait for the other half's
    sender.fail(4, BatchRefusedError(PermanentError("no")))
    assert await sender.called(5) == ["c"]
    sender.fail(5, BatchRefusedError(PermanentError("c itself")))
    assert await sender.called(6) == ["d"]
    sender.answer(6)
    await asyncio.gather(first, third)
    with pytest.raises(PermanentError, match="c itself"):
        await second
    assert len(sender.calls) == 6


async def test_a_half_that_fails_for_now_is_sent_again_alone(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, attempts=2))
    await callers.submit(batcher, "a")
    both = await callers.submit(batcher, "bc")
    sender.answer(1)
    await sender.called(2)
    sender.fail(2, BatchRefusedError(PermanentError("no")))
    await sender.called(3)
    sender.fail(3, TransientError("busy"))
    assert await sender.called(4) == ["b"]  # a refused batch is no attempt of its entries
    sender.answer(4)
    assert await sender.called(5) == ["c"]
    sender.answer(5)
    await asyncio.gather(*both)


async def test_a_caller_that_gave_up_is_not_sent_in_a_half(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1))
    await callers.submit(batcher, "a")
    given_up, other = await callers.submit(batcher, "bc")
    sender.answer(1)
    await sender.called(2)
    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up
    sender.fail(2, BatchRefusedError(PermanentError("no")))
    assert await sender.called(3) == ["c"]
    sender.answer(3)
    await other


async def test_a_batch_stays_below_the_known_limit(sender: BatchSender, callers: Callers) -> None:
    known: list[int | None] = [None]
    batcher = Batcher(sender, policy(max_bytes=100), max_bytes=lambda: known[0])
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "bcdefg", size=40)
    sender.answer(1)
    assert await sender.called(2) == ["b", "c"]
    known[0] = 79
    sender.answer(2)
    assert await sender.called(3) == ["d"]
    known[0] = 1_000  # never above the policy's
    sender.answer(3)
    assert await sender.called(4) == ["e", "f"]


async def test_no_more_wait_than_permitted(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, max_waiting=3))
    await callers.submit(batcher, "a")
    waiting = await callers.submit(batcher, "bcd")
    with pytest.raises(BatcherFull):
        await batcher.submit("e")
    sender.answer(1)
    await sender.called(2)
    last = await callers.submit(batcher, "f")
    sender.answer(2)
    await sender.called(3)
    sender.answer(3)
    await asyncio.gather(*waiting, *last)
    assert sender.calls[2] == ["f"]


async def test_no_more_bytes_wait_than_permitted(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, max_waiting_bytes=100))
    await callers.submit(batcher, "a", size=90)
    await callers.submit(batcher, "b", size=60)
    with pytest.raises(BatcherFull):
        await batcher.submit("c", 41)
    await callers.submit(batcher, "d", size=40)
    sender.answer(1)
    assert await sender.called(2) == ["b", "d"]
    await callers.submit(batcher, "e", size=100)  # what is in flight waits no more


async def test_a_single_entry_above_the_waiting_limit_is_accepted(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, max_waiting_bytes=100))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "b", size=500)
    sender.answer(1)
    assert await sender.called(2) == ["b"]


async def test_a_caller_that_gave_up_before_its_call_was_never_sent(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    _, given_up, _ = await callers.submit(batcher, "bcd")
    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up
    sender.answer(1)
    assert await sender.called(2) == ["b", "d"]


async def test_callers_that_gave_up_keep_no_place(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, max_waiting=2, max_waiting_bytes=100))
    await callers.submit(batcher, "a")
    for _ in range(3):
        for caller in await callers.submit(batcher, "bc", size=50):
            caller.cancel()
            with suppress(asyncio.CancelledError):
                await caller
    sender.answer(1)
    await callers.submit(batcher, "d")
    assert await sender.called(2) == ["d"]


async def test_a_caller_that_is_cancelled_during_its_call_does_not_affect_others(
    sender: BatchSender, callers: Callers
) -> None:
    batcher = Batcher(sender, policy())
    await callers.submit(batcher, "a")
    given_up, other = await callers.submit(batcher, "bc")
    sender.answer(1)
    await sender.called(2)
    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up
    sender.answer(2, [TransientError("busy"), TransientError("busy")])
    assert await sender.called(3) == ["c"]  # the caller of the other one was cancelled
    sender.answer(3)
    await other


async def test_closing_sends_waiting_entries_and_waits_for_all_outcomes(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(max_in_flight=1, idle_linger_seconds=NEVER))
    tasks = await callers.submit(batcher, map(str, range(BATCH_ENTRIES + 5)))
    closing = asyncio.create_task(batcher.close())
    await sender.called(1)
    sender.answer(1)
    assert len(await sender.called(2)) == 5
    assert not closing.done()
    sender.answer(2)
    await closing
    await asyncio.gather(*tasks)


async def test_after_closing_entries_are_refused(sender: BatchSender) -> None:
    batcher = Batcher(sender, policy())
    await batcher.close()
    with pytest.raises(BatcherFull):
        await batcher.submit("late")
    assert sender.calls == []


async def test_with_a_linger_entries_are_collected_while_idle(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(idle_linger_seconds=0.02))
    await callers.submit(batcher, "a")
    await callers.submit(batcher, "b")
    assert sender.calls == []
    assert await sender.called(1) == ["a", "b"]


async def test_a_full_batch_does_not_linger(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(idle_linger_seconds=NEVER))
    await callers.submit(batcher, "0123456789x")
    assert await sender.called(1) == list("0123456789")


async def test_what_is_left_after_a_full_batch_lingers_on_its_own(sender: BatchSender, callers: Callers) -> None:
    batcher = Batcher(sender, policy(idle_linger_seconds=0.02, busy_linger_seconds=0.02))
    await callers.submit(batcher, "0123456789x")
    await sender.called(1)
    sender.answer(1)
    assert await sender.called(2) == ["x"]


async def test_pauses_between_attempts_grow_to_a_cap_and_are_jittered() -> None:
    batcher = Batcher(BatchSender(), policy(retry_base_seconds=0.2, retry_cap_seconds=1.0))
    for attempt, longest in ((1, 0.2), (2, 0.4), (3, 0.8), (4, 1.0), (50, 1.0)):
        pauses = [batcher._pause_seconds(attempt) for _ in range(200)]
        assert 0 <= min(pauses) < longest / 2 < max(pauses) <= longest
