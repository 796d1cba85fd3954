"""Notifications that are not delivered yet are bounded."""

from services.common.messages.notification import finished
from services.common.momento.history import HistoryEntry
from services.processor.notify.pending import (
    MAX_AGE_SECONDS,
    MAX_PENDING,
    MAX_RESULT_BYTES,
    PendingNotification,
    PendingNotifications,
)
from tests.support.clock import ManualClock


def done(task_id: str) -> PendingNotification:
    return PendingNotification("user", HistoryEntry(notification=finished(task_id, "done", 0)))


def test_a_notification_is_kept_until_it_is_removed() -> None:
    pending, one, two = PendingNotifications(), done("1"), done("2")
    pending.add(one)
    pending.add(two)
    pending.remove(one)
    assert [pending.get("user", "1"), pending.get("user", "2")] == [None, two]


def test_a_later_notification_of_a_task_is_not_removed_with_an_earlier_one() -> None:
    pending, earlier, later = PendingNotifications(), done("1"), done("1")
    pending.add(earlier)
    pending.add(later)
    pending.remove(earlier)
    assert pending.get("user", "1") is later


def test_notifications_are_bounded_in_number_and_in_age() -> None:
    clock = ManualClock()
    pending = PendingNotifications(clock)
    for number in range(MAX_PENDING + 10):
        pending.add(done(str(number)))
    assert [pending.get("user", "9"), pending.get("user", "10") is None] == [None, False]
    clock.advance(MAX_AGE_SECONDS)
    pending.add(done("last"))
    assert [pending.get("user", str(MAX_PENDING)), pending.get("user", "last") is None] == [None, False]


def test_whole_results_are_bounded_in_bytes() -> None:
    pending = PendingNotifications()
    small, others = done("small"), [done(str(number)) for number in range(5)]
    pending.add(small)
    for one in others:
        one.result = b"x" * (MAX_RESULT_BYTES // 4)
        pending.add(one)
    kept = [one for one in others if pending.get("user", one.entry.notification.task_id) is one]
    assert kept == others[1:]
    assert pending.get("user", "small") is small
