"""What is known of a message's earlier deliveries, and what follows from it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.background import Background
from services.common.errors import Transient
from services.processor.delivery import attempts as attempts_module
from services.processor.delivery.attempts import NO_PAST, Attempts, Last, Past
from services.processor.notify.history import Record
from services.processor.receiver.outcome import RetryPolicy, can_be_requeued, is_killer, is_suspect
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
    return Attempts(momento.as_momento(), Record(None), background)


@pytest.fixture
def other(momento: FakeMomento, background: Background) -> Attempts:
    """The like, of another process."""
    return Attempts(momento.as_momento(), Record(None), background)


async def test_a_first_delivery_is_not_looked_up(attempts: Attempts, momento: FakeMomento) -> None:
    assert await attempts.past(received(receive_count=1)) == NO_PAST
    assert momento.calls == []


@pytest.mark.parametrize("last", [Last.ENDED, Last.BESIDE, Last.ALONE])
async def test_what_was_noted_is_known_to_another_process_at_the_next_delivery(
    attempts: Attempts, other: Attempts, last: Last
) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 3, last)
    assert await other.past(replace(message, receive_count=3)) == Past(3, last)
    assert await attempts.past(received(receive_count=2)) == Past(0, Last.UNNOTED)


@pytest.mark.parametrize("noted", [b"", b"\xff", b"1", b"x ended", b"1 resting", b"1 ended 2"])
async def test_a_note_that_cannot_be_read_is_none(attempts: Attempts, momento: FakeMomento, noted: bytes) -> None:
    message = received(receive_count=2)
    momento.items[f"attempts:{message.message_id}"] = noted
    assert await attempts.past(message) == Past(0, Last.UNNOTED)


async def test_a_start_that_this_very_process_noted_is_no_death(attempts: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 1, Last.BESIDE)
    assert await attempts.past(replace(message, receive_count=3)) == Past(1, Last.ENDED)


async def test_a_start_that_the_version_before_noted_is_understood(attempts: Attempts, momento: FakeMomento) -> None:
    message = received(receive_count=3)
    momento.items[f"attempts:{message.message_id}"] = b"2 alone"
    assert await attempts.past(message) == Past(2, Last.ALONE)


async def test_deliveries_between_two_starts_are_counted_as_skipped(attempts: Attempts, other: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 0, Last.BESIDE)
    past = await other.past(replace(message, receive_count=5))
    assert past == Past(0, Last.BESIDE, skipped=2)
    await other.note(replace(message, receive_count=5), 0, Last.ALONE, skipped=past.skipped)
    assert await attempts.past(replace(message, receive_count=7)) == Past(0, Last.ALONE, skipped=3)


async def test_an_end_that_cannot_be_noted_at_first_is_noted_once_the_cache_is_back(
    attempts: Attempts, other: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    message = received(receive_count=2)
    await attempts.note(message, 0, Last.BESIDE)
    momento.error = Transient("down")
    await attempts.note(message, 0, Last.ENDED)
    momento.error = None
    await wait_until(lambda: momento.items[f"attempts:{message.message_id}"] == b"0 ended")
    assert await other.past(replace(message, receive_count=3)) == NO_PAST


async def test_one_end_that_cannot_be_noted_keeps_no_other_from_it(
    attempts: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    momento.error = Transient("down")
    await attempts.note(received(receive_count=2), 0, Last.ENDED)
    momento.error = None
    message = received(receive_count=2)
    await attempts.note(message, 0, Last.ENDED)
    assert momento.items[f"attempts:{message.message_id}"] == b"0 ended"


async def test_an_end_is_noted_though_its_message_is_cut_off_meanwhile(
    attempts: Attempts, momento: FakeMomento
) -> None:
    message = received(receive_count=2)
    momento.error = Transient("down")
    noting = asyncio.create_task(attempts.note(message, 0, Last.ENDED))
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
    await attempts.note(message, 0, Last.BESIDE)
    await other.note(later, 0, Last.ALONE)
    await attempts.note(message, 0, Last.ENDED, late=True)
    assert (await attempts.past(replace(message, receive_count=4))).last is Last.ALONE
    await other.note(later, 2, Last.ENDED)
    await attempts.note(message, 0, Last.ENDED, late=True)
    assert momento.items[f"attempts:{message.message_id}"] == b"2 ended"


async def test_a_late_end_replaces_the_start_that_it_belongs_to(attempts: Attempts, other: Attempts) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 0, Last.BESIDE)
    await attempts.note(message, 0, Last.ENDED, late=True)
    assert await other.past(replace(message, receive_count=3)) == NO_PAST


async def test_a_return_without_a_start_is_noted_unless_more_is_known(attempts: Attempts, other: Attempts) -> None:
    unknown, begun = received(receive_count=4), received(receive_count=4)
    await attempts.note(begun, 1, Last.BESIDE)
    for message in (unknown, begun):
        await attempts.note_unstarted(message)
    assert await other.past(replace(unknown, receive_count=5)) == NO_PAST
    assert await other.past(replace(begun, receive_count=5)) == Past(1, Last.BESIDE)


async def test_ends_that_cannot_be_noted_are_bounded(
    attempts: Attempts, momento: FakeMomento, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts_module, "MAX_UNWRITTEN", 1)
    monkeypatch.setattr(attempts_module, "NOTE_SECONDS", 0.05)
    momento.error = Transient("down")
    for _ in range(2):
        await attempts.note(received(receive_count=2), 0, Last.ENDED)
    momento.error = None
    await wait_until(lambda: bool(momento.items))
    assert len(momento.items) == 1


async def test_where_the_cache_is_out_or_not_used_the_deliveries_count(
    attempts: Attempts, momento: FakeMomento, background: Background
) -> None:
    momento.error = Transient("down")
    message = received(receive_count=4)
    by_deliveries = Past(3, Last.UNREADABLE)
    assert await attempts.past(message) == by_deliveries
    await attempts.note(message, 3, Last.ENDED)
    without = Attempts(None, Record(None), background)
    assert await without.past(message) == by_deliveries
    await without.note(message, 3, Last.ENDED)


@pytest.mark.parametrize("last", list(Last))
@pytest.mark.parametrize("deliveries", [2, 5, 6, 11])
def test_only_what_had_no_end_while_apart_is_set_aside_unrun(last: Last, deliveries: int) -> None:
    assert is_killer(Past(0, last), deliveries, POLICY) is (deliveries > 5 and last in {Last.ALONE, Last.UNREADABLE})


@pytest.mark.parametrize("deliveries", [2, 5, 6])
@pytest.mark.parametrize(
    ("last", "from_delivery"), [(Last.BESIDE, 2), (Last.ALONE, 2), (Last.UNNOTED, 5), (Last.ENDED, 99)]
)
def test_what_had_no_end_runs_apart_and_what_failed_does_not(last: Last, from_delivery: int, deliveries: int) -> None:
    assert is_suspect(Past(0, last), deliveries, POLICY) is (deliveries >= from_delivery)


def test_a_first_delivery_never_runs_apart() -> None:
    once = RetryPolicy(max_attempts=1, base_seconds=2, cap_seconds=900)
    assert not is_suspect(NO_PAST, 1, once)


@pytest.mark.parametrize(
    ("failed", "deliveries", "attempt"),
    [(0, 1, 1), (4, 5, 5), (0, 5, 1), (1, 9, 4), (0, 10, 5), (9, 10, 10)],
)
def test_deliveries_that_were_no_attempts_are_left_out_as_many_as_the_queue_bears(
    failed: int, deliveries: int, attempt: int
) -> None:
    assert POLICY.attempt(Past(failed, Last.ENDED), deliveries) == attempt


@given(most=st.integers(2, 20), requeued=st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_poison_pill_is_found_before_the_queue_moves_it_and_requeues_cost_no_attempt(
    most: int, requeued: list[bool]
) -> None:
    """It dies at every start, and now and then it is requeued instead."""
    policy = RetryPolicy(max_attempts=most, base_seconds=2, cap_seconds=900)
    past, starts = Past(0, Last.BESIDE), 0
    for delivery in range(3, 2 * most + 1):
        if is_killer(past, delivery, policy):
            break
        assert is_suspect(past, delivery, policy)
        if requeued[delivery] and can_be_requeued(delivery, policy):
            past = replace(past, skipped=past.skipped + 1)
            assert policy.attempt(past, delivery + 1) == 1
        else:
            past, starts = replace(past, last=Last.ALONE), starts + 1
    assert is_killer(past, 2 * most, policy)
    assert starts == max(1, most - 2)  # as many as without requeues


def test_deliveries_without_a_start_do_not_make_a_poison_pill_as_far_as_the_queue_bears() -> None:
    assert not is_killer(Past(0, Last.ALONE, skipped=2), 7, POLICY)
    assert is_killer(Past(0, Last.ALONE, skipped=2), 8, POLICY)
    assert is_killer(Past(0, Last.ALONE, skipped=100), 10, POLICY)
