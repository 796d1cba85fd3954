"""Which tasks count as notified, whichever of POST and notification becomes known first."""

import pytest

from local.demo.summary import Summary, percentile
from notification_api.client import Notification


def notification(task_id: str, status: str = "finished") -> Notification:
    return Notification(task_id=task_id, status=status, message="Finished task: x")


def test_a_notification_after_its_post_has_the_time_it_took() -> None:
    summary = Summary(1)
    summary.submitted("a", posted_at=4.0)
    (delivered,) = summary.received(notification("a"), 9.5)
    assert (delivered.status, delivered.message, delivered.seconds) == ("finished", "Finished task: x", 5.5)
    assert summary.is_complete
    assert summary.problems() == []


def test_a_notification_before_the_answer_to_its_post_is_matched_once_that_is_known() -> None:
    summary = Summary(1)
    assert summary.received(notification("a"), 4.1) == []
    assert not summary.is_complete
    (delivered,) = summary.submitted("a", posted_at=4.0)
    assert delivered.seconds == pytest.approx(0.1)
    assert summary.problems() == []


def test_a_task_without_notification_is_missing() -> None:
    summary = Summary(2)
    summary.submitted("a", 0)
    summary.submitted("b", 0)
    summary.received(notification("a"), 10.0)
    assert not summary.is_complete
    assert summary.problems() == ["1 of 2 tasks were not notified"]


def test_a_failed_task_is_a_problem() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    (delivered,) = summary.received(notification("a", status="failed"), 10.0)
    assert delivered.status == "failed"
    assert summary.problems() == ["1 did not finish"]


def test_progress_does_not_count() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    assert summary.received(notification("a", status="progress"), 10.0) == []
    assert not summary.is_complete


def test_a_notification_of_an_unknown_task_is_a_problem() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    summary.received(notification("a"), 10.0)
    summary.received(notification("stranger"), 10.0)
    assert summary.problems() == ["1 notifications were of unknown tasks"]


def test_notifications_from_a_backend_are_ignored() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    assert summary.received(Notification(message="x", notification_id="n"), 1.0) == []
    assert summary.problems() == ["1 of 1 tasks were not notified"]


def test_the_summary_gives_count_and_percentiles() -> None:
    summary = Summary(20)
    for number in range(20):
        summary.submitted(str(number), 0.0)
        summary.received(notification(str(number)), number + 1.0)
    assert summary.text() == (
        "20 tasks, 20 notifications; from POST to notification: p50 10.00 s, p95 19.00 s, max 20.00 s"
    )


def test_the_summary_of_no_notifications_has_no_percentiles() -> None:
    assert Summary(3).text() == "3 tasks, no notifications"


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (51, 3), (75, 3), (76, 4), (100, 4)])
def test_percentiles_are_values_that_occurred(percent: float, value: int) -> None:
    assert percentile([4, 2, 3, 1], percent) == value
