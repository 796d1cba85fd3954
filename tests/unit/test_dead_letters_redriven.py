"""Which failures a redrive overrules, and what a redriven message looks like."""

from typing import Any

import pytest

from services.common.notification import failed, finished
from services.processor.dead_letter import MAX_ATTRIBUTES, is_overruled
from services.processor.dead_letter_move import redriven
from services.processor.dead_letter_reader import Letter
from tests.support.fake_task_queue import received

SENT_MS = 1_000


@pytest.mark.parametrize(
    ("attributes", "told_ms", "overruled"),
    [
        ({"redriven": "true"}, SENT_MS - 1, True),
        ({"deadLetterReason": "permanent"}, SENT_MS - 1, True),  # as StartMessageMoveTask leaves it
        ({"redriven": "true"}, SENT_MS + 1, False),  # it failed again: that is told, not repeated for ever
        ({"taskId": "1"}, SENT_MS - 1, False),  # the same Idempotency-Key after a failure
    ],
)
def test_only_a_failure_from_before_the_redrive_is_overruled(
    attributes: dict[str, str], told_ms: int, overruled: bool
) -> None:
    message = received(attributes=attributes, sent_ms=SENT_MS)
    assert is_overruled(failed("task", "text", told_ms), message) is overruled


def test_a_result_stands_whatever_is_put_back() -> None:
    message = received(attributes={"redriven": "true"}, sent_ms=SENT_MS)
    assert not is_overruled(finished("task", "text", 1), message)


def letter(**fields: Any) -> Letter:
    return Letter(received(**fields))


def test_a_redriven_message_has_its_own_attributes_and_the_mark() -> None:
    attributes = {"taskId": "1", "traceparent": "t", "deadLetterReason": "permanent", "deadLetterDetail": "d"}
    message = redriven(letter(message_id="own", attributes=attributes, body="body", user_id="group"))
    assert message.attributes == {"taskId": "1", "traceparent": "t", "idempotent": "true", "redriven": "own"}
    assert (message.body, message.group_id) == ("body", "group")


@pytest.mark.parametrize(
    ("attributes", "overruled"),
    [
        ({"deadLetterMessageId": "delivery"}, "delivery"),
        ({"deadLetterMessageId": "delivery", "redriven": "earlier"}, "delivery"),
        ({"redriven": "earlier"}, "own"),  # SQS itself moved a redriven task: that delivery is the letter
        ({"redriven": "true"}, "own"),
        ({}, "own"),
    ],
)
def test_a_redrive_names_the_delivery_whose_failure_it_overrules(attributes: dict[str, str], overruled: str) -> None:
    assert redriven(letter(message_id="own", attributes=attributes)).attributes["redriven"] == overruled


def test_a_task_without_an_id_keeps_that_of_its_first_message() -> None:
    assert redriven(letter(attributes={"deadLetterMessageId": "first"})).attributes["taskId"] == "first"
    assert redriven(letter(message_id="own")).attributes["taskId"] == "own"


@pytest.mark.parametrize("unusable", ["", "with space", "x" * 129, "\u00e9"])
def test_a_task_whose_id_is_none_keeps_the_id_that_the_processor_took(unusable: str) -> None:
    attributes = {"taskId": unusable, "deadLetterMessageId": "first"}
    assert redriven(letter(attributes=attributes)).attributes["taskId"] == "first"


def test_the_mark_has_room_on_a_message_with_as_many_attributes_as_sqs_takes() -> None:
    attributes = {"taskId": "1", **{f"a{number}": "x" for number in range(MAX_ATTRIBUTES - 1)}}
    message = redriven(letter(message_id="own", attributes=attributes))
    assert len(message.attributes) == MAX_ATTRIBUTES
    assert message.attributes.items() >= {"taskId": "1", "idempotent": "true", "redriven": "own"}.items()
