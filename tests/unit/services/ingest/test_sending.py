"""Whether a message may be on the queue, whatever its calls ended with; and what is too large for the queue."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import PermanentError
from services.common.aws.task_queue import (
    MessageTooLarge,
    OutgoingMessage,
    QueueAnswerLost,
    QueueRefused,
    QueueUnavailable,
    TaskQueue,
)
from services.common.batcher import BatchRefusedError
from services.ingest.sending import RESERVED_BYTES, Sending, check_size, mark_idempotent, send_batch, too_large_problem
from services.processor.dead_letter_message import DeadLetterReason, dead_letter
from tests.support.fakes.task_queue import FakeTaskQueue, received

MESSAGE = OutgoingMessage(body="b", attributes={"taskId": "t"}, group_id="alice")
REFUSED = (QueueUnavailable("throttled"), QueueRefused("no"), MessageTooLarge("no"))
UNKNOWN = QueueAnswerLost("lost")


async def call(sending: Sending, outcome: Exception | None, *, is_raised: bool) -> None:
    queue = FakeTaskQueue()
    if is_raised and outcome is not None:
        queue.error = BatchRefusedError(outcome) if isinstance(outcome, PermanentError) else outcome
    queue.outcome = lambda _: outcome
    try:
        assert await send_batch(queue.as_queue(), [sending]) == [outcome]
    except (QueueUnavailable, BatchRefusedError):
        assert is_raised


@given(st.lists(st.tuples(st.sampled_from([None, UNKNOWN, *REFUSED]), st.booleans()), max_size=4))
def test_only_what_every_call_refused_is_certainly_not_queued(
    outcomes: Sequence[tuple[Exception | None, bool]],
) -> None:
    async def run() -> None:
        sending = Sending(MESSAGE)
        for outcome, is_raised in outcomes:
            await call(sending, outcome, is_raised=is_raised)
        assert sending.may_be_queued is not all(outcome in REFUSED for outcome, _ in outcomes)

    asyncio.run(run())


async def test_each_entry_of_a_batch_has_its_own_state() -> None:
    queue = FakeTaskQueue()
    outcomes = {"taken": None, "refused": QueueRefused("no"), "lost": UNKNOWN}
    queue.outcome = outcomes.get
    sendings = [Sending(OutgoingMessage(body=body, attributes={})) for body in outcomes]
    assert await send_batch(queue.as_queue(), sendings) == list(outcomes.values())
    assert [sending.may_be_queued for sending in sendings] == [True, False, True]


async def test_entries_in_flight_or_cancelled_during_the_call_may_be_queued() -> None:
    queue = FakeTaskQueue()
    queue.gate.clear()
    sending = Sending(MESSAGE)
    calling = asyncio.create_task(send_batch(queue.as_queue(), [sending]))
    await asyncio.sleep(0)
    assert sending.may_be_queued
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert sending.may_be_queued


async def test_an_error_of_an_unknown_kind_leaves_open_whether_it_is_queued() -> None:
    class Broken:
        async def send(self, _: Sequence[OutgoingMessage]) -> list[Exception | None]:
            raise LookupError

    sending = Sending(MESSAGE)
    with pytest.raises(LookupError):
        await send_batch(cast("TaskQueue", Broken()), [sending])
    assert sending.may_be_queued


def test_only_a_copy_of_what_may_be_queued_is_marked() -> None:
    sending = Sending(MESSAGE)
    assert mark_idempotent(sending, QueueUnavailable("throttled")).message == MESSAGE
    assert mark_idempotent(sending, UNKNOWN) is sending
    assert sending.message.attributes == {"taskId": "t", "idempotent": "true"}


def test_a_message_is_refused_where_its_dead_letter_would_not_fit() -> None:
    message = OutgoingMessage(body="x" * 6_000, attributes={})
    fits = message.size() + RESERVED_BYTES
    for limit in (None, fits):
        check_size(message, limit)
    with pytest.raises(MessageTooLarge) as caught:
        check_size(message, fits - 1)
    assert caught.value.limit_bytes == fits - 1


@pytest.mark.parametrize("limit", [1_024, 2_048])
def test_a_queue_for_small_messages_accepts_tasks(limit: int) -> None:
    fits = limit * 3 // 4
    check_size(OutgoingMessage(body="x" * fits, attributes={}), limit)
    with pytest.raises(MessageTooLarge):
        check_size(OutgoingMessage(body="x" * (fits + 1), attributes={}), limit)


def test_there_is_room_for_all_that_the_processor_adds() -> None:
    message = received(attributes={}, message_id="x" * 36, receive_count=1_000)
    letter = dead_letter(message, DeadLetterReason.MALFORMED, "\U0001f600" * 1_000)
    mark = OutgoingMessage(body="", attributes={"idempotent": "true"})
    assert letter.size() - len(message.body) + mark.size() <= RESERVED_BYTES


def test_the_refusal_has_the_size_and_the_limit() -> None:
    problem = too_large_problem(MESSAGE, 2_048)
    assert problem.status == 413
    assert "needs 14 bytes on the queue, which accepts at most 2048, of which 512 are" in problem.detail
    assert "at most 262144, of which 1536 are" in too_large_problem(MESSAGE, 262_144).detail
    assert "which accepts less" in too_large_problem(MESSAGE, None).detail
