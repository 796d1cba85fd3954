"""What counts as told, in whatever order posts and news become known."""

import json

import pytest

from local.demo.news import News
from local.demo.summary import Tally, percentile


def news(task_id: str, status: str = "finished", at: float = 10.0, message: str = "Finished task: x") -> News:
    return News(json.dumps({"taskId": task_id, "status": status, "message": message, "time": 1}), at)


def test_news_after_its_post_is_told_with_the_time_it_took() -> None:
    tally = Tally(1)
    tally.posted("a", "x", at=4.0)
    (told,) = tally.heard(news("a", at=9.5))
    assert (told.data, told.status, told.message, told.seconds) == ("x", "finished", "Finished task: x", 5.5)
    assert tally.complete
    assert tally.problems() == []


def test_news_that_overtakes_the_answer_to_its_post_is_told_once_that_is_known() -> None:
    tally = Tally(1)
    assert tally.heard(news("a", at=4.1)) == []
    assert not tally.complete
    (told,) = tally.posted("a", "x", at=4.0)
    assert told.seconds == pytest.approx(0.1)
    assert tally.problems() == []


def test_a_task_without_news_is_missing() -> None:
    tally = Tally(2)
    tally.posted("a", "x", 0)
    tally.posted("b", "y", 0)
    tally.heard(news("a"))
    assert not tally.complete
    assert tally.problems() == ["1 of 2 tasks had no news"]


def test_news_that_comes_twice_is_not_as_it_should_be() -> None:
    tally = Tally(1)
    tally.posted("a", "x", 0)
    tally.heard(news("a"))
    tally.heard(news("a"))
    assert tally.problems() == ["1 of 1 tasks were told more than once"]


def test_a_failed_task_is_told_and_is_not_as_it_should_be() -> None:
    tally = Tally(1)
    tally.posted("a", "x", 0)
    (told,) = tally.heard(news("a", status="failed"))
    assert told.status == "failed"
    assert tally.problems() == ["1 failed"]


def test_progress_does_not_count() -> None:
    tally = Tally(1)
    tally.posted("a", "x", 0)
    assert tally.heard(news("a", status="progress")) == []
    assert not tally.complete


def test_news_of_a_task_that_nobody_posted_is_noticed() -> None:
    tally = Tally(1)
    tally.posted("a", "x", 0)
    tally.heard(news("a"))
    tally.heard(news("stranger"))
    assert tally.problems() == ["1 pieces of news were of unknown tasks"]


@pytest.mark.parametrize("text", ["", "Finished task: x", "[]", "null", '"text"', '{"taskId": "a"}', "{", "1"])
def test_what_is_no_notification_is_passed_over(text: str) -> None:
    tally = Tally(1)
    tally.posted("a", "x", 0)
    assert tally.heard(News(text, 1.0)) == []
    assert tally.problems() == ["1 of 1 tasks had no news"]


def test_the_summary_gives_count_and_percentiles() -> None:
    tally = Tally(20)
    for number in range(20):
        tally.posted(str(number), "x", 0.0)
        tally.heard(news(str(number), at=number + 1.0))
    assert tally.summary() == ("20 tasks, 20 pieces of news; from POST to news: p50 10.00 s, p95 19.00 s, max 20.00 s")


def test_the_summary_of_nothing_is_no_mistake() -> None:
    assert Tally(3).summary() == "3 tasks, no news"


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (51, 3), (75, 3), (76, 4), (100, 4)])
def test_percentiles_are_values_that_occurred(percent: float, value: int) -> None:
    assert percentile([4, 2, 3, 1], percent) == value
