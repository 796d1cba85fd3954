"""The largest message that a queue takes: what is read replaces, what is refused lowers, and both are forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.aws.queue_limit import VALID_SECONDS, QueueLimit
from tests.support.clock import ManualClock


def is_unknown(limit: QueueLimit) -> bool:
    return limit.message_bytes is None and limit.batch_bytes is None


def test_the_limit_is_unknown_at_first() -> None:
    assert is_unknown(QueueLimit())


def test_a_refusal_lowers_the_limit_and_a_reading_replaces_it() -> None:
    limit = QueueLimit()
    limit.lower(262_144)
    limit.lower(1_048_576)
    assert limit.message_bytes == 262_144
    limit.set(1_048_576)
    assert limit.message_bytes == 1_048_576
    limit.lower(2_048)
    assert limit.message_bytes == 2_048


def test_an_unconfirmed_limit_expires_as_the_queue_may_have_changed() -> None:
    clock = ManualClock()
    limit = QueueLimit(clock=clock)
    limit.lower(2_048)
    clock.now += VALID_SECONDS - 1
    assert limit.message_bytes == 2_048
    clock.now += 1
    assert is_unknown(limit)
    limit.lower(262_144)
    assert limit.message_bytes == 262_144


@pytest.mark.parametrize("size", [-1, 0, 1_023, 1_048_577, 10**30])
def test_an_impossible_limit_is_ignored(size: int) -> None:
    limit = QueueLimit()
    limit.set(size)
    limit.lower(size)
    assert limit.message_bytes is None


@given(st.integers(1_024, 1_048_576))
def test_a_batch_stays_below_the_limit_but_close_to_it(size: int) -> None:
    limit = QueueLimit()
    limit.set(size)
    assert limit.batch_bytes is not None
    assert 0.95 * size < limit.batch_bytes < size
