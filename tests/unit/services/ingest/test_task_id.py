"""Task ids: new ones, and the same again for the same Idempotency-Key of the same user."""

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.web.problem import Problem
from services.ingest.task_id import task_id_for, uuid7

keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
users = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)


def test_without_a_key_each_task_has_an_id_of_its_own() -> None:
    ids = {task_id_for("alice", None) for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(uuid.UUID(task_id).version == 7 for task_id in ids)


def test_an_id_without_a_key_has_the_time_of_its_creation() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    times = [each.int >> 80 for each in ids]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= after
    assert all((each.version, each.variant) == (7, uuid.RFC_4122) for each in ids)


def test_all_other_bits_of_an_id_are_random() -> None:
    ids = [uuid7().int for _ in range(200)]
    fixed = 0xF << 76 | 0b11 << 62
    for bit in range(80):
        assert (len({each >> bit & 1 for each in ids}) == 1) == bool(fixed >> bit & 1)


@given(users, keys)
def test_the_same_key_gives_the_same_id_again(user_id: str, key: str) -> None:
    task_id = task_id_for(user_id, key)
    assert task_id == task_id_for(user_id, key)
    assert str(uuid.UUID(task_id)) == task_id


@given(users, keys, users, keys)
def test_another_key_or_another_user_gives_another_id(user: str, key: str, other_user: str, other_key: str) -> None:
    same = (user, key) == (other_user, other_key)
    assert (task_id_for(user, key) == task_id_for(other_user, other_key)) is same


def test_the_id_is_the_same_in_every_release() -> None:
    # A retry after an update of the service must find the history entry of the first.
    assert task_id_for("alice", "key-1") == "0d7f09a7-ed5e-58f8-97af-7258af398445"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "ü", "x" * 256, "a\x00", "\udcff", "key\n"])
def test_a_key_that_cannot_be_one_is_refused_with_a_hint(key: str) -> None:
    with pytest.raises(Problem) as caught:
        task_id_for("alice", key)
    assert caught.value.status == 400
    assert "Idempotency-Key must be 1 to 255 visible ASCII characters" in caught.value.detail
