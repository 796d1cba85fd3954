"""Concluded messages are remembered within bounds."""

from services.processor.delivery.conclude import CONCLUDED_SECONDS, MAX_CONCLUDED, ConcludedMessages
from tests.support.clock import ManualClock


def test_a_concluded_message_is_remembered_for_minutes_only() -> None:
    clock = ManualClock()
    concluded = ConcludedMessages(clock)
    concluded.add("m")
    clock.advance(CONCLUDED_SECONDS)
    concluded.add("other")
    assert "m" in concluded
    clock.advance(CONCLUDED_SECONDS)
    concluded.add("another")
    assert "m" not in concluded
    assert "other" in concluded


def test_a_message_that_is_deleted_is_not_remembered() -> None:
    concluded = ConcludedMessages(ManualClock())
    concluded.add("m")
    concluded.discard("m")
    assert "m" not in concluded


def test_concluded_messages_are_bounded_in_number() -> None:
    concluded = ConcludedMessages(ManualClock())
    for number in range(2 * MAX_CONCLUDED + 1):
        concluded.add(str(number))
    remembered = sum(str(number) in concluded for number in range(2 * MAX_CONCLUDED + 1))
    assert remembered == MAX_CONCLUDED + 1
    assert str(2 * MAX_CONCLUDED) in concluded
