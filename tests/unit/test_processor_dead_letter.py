"""What a dead letter says, and that SQS will take it, whatever the message was."""

from hypothesis import given
from hypothesis import strategies as st

from services.processor.dead_letter import (
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    Reason,
    dead_letter,
    without_dead_letter_attributes,
)
from tests.support.fake_task_queue import received


def test_the_messages_own_attributes_stay() -> None:
    letter = dead_letter(received(attributes={"taskId": "1", "traceparent": "2"}), Reason.PERMANENT, "why")
    assert without_dead_letter_attributes(letter.attributes) == {"taskId": "1", "traceparent": "2"}
    assert letter.attributes["deadLetterDetail"] == "why"


def test_what_a_redrive_needs_goes_before_other_attributes() -> None:
    own = {f"other{number}": "x" for number in range(8)} | {"idempotent": "true", "taskId": "1"}
    letter = dead_letter(received(attributes=own), Reason.UNREADABLE, "")
    assert len(letter.attributes) == MAX_ATTRIBUTES
    assert {"taskId", "idempotent"} <= set(letter.attributes)


def test_the_attributes_of_an_earlier_burial_give_way() -> None:
    first = dead_letter(received(attributes={"taskId": "1"}), Reason.ATTEMPTS, "first")
    again = dead_letter(received(attributes=first.attributes), Reason.PERMANENT, "second")
    assert (again.attributes["deadLetterReason"], again.attributes["deadLetterDetail"]) == ("permanent", "second")
    assert len(again.attributes) == len(first.attributes)


def test_the_user_keeps_the_group() -> None:
    assert dead_letter(received("someone"), Reason.DIED, "").group_id == "someone"


def test_a_message_that_fills_sqs_to_the_brim_still_fits_with_its_reason() -> None:
    letter = dead_letter(received(body="ü" * (MAX_MESSAGE_BYTES // 2)), Reason.UNREADABLE, "why")
    assert MAX_MESSAGE_BYTES - 2 <= letter.size() <= MAX_MESSAGE_BYTES
    assert set(letter.body) == {"ü"}


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=10))
def test_whatever_the_message_its_letter_is_within_what_sqs_takes(detail: str, attributes: dict[str, str]) -> None:
    letter = dead_letter(received(attributes=attributes), Reason.PERMANENT, detail)
    assert len(letter.attributes) <= MAX_ATTRIBUTES
    assert all(letter.attributes.values())
    assert 1 <= len(letter.attributes["deadLetterDetail"]) <= 256
    assert letter.attributes["deadLetterDetail"].isprintable()
