"""What a process remembers of results and of messages, within bounds."""

from services.common.messages.notification import finished
from services.common.momento.history import HistoryEntry
from services.processor.notify import results as results_module
from services.processor.notify.results import CONCLUDED_SECONDS, KEPT_SECONDS, Result, Results
from tests.support.clock import ManualClock


def done(task_id: str) -> Result:
    return Result("user", HistoryEntry(notification=finished(task_id, "done", 0)))


def test_a_result_is_kept_until_it_is_forgotten() -> None:
    results, one, two = Results(), done("1"), done("2")
    results.keep(one)
    results.keep(two)
    results.forget(one)
    assert [results.get("user", "1"), results.get("user", "2")] == [None, two]


def test_a_later_result_of_a_task_is_not_forgotten_with_an_earlier_one() -> None:
    results, earlier, later = Results(), done("1"), done("1")
    results.keep(earlier)
    results.keep(later)
    results.forget(earlier)
    assert results.get("user", "1") is later


def test_results_are_bounded_in_number_and_in_age() -> None:
    clock = ManualClock()
    results = Results(clock)
    for number in range(results_module.MAX_KEPT + 10):
        results.keep(done(str(number)))
    assert [results.get("user", "9"), results.get("user", "10") is None] == [None, False]
    clock.advance(KEPT_SECONDS)
    results.keep(done("last"))
    assert [results.get("user", str(results_module.MAX_KEPT)), results.get("user", "last") is None] == [None, False]


def test_a_concluded_message_is_remembered_for_minutes_and_not_for_ever() -> None:
    clock = ManualClock()
    results = Results(clock)
    results.conclude("m")
    clock.advance(CONCLUDED_SECONDS)
    results.conclude("other")
    assert results.is_concluded("m")
    clock.advance(CONCLUDED_SECONDS)
    results.conclude("another")
    assert not results.is_concluded("m")
    assert results.is_concluded("other")


def test_a_message_that_is_deleted_is_not_remembered() -> None:
    results = Results(ManualClock())
    results.conclude("m")
    results.acknowledged("m")
    assert not results.is_concluded("m")


def test_concluded_messages_are_bounded_in_number() -> None:
    results = Results(ManualClock())
    for number in range(2 * results_module.MAX_CONCLUDED + 1):
        results.conclude(str(number))
    remembered = sum(results.is_concluded(str(number)) for number in range(2 * results_module.MAX_CONCLUDED + 1))
    assert remembered == results_module.MAX_CONCLUDED + 1
    assert results.is_concluded(str(2 * results_module.MAX_CONCLUDED))
