"""What is known of a message's earlier deliveries, and what follows from it."""

import pytest

from services.common.errors import Transient
from services.processor.attempts import NO_PAST, Attempts, Last, Past
from services.processor.outcome import RetryPolicy, is_killer, is_suspect
from services.processor.record import Record
from tests.support.fake_momento import FakeMomento
from tests.support.fake_task_queue import received

POLICY = RetryPolicy(max_attempts=5, base_seconds=2, cap_seconds=900)


@pytest.fixture
def momento() -> FakeMomento:
    return FakeMomento()


@pytest.fixture
def attempts(momento: FakeMomento) -> Attempts:
    return Attempts(momento.as_momento(), Record(None))


async def test_a_first_delivery_is_not_looked_up(attempts: Attempts, momento: FakeMomento) -> None:
    assert await attempts.past(received(receive_count=1)) == NO_PAST
    assert momento.calls == []


@pytest.mark.parametrize("last", [Last.ENDED, Last.BESIDE, Last.ALONE])
async def test_what_was_noted_is_known_at_the_next_delivery(attempts: Attempts, last: Last) -> None:
    message = received(receive_count=2)
    await attempts.note(message, 3, last)
    assert await attempts.past(message) == Past(3, last)
    assert await attempts.past(received(receive_count=2)) == Past(0, Last.UNNOTED)


@pytest.mark.parametrize("noted", [b"", b"\xff", b"1", b"x ended", b"1 resting", b"1 ended 2"])
async def test_a_note_that_cannot_be_read_is_none(attempts: Attempts, momento: FakeMomento, noted: bytes) -> None:
    message = received(receive_count=2)
    momento.items[f"attempts:{message.message_id}"] = noted
    assert await attempts.past(message) == Past(0, Last.UNNOTED)


async def test_where_the_cache_is_out_or_not_used_the_deliveries_count(
    attempts: Attempts, momento: FakeMomento
) -> None:
    momento.error = Transient("down")
    message = received(receive_count=4)
    by_deliveries = Past(3, Last.UNREADABLE)
    assert await attempts.past(message) == by_deliveries
    await attempts.note(message, 3, Last.ENDED)
    without = Attempts(None, Record(None))
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
