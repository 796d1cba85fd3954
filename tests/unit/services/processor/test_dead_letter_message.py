"""What a dead letter says, and that SQS will take it, whatever the message was."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.aws.task_queue import MessageTooLarge, OutgoingMessage
from services.common.batcher import Batcher, BatchPolicy
from services.processor.dead_letter_message import (
    COMMON_LIMIT_BYTES,
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    DeadLetterReason,
    dead_letter,
    redrivable_attributes,
    send_to_dead_letter_queue,
)
from tests.support.fakes.task_queue import FakeTaskQueue, received


def test_the_messages_own_attributes_are_kept() -> None:
    letter = dead_letter(received(attributes={"taskId": "1", "traceparent": "2"}), DeadLetterReason.PERMANENT, "why")
    assert redrivable_attributes(letter.attributes) == {"taskId": "1", "traceparent": "2"}
    assert letter.attributes["deadLetterDetail"] == "why"


def test_attributes_that_a_redrive_needs_have_priority() -> None:
    own = {f"other{number}": "x" for number in range(6)}
    own |= {"idempotent": "true", "taskId": "1", "type": "report", "redriven": "x"}
    letter = dead_letter(received(attributes=own), DeadLetterReason.MALFORMED, "")
    assert len(letter.attributes) == MAX_ATTRIBUTES
    assert {"taskId", "idempotent", "type", "redriven"} <= set(letter.attributes)


def test_a_dead_letter_that_sqs_redrives_neither_waits_nor_expires() -> None:
    own = {"taskId": "1", "type": "report", "delaySeconds": "900", "expiresAt": "1700000000000"}
    letter = dead_letter(received(attributes=own), DeadLetterReason.PERMANENT, "why")
    assert {name for name in letter.attributes if not name.startswith("deadLetter")} == {"taskId", "type"}
    assert letter.delay_seconds == 0


def test_the_attributes_of_an_earlier_dead_letter_are_replaced() -> None:
    first = dead_letter(received(attributes={"taskId": "1"}), DeadLetterReason.MAX_ATTEMPTS, "first")
    again = dead_letter(received(attributes=first.attributes), DeadLetterReason.PERMANENT, "second")
    assert (again.attributes["deadLetterReason"], again.attributes["deadLetterDetail"]) == ("permanent", "second")
    assert len(again.attributes) == len(first.attributes)


def test_the_user_keeps_the_group() -> None:
    assert dead_letter(received("someone"), DeadLetterReason.POISON_PILL, "").group_id == "someone"


def test_a_message_of_the_maximum_size_fits_with_its_reason() -> None:
    letter = dead_letter(received(body="ü" * (MAX_MESSAGE_BYTES // 2)), DeadLetterReason.MALFORMED, "why")
    assert MAX_MESSAGE_BYTES - 2 <= letter.size() <= MAX_MESSAGE_BYTES
    assert set(letter.body) == {"ü"}


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=10))
def test_every_dead_letter_is_within_the_limits_of_sqs(detail: str, attributes: dict[str, str]) -> None:
    letter = dead_letter(received(attributes=attributes), DeadLetterReason.PERMANENT, detail)
    assert len(letter.attributes) <= MAX_ATTRIBUTES
    assert all(letter.attributes.values())
    assert 1 <= len(letter.attributes["deadLetterDetail"]) <= 256
    assert letter.attributes["deadLetterDetail"].isprintable()


class SmallQueue(FakeTaskQueue):
    """A dead-letter queue with a smaller MaximumMessageSize, which says it or not."""

    def __init__(self, limit_bytes: int, *, says_it: bool) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._said = limit_bytes if says_it else None

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Exception | None]:
        await super().send(messages)
        return [MessageTooLarge("no", self._said) if one.size() > self._limit_bytes else None for one in messages]


@pytest.mark.parametrize(("limit_bytes", "says_it"), [(5_000, True), (COMMON_LIMIT_BYTES, False)])
@pytest.mark.parametrize("body_bytes", [100, 4_500, 300_000])
async def test_a_dead_letter_for_a_smaller_queue_keeps_as_much_of_its_body_as_fits(
    limit_bytes: int, says_it: bool, body_bytes: int
) -> None:
    queue, sent = SmallQueue(limit_bytes, says_it=says_it), []
    attributes = {"taskId": "1", "redriven": "x"} | {f"other{number}": "y" * 100 for number in range(6)}
    message = received(body="x" * body_bytes, attributes=attributes)
    batcher = Batcher(queue.send, BatchPolicy())
    await send_to_dead_letter_queue(
        batcher, message, DeadLetterReason.MAX_ATTEMPTS, "why" * 1_000, lambda: sent.append(True)
    )
    letter = queue.sent[-1][0]
    assert sent == [True]
    assert limit_bytes - 1_500 < letter.size() + max(0, limit_bytes - 1_500 - body_bytes) <= limit_bytes
    assert (letter.attributes["taskId"], letter.attributes["redriven"]) == ("1", "x")
    assert letter.attributes["deadLetterMessageId"] == message.message_id


@pytest.mark.parametrize("limit_bytes", [5_000, 100_000, 200_000])
async def test_a_dead_letter_is_shortened_until_a_queue_with_an_unknown_limit_accepts_it(limit_bytes: int) -> None:
    queue = SmallQueue(limit_bytes, says_it=False)
    message = received(body="x" * 300_000)
    await send_to_dead_letter_queue(
        Batcher(queue.send, BatchPolicy()), message, DeadLetterReason.MAX_ATTEMPTS, "why", lambda: None
    )
    assert limit_bytes / 2 - 2_000 < queue.sent[-1][0].size() <= limit_bytes


@pytest.mark.parametrize("says_it", [True, False])
async def test_a_dead_letter_that_fits_at_no_length_is_abandoned(says_it: bool) -> None:
    queue = SmallQueue(0, says_it=says_it)
    with pytest.raises(MessageTooLarge):
        await send_to_dead_letter_queue(
            Batcher(queue.send, BatchPolicy()), received(), DeadLetterReason.MAX_ATTEMPTS, "why", lambda: None
        )
    assert len(queue.sent) < 20


def test_a_detail_of_twenty_megabytes_blocks_nothing() -> None:
    started = time.process_time()
    letter = dead_letter(received(), DeadLetterReason.MAX_ATTEMPTS, "x" * 20_000_000)
    assert len(letter.attributes["deadLetterDetail"]) == 256
    assert time.process_time() - started < 0.2
