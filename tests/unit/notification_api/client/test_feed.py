"""Each notification goes to every consumer once, and a slow consumer gets an error rather than a gap."""

import gc

import pytest

from notification_api.client import Notification, NotificationApiError, SlowConsumerError
from notification_api.client.subscription.feed import MAX_WAITING, Feed
from notification_api.client.subscription.recent import Recent


def finished(task_id: str) -> Notification:
    return Notification(task_id=task_id, status="finished", message="x")


async def test_a_slow_consumer_gets_what_waits_and_then_an_error() -> None:
    feed = Feed()
    slow, fast = feed.notifications(), feed.notifications()
    for number in range(MAX_WAITING + 5):
        feed.publish(finished(f"t{number}"))
        assert (await anext(fast)).task_id == f"t{number}"
    for number in range(MAX_WAITING):
        assert (await anext(slow)).task_id == f"t{number}"
    for _ in range(2):
        with pytest.raises(SlowConsumerError, match="read them sooner"):
            await anext(slow)


async def test_an_iterator_that_nobody_uses_receives_nothing() -> None:
    feed = Feed()
    feed.notifications()
    gc.collect()
    feed.publish(finished("t"))
    assert len(feed._queues) == 0


async def test_progress_is_never_a_copy() -> None:
    feed = Feed()
    notifications = feed.notifications()
    progress = Notification(task_id="t", status="progress", message="1 of 2")
    for notification in (progress, progress, finished("t"), finished("t")):
        feed.publish(notification)
    feed.close()
    assert [each.status async for each in notifications] == ["progress", "progress", "finished"]


async def test_an_iterator_of_a_client_that_has_failed_fails_too() -> None:
    feed = Feed()
    feed.end(NotificationApiError("no more"))
    with pytest.raises(NotificationApiError, match="no more"):
        await anext(feed.notifications())
    with feed.ending("t") as ending, pytest.raises(NotificationApiError, match="no more"):
        await ending


def test_the_oldest_entries_are_forgotten() -> None:
    recent: Recent[str, int] = Recent(2)
    for name in ("a", "b", "a", "c"):
        recent[name] = 1
    assert list(recent) == ["b", "c"]
