"""Idempotency keys: one body each for 24 hours, in bounded memory, and a body that was never sent blocks nothing."""

import tracemalloc
import uuid
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from services.common.aws.task_queue import OutgoingMessage
from services.common.messages.task_message import TaskMessage
from services.common.web.problem import Problem
from services.ingest.idempotency import (
    MAX_KEYS,
    RETENTION_SECONDS,
    IdempotencyKeys,
    KeyReusedError,
    idempotency_key,
)
from services.ingest.sending import Sending
from services.ingest.task_id import task_id_for
from tests.support.clock import ManualClock


def task(key: str, payload: str, user_id: str = "alice") -> TaskMessage:
    return TaskMessage(task_id=task_id_for(user_id, key), user_id=user_id, payload=payload, idempotent=True)


def sending(*, may_be_queued: bool = False) -> Sending:
    return Sending(OutgoingMessage(body="", attributes={}), may_be_queued)


def send(keys: IdempotencyKeys, sent: TaskMessage, *, arrives: bool = True) -> None:
    with keys.reserved(sent, sending(may_be_queued=arrives)):
        pass


def is_refused(keys: IdempotencyKeys, sent: TaskMessage) -> bool:
    try:
        send(keys, sent, arrives=False)
    except KeyReusedError:
        return True
    return False


@pytest.mark.parametrize("body", ['{"data":"y"}', '{"data": "x"}', '{"data":"x"}\n', '{"data":"\\u0078"}'])
def test_a_used_key_accepts_the_same_bytes_only(body: str) -> None:
    keys = IdempotencyKeys()
    send(keys, task("k", '{"data":"x"}'))
    assert not is_refused(keys, task("k", '{"data":"x"}'))
    with pytest.raises(KeyReusedError) as caught:
        send(keys, task("k", body))
    assert caught.value.status == 422
    assert "use a new key" in caught.value.detail
    assert not is_refused(keys, task("k2", body))
    assert not is_refused(keys, task("k", body, user_id="bob"))


def test_a_body_that_is_certainly_not_queued_does_not_block_a_corrected_one() -> None:
    keys = IdempotencyKeys()
    send(keys, task("k", "wrong"), arrives=False)
    send(keys, task("k", "corrected"))
    assert is_refused(keys, task("k", "wrong"))


def test_a_body_that_failed_does_not_free_the_key_of_one_that_arrived() -> None:
    keys = IdempotencyKeys()
    send(keys, task("k", "body"))
    send(keys, task("k", "body"), arrives=False)
    assert is_refused(keys, task("k", "other"))


def test_the_key_is_reserved_while_its_body_is_being_sent() -> None:
    keys = IdempotencyKeys()
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(keys.reserved(task("k", "body"), sending()))
        second.enter_context(keys.reserved(task("k", "body"), sending()))
        assert is_refused(keys, task("k", "other"))
        first.close()
        assert is_refused(keys, task("k", "other"))
        second.close()
        assert not is_refused(keys, task("k", "other"))


def test_an_error_of_the_sending_frees_the_key_unless_it_may_be_queued() -> None:
    keys = IdempotencyKeys()
    for arrives in (False, True):
        with pytest.raises(LookupError), keys.reserved(task("k", "body"), sending(may_be_queued=arrives)):
            raise LookupError
        assert is_refused(keys, task("k", "other")) is arrives


def test_a_key_is_free_again_after_24_hours() -> None:
    clock = ManualClock()
    keys = IdempotencyKeys(clock=clock)
    send(keys, task("k", "body"))
    clock.now += RETENTION_SECONDS - 1
    assert is_refused(keys, task("k", "other"))
    clock.now += 1
    assert not is_refused(keys, task("k", "other"))


def test_keys_beyond_the_maximum_displace_the_oldest() -> None:
    keys = IdempotencyKeys(max_keys=3)
    for number in range(4):
        send(keys, task(f"k{number}", "body"))
    assert [is_refused(keys, task(f"k{number}", "other")) for number in range(4)] == [False, True, True, True]


def test_the_memory_of_keys_is_bounded_in_bytes() -> None:
    keys = IdempotencyKeys()
    large = "x" * 100_000
    send(keys, task("first", large))
    tracemalloc.start()
    try:
        for _ in range(2_000):
            task_id = str(uuid.uuid4())
            with keys.reserved(TaskMessage(task_id=task_id, user_id="u", payload=large), sending(may_be_queued=True)):
                pass
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / 2_000 * MAX_KEYS < 25_000_000


@given(st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from("ab"), st.booleans()), max_size=12))
def test_a_key_belongs_to_the_first_body_that_may_be_queued(steps: list[tuple[str, str, bool]]) -> None:
    keys = IdempotencyKeys()
    owner: dict[str, str] = {}
    refusals: Counter[bool] = Counter()
    for key, body, arrives in steps:
        try:
            send(keys, task(key, body), arrives=arrives)
            was_refused = False
        except KeyReusedError:
            was_refused = True
        assert was_refused is (owner.get(key, body) != body)
        refusals[was_refused] += 1
        if arrives and not was_refused:
            owner.setdefault(key, body)
    assert sum(refusals.values()) == len(steps)


def test_a_request_has_one_key_or_none() -> None:
    assert idempotency_key(CIMultiDict()) is None
    assert idempotency_key(CIMultiDict({"idempotency-KEY": "k"})) == "k"
    for second in ("k", "other", ""):
        with pytest.raises(Problem, match="2 Idempotency-Key headers") as caught:
            idempotency_key(CIMultiDict([("Idempotency-Key", "k"), ("idempotency-key", second)]))
        assert caught.value.status == 400
