"""Which tasks count as notified, whichever of POST and notification becomes known first."""

import json

import pytest

from local.demo.summary import Summary, percentile
from notification_api.client.subscription import ReceivedNotification


def notification(
    task_id: str, status: str = "finished", at: float = 10.0, message: str = "Finished task: x"
) -> ReceivedNotification:
    return ReceivedNotification(json.dumps({"taskId": task_id, "status": status, "message": message, "time": 1}), at)


def test_a_notification_after_its_post_has_the_time_it_took() -> None:
    summary = Summary(1)
    summary.submitted("a", posted_at=4.0)
    (delivered,) = summary.received(notification("a", at=9.5))
    assert (delivered.status, delivered.message, delivered.seconds) == ("finished", "Finished task: x", 5.5)
    assert summary.is_complete
    assert summary.problems() == []


def test_a_notification_before_the_answer_to_its_post_is_matched_once_that_is_known() -> None:
    summary = Summary(1)
    assert summary.received(notification("a", at=4.1)) == []
    assert not summary.is_complete
    (delivered,) = summary.submitted("a", posted_at=4.0)
    assert delivered.seconds == pytest.approx(0.1)
    assert summary.problems() == []


def test_a_task_without_notification_is_missing() -> None:
    summary = Summary(2)
    summary.submitted("a", 0)
    summary.submitted("b", 0)
    summary.received(notification("a"))
    assert not summary.is_complete
    assert summary.problems() == ["1 of 2 tasks were not notified"]


def test_a_duplicate_notification_is_a_problem() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    summary.received(notification("a"))
    summary.received(notification("a"))
    assert summary.problems() == ["1 of 1 tasks were notified more than once"]


def test_a_failed_task_is_a_problem() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    (delivered,) = summary.received(notification("a", status="failed"))
    assert delivered.status == "failed"
    assert summary.problems() == ["1 failed"]


def test_progress_does_not_count() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    assert summary.received(notification("a", status="progress")) == []
    assert not summary.is_complete


def test_a_notification_of_an_unknown_task_is_a_problem() -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    summary.received(notification("a"))
    summary.received(notification("stranger"))
    assert summary.problems() == ["1 notifications were of unknown tasks"]


@pytest.mark.parametrize("text", ["", "Finished task: x", "[]", "null", '"text"', '{"taskId": "a"}', "{", "1"])
def test_other_messages_are_ignored(text: str) -> None:
    summary = Summary(1)
    summary.submitted("a", 0)
    assert summary.received(ReceivedNotification(text, 1.0)) == []
    assert summary.problems() == ["1 of 1 tasks were not notified"]


def test_the_summary_gives_count_and_percentiles() -> None:
    summary = Summary(20)
    for number in range(20):
        summary.submitted(str(number), 0.0)
        summary.received(notification(str(number), at=number + 1.0))
    assert summary.text() == (
        "20 tasks, 20 notifications; from POST to notification: p50 10.00 s, p95 19.00 s, max 20.00 s"
    )


def test_the_summary_of_no_notifications_has_no_percentiles() -> None:
    assert Summary(3).text() == "3 tasks, no notifications"


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (51, 3), (75, 3), (76, 4), (100, 4)])
def test_percentiles_are_values_that_occurred(percent: float, value: int) -> None:
    assert percentile([4, 2, 3, 1], percent) == value
