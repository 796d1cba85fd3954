"""Which failures a redrive overrules, and the attributes of a redriven message."""

from typing import Any

import pytest

from services.common.messages.notification import failed, finished
from services.common.momento.history import HistoryEntry
from services.processor.dead_letter_message import MAX_ATTRIBUTES, is_overruled
from services.processor.dead_letters.reader import DeadLetter
from services.processor.dead_letters.redrive import redriven
from tests.support.fakes.task_queue import received


@pytest.mark.parametrize(
    ("attributes", "failed_as", "overruled"),
    [
        ({"redriven": "first"}, "first", True),
        ({"deadLetterMessageId": "first"}, "first", True),  # as StartMessageMoveTask leaves it
        ({"redriven": "second first"}, "first", True),  # SQS itself moved it after the first redrive
        ({"redriven": "first", "deadLetterMessageId": "second"}, "second", True),
        ({"redriven": "first"}, "own", False),  # it failed again: the failure is published, not repeated endlessly
        ({"redriven": "first"}, "other", False),  # another letter of the task was redriven, and failed again
        ({"taskId": "1"}, "first", False),  # the same Idempotency-Key after a failure
        ({"redriven": "true"}, "first", True),  # by a tool of an earlier version
        ({"redriven": "true"}, "own", False),
        ({"redriven": "first"}, None, True),  # an entry of an earlier version
        ({"deadLetterReason": "permanent"}, None, True),
        ({"taskId": "1"}, None, False),
    ],
)
@pytest.mark.parametrize("clock_ms", [-30_000, 30_000])
def test_a_redrive_overrules_the_failure_that_it_names_despite_clock_skew(
    attributes: dict[str, str], failed_as: str | None, overruled: bool, clock_ms: int
) -> None:
    message = received(attributes=attributes, message_id="own", sent_ms=100_000)
    known = HistoryEntry(notification=failed("task", "text", 100_000 + clock_ms), message_id=failed_as)
    assert is_overruled(known, message) is overruled


@pytest.mark.parametrize("attributes", [{"redriven": "first"}, {"redriven": "true"}, {"deadLetterMessageId": "first"}])
def test_a_finished_task_is_not_run_again_whatever_is_redriven(attributes: dict[str, str]) -> None:
    assert not is_overruled(HistoryEntry(notification=finished("task", "text", 1)), received(attributes=attributes))


def letter(**fields: Any) -> DeadLetter:
    return DeadLetter(received(**fields))


def test_a_redriven_message_has_its_own_attributes_and_the_mark() -> None:
    attributes = {"taskId": "1", "traceparent": "t", "deadLetterReason": "permanent", "deadLetterDetail": "d"}
    message = redriven(letter(message_id="own", attributes=attributes, body="body", user_id="group"))
    assert message.attributes == {"taskId": "1", "traceparent": "t", "idempotent": "true", "redriven": "own"}
    assert (message.body, message.group_id) == ("body", "group")


def test_a_redriven_task_keeps_its_type_and_neither_waits_nor_expires() -> None:
    attributes = {"taskId": "1", "type": "report", "delaySeconds": "900", "expiresAt": "1700000000000"}
    message = redriven(letter(message_id="own", attributes=attributes))
    assert message.attributes == {"taskId": "1", "type": "report", "idempotent": "true", "redriven": "own"}
    assert message.delay_seconds == 0


@pytest.mark.parametrize(
    ("attributes", "overruled"),
    [
        ({"deadLetterMessageId": "delivery"}, "delivery"),
        ({"deadLetterMessageId": "delivery", "redriven": "earlier"}, "delivery earlier"),
        ({"redriven": "earlier"}, "own earlier"),  # SQS itself moved a redriven task: that delivery is the letter
        ({"redriven": "own earlier"}, "own earlier"),
        ({"redriven": " ".join(map(str, range(20)))}, "own 0 1 2 3 4 5 6"),
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
    attributes = {"taskId": "1", **{f"a{number}": "x" for number in range(MAX_ATTRIBUTES - 2)}, "type": "report"}
    message = redriven(letter(message_id="own", attributes=attributes))
    assert len(message.attributes) == MAX_ATTRIBUTES
    assert message.attributes["type"] == "report"
    assert message.attributes.items() >= {"taskId": "1", "idempotent": "true", "redriven": "own"}.items()
