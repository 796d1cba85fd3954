"""What is known of a message's earlier deliveries, and what follows from it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import TransientError
from services.common.background import Background
from services.processor.cache_guard import CacheGuard
from services.processor.delivery import attempts as attempts_module
from services.processor.delivery.attempts import NO_ATTEMPTS, Attempts, LastAttempt, PastAttempts
from services.processor.delivery.retry_policy import RetryPolicy
from tests.support.fakes.momento import FakeMomento
from tests.support.fakes.task_queue import received
from tests.support.waiting import wait_until

POLICY = RetryPolicy(max_attempts=5, base_seconds=2, cap_seconds=900)


@pytest.fixture
def momento() -> FakeMomento:
    return FakeMomento()


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    background = Background(lambda: None)
    yield background
    await background.close()


@pytest.fixture
def attempts(momento: FakeMomento, background: Background) -> Attempts:
    return Attempts(momento.as_momento(), CacheGuard(), background)


@pytest.fixture
def other(momento: FakeMomento, background: Background) -> Attempts:
    """The like, of another process."""
    return Attempts(momento.as_momento(), CacheGuard(), background)


async def test_a_first_delivery_is_not_looked_up(attempts: Attempts, momento: FakeMomento) -> None:
    assert await attempts.read(received(receive_count=1)) == NO_ATTEMPTS
    assert momento.calls == []


@pytest.mark.parametrize("last", [LastAttempt.ENDED, LastAttempt.STARTED, LastAttempt.STARTED_ISOLATED])
async def test_what_was_noted_is_known_to_another_process_at_the_next_delivery(
    attempts: Attempts, other: Attempts, last: LastAttempt
) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 3, last)
    assert await other.read(replace(message, receive_count=3)) == PastAttempts(3, last)
    assert await attempts.read(received(receive_count=2)) == PastAttempts(0, LastAttempt.UNKNOWN)


@pytest.mark.parametrize("noted", [b"", b"\xff", b"1", b"x ended", b"1 resting", b"1 ended 2"])
async def test_a_note_that_cannot_be_read_is_none(attempts: Attempts, momento: FakeMomento, noted: bytes) -> None:
    message = received(receive_count=2)
    momento.items[f"attempts:{message.message_id}"] = noted
    assert await attempts.read(message) == PastAttempts(0, LastAttempt.UNKNOWN)


async def test_a_start_that_this_process_noted_is_no_crash(attempts: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 1, LastAttempt.STARTED)
    assert await attempts.read(replace(message, receive_count=3)) == PastAttempts(1, LastAttempt.ENDED)


async def test_a_start_without_process_and_delivery_is_understood(attempts: Attempts, momento: FakeMomento) -> None:
    message = received(receive_count=3)
    momento.items[f"attempts:{message.message_id}"] = b"2 started_isolated"
    assert await attempts.read(message) == PastAttempts(2, LastAttempt.STARTED_ISOLATED)


async def test_deliveries_between_two_starts_are_counted_as_skipped(attempts: Attempts, other: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 0, LastAttempt.STARTED)
    past = await other.read(replace(message, receive_count=5))
    assert past == PastAttempts(0, LastAttempt.STARTED, skipped=2)
    await other.note(replace(message, receive_count=5), 0, LastAttempt.STARTED_ISOLATED, skipped=past.skipped)
    assert await attempts.read(replace(message, receive_count=7)) == PastAttempts(
        0, LastAttempt.STARTED_ISOLATED, skipped=3
    )


async def test_an_end_that_cannot_be_noted_at_first_is_noted_once_the_cache_is_back(
    attempts: Attempts, other: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    message = received(receive_count=2)
    await attempts.note(message, 0, LastAttempt.STARTED)
    momento.error = TransientError("down")
    await attempts.note(message, 0, LastAttempt.ENDED)
    momento.error = None
    await wait_until(lambda: momento.items[f"attempts:{message.message_id}"] == b"0 ended")
    assert await other.read(replace(message, receive_count=3)) == NO_ATTEMPTS


async def test_one_end_that_cannot_be_noted_does_not_prevent_another(
    attempts: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    momento.error = TransientError("down")
    await attempts.note(received(receive_count=2), 0, LastAttempt.ENDED)
    momento.error = None
    message = received(receive_count=2)
    await attempts.note(message, 0, LastAttempt.ENDED)
    assert momento.items[f"attempts:{message.message_id}"] == b"0 ended"


async def test_an_end_is_noted_even_if_its_message_is_interrupted(attempts: Attempts, momento: FakeMomento) -> None:
    message = received(receive_count=2)
    momento.error = TransientError("down")
    noting = asyncio.create_task(attempts.note(message, 0, LastAttempt.ENDED))
    await wait_until(lambda: "set" in momento.calls)
    noting.cancel()
    await asyncio.wait({noting})
    momento.error = None
    await wait_until(lambda: momento.items.get(f"attempts:{message.message_id}") == b"0 ended")


async def test_a_late_end_does_not_hide_a_later_start(
    attempts: Attempts, other: Attempts, momento: FakeMomento
) -> None:
    message = received(receive_count=2)
    later = replace(message, receive_count=3)
    await attempts.note(message, 0, LastAttempt.STARTED)
    await other.note(later, 0, LastAttempt.STARTED_ISOLATED)
    await attempts.note(message, 0, LastAttempt.ENDED, late=True)
    assert (await attempts.read(replace(message, receive_count=4))).last is LastAttempt.STARTED_ISOLATED
    await other.note(later, 2, LastAttempt.ENDED)
    await attempts.note(message, 0, LastAttempt.ENDED, late=True)
    assert momento.items[f"attempts:{message.message_id}"] == b"2 ended"


async def test_a_late_end_replaces_the_start_that_it_belongs_to(attempts: Attempts, other: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 0, LastAttempt.STARTED)
    await attempts.note(message, 0, LastAttempt.ENDED, late=True)
    assert await other.read(replace(message, receive_count=3)) == NO_ATTEMPTS


async def test_a_return_without_a_start_is_noted_unless_more_is_known(attempts: Attempts, other: Attempts) -> None:
    unknown, begun = received(receive_count=4), received(receive_count=4)
    await attempts.note(begun, 1, LastAttempt.STARTED)
    unstarted = received()
    for message in (unknown, begun):
        await attempts.note_release(message, is_unstarted=False)
    await attempts.note_release(unstarted, is_unstarted=True)
    assert await other.read(replace(unknown, receive_count=5)) == NO_ATTEMPTS
    assert await other.read(replace(unstarted, receive_count=2)) == replace(NO_ATTEMPTS, is_unstarted=True)
    assert await other.read(replace(begun, receive_count=5)) == PastAttempts(1, LastAttempt.STARTED)


async def test_ends_that_cannot_be_noted_are_bounded(
    attempts: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "MAX_UNWRITTEN", 1)
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    momento.error = TransientError("down")
    for _ in range(2):
        await attempts.note(received(receive_count=2), 0, LastAttempt.ENDED)
    momento.error = None
    await wait_until(lambda: bool(momento.items))
    assert len(momento.items) == 1


async def test_if_the_cache_is_down_or_not_used_the_deliveries_count(
    attempts: Attempts, momento: FakeMomento, background: Background
) -> None:
    momento.error = TransientError("down")
    message = received(receive_count=4)
    by_deliveries = PastAttempts(3, LastAttempt.UNAVAILABLE)
    assert await attempts.read(message) == by_deliveries
    await attempts.note(message, 3, LastAttempt.ENDED)
    without = Attempts(None, CacheGuard(), background)
    assert await without.read(message) == by_deliveries
    await without.note(message, 3, LastAttempt.ENDED)


@pytest.mark.parametrize("last", list(LastAttempt))
@pytest.mark.parametrize("deliveries", [2, 5, 6, 11])
def test_only_a_task_whose_isolated_attempt_had_no_end_is_a_poison_pill(last: LastAttempt, deliveries: int) -> None:
    assert POLICY.is_poison_pill(PastAttempts(0, last), deliveries) is (
        deliveries > 5 and last in {LastAttempt.STARTED_ISOLATED, LastAttempt.UNAVAILABLE}
    )


@pytest.mark.parametrize("deliveries", [2, 5, 6])
@pytest.mark.parametrize(
    ("last", "from_delivery"),
    [(LastAttempt.STARTED, 2), (LastAttempt.STARTED_ISOLATED, 2), (LastAttempt.UNKNOWN, 5), (LastAttempt.ENDED, 99)],
)
def test_a_task_whose_attempt_had_no_end_is_isolated_and_one_that_failed_is_not(
    last: LastAttempt, from_delivery: int, deliveries: int
) -> None:
    assert POLICY.needs_isolation(PastAttempts(0, last), deliveries) is (deliveries >= from_delivery)


def test_a_first_delivery_is_never_isolated() -> None:
    once = RetryPolicy(max_attempts=1, base_seconds=2, cap_seconds=900)
    assert not once.needs_isolation(NO_ATTEMPTS, 1)


@pytest.mark.parametrize(
    ("failed", "deliveries", "attempt"),
    [(0, 1, 1), (4, 5, 5), (0, 5, 1), (1, 9, 4), (0, 10, 5), (9, 10, 10)],
)
def test_deliveries_that_were_no_attempts_are_not_counted_as_far_as_the_queue_permits(
    failed: int, deliveries: int, attempt: int
) -> None:
    assert POLICY.attempt_number(PastAttempts(failed, LastAttempt.ENDED), deliveries) == attempt


@given(most=st.integers(2, 20), requeued=st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_poison_pill_is_found_before_the_queue_moves_it_and_requeues_cost_no_attempt(
    most: int, requeued: list[bool]
) -> None:
    """It dies at every start, and now and then it is requeued instead."""
    policy = RetryPolicy(max_attempts=most, base_seconds=2, cap_seconds=900)
    past, starts = PastAttempts(0, LastAttempt.STARTED), 0
    for delivery in range(3, 2 * most + 1):
        if policy.is_poison_pill(past, delivery):
            break
        assert policy.needs_isolation(past, delivery)
        if requeued[delivery] and policy.can_requeue_unstarted(delivery):
            past = replace(past, skipped=past.skipped + 1)
            assert policy.attempt_number(past, delivery + 1) == 1
        else:
            past, starts = replace(past, last=LastAttempt.STARTED_ISOLATED), starts + 1
    assert policy.is_poison_pill(past, 2 * most)
    assert starts == max(1, most - 2)  # as many as without requeues


def test_deliveries_without_a_start_do_not_make_a_poison_pill_as_far_as_the_queue_permits() -> None:
    assert not POLICY.is_poison_pill(PastAttempts(0, LastAttempt.STARTED_ISOLATED, skipped=2), 7)
    assert POLICY.is_poison_pill(PastAttempts(0, LastAttempt.STARTED_ISOLATED, skipped=2), 8)
    assert POLICY.is_poison_pill(PastAttempts(0, LastAttempt.STARTED_ISOLATED, skipped=100), 10)
