"""The notification history: the user's own notifications, in order, the newest of the last day."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from notification_api import PermanentError, TransientError
from services.common.messages.notification import Format, Notification, Status, failed, finished
from services.common.momento.history import (
    MAX_ENTRIES,
    MAX_RECENT_BYTES,
    NEWEST,
    RECENT_SECONDS,
    HistoryEntry,
    NotificationHistory,
)
from services.common.momento.history_cursor import Cursor
from tests.support.fakes.momento import FakeMomento

DAY_SECONDS = 86_400.0
NOW_MS = 1_767_225_600_000
RECENT_MS = int(RECENT_SECONDS * 1000)


@pytest.fixture
def momento() -> FakeMomento:
    return FakeMomento()


@pytest.fixture
def history(momento: FakeMomento) -> NotificationHistory:
    return NotificationHistory(momento.as_momento(), DAY_SECONDS)


async def write(
    history: NotificationHistory, *notifications: Notification, user_id: str = "alice", stored_ms: int | None = None
) -> None:
    """Store each, by default at its own time."""
    for one in notifications:
        await history.write(user_id, HistoryEntry(notification=one), one.time_ms if stored_ms is None else stored_ms)


async def read(history: NotificationHistory, now_ms: int, cursor: str = "", user_id: str = "alice") -> list[str]:
    """The ids of the tasks that the cursor does not name."""
    page = await history.page(user_id, Cursor.parse(cursor), now_ms)
    return [one.task_id for one in page.notifications]


async def test_a_written_entry_is_found(history: NotificationHistory) -> None:
    stored = HistoryEntry(notification=failed("t-1", "größer", NOW_MS), message_id="m-1", body_hash="ab12")
    await history.write("alice", stored, NOW_MS)
    assert await history.find("alice", "t-1", NOW_MS) == stored
    assert await history.find("alice", "t-2", NOW_MS) is None
    assert await history.find("bob", "t-1", NOW_MS) is None


async def test_an_entry_older_than_the_retention_is_not_found_although_its_dictionary_was_renewed(
    history: NotificationHistory,
) -> None:
    """An Idempotency-Key is valid for a day: a POST with it after three days runs its task again."""
    old = finished("t-1", "x", NOW_MS)
    await write(history, old, finished("t-2", "x", NOW_MS + int(DAY_SECONDS * 2000)))
    almost_ms, day_ms = NOW_MS + int(DAY_SECONDS * 1000) - 1, NOW_MS + int(DAY_SECONDS * 1000)
    assert await history.find("alice", "t-1", almost_ms) == HistoryEntry(notification=old)
    assert await history.find("alice", "t-1", day_ms) is None
    assert await history.find("alice", "t-2", day_ms * 3) is None


async def test_the_retention_counts_from_the_write(history: NotificationHistory, momento: FakeMomento) -> None:
    """A notification that could be stored only hours after its task is available as long as any other."""
    day_ms = int(DAY_SECONDS * 1000)
    late = finished("late", "x", NOW_MS - day_ms)
    await write(history, late, stored_ms=NOW_MS)
    assert await history.find("alice", "late", NOW_MS + day_ms - 1) == HistoryEntry(notification=late)
    assert await read(history, NOW_MS + day_ms - 1) == ["late"]
    assert await history.find("alice", "late", NOW_MS + day_ms) is None
    assert await read(history, NOW_MS + day_ms) == []
    assert momento.dictionaries["history:alice"] == {}


async def test_an_entry_of_the_version_before_counts_from_its_own_time(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    old = finished("t-1", "x", NOW_MS)
    momento.dictionaries["history:alice"] = {"t-1": old.encode(Format.JSON).encode()}
    assert await history.find("alice", "t-1", NOW_MS) == HistoryEntry(notification=old)
    assert await history.find("alice", "t-1", NOW_MS + int(DAY_SECONDS * 1000)) is None


async def test_an_entry_has_the_fields_that_other_versions_read(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    entry = HistoryEntry(notification=failed("t-1", "x", NOW_MS), message_id="m-1", body_hash="ab12")
    await history.write("alice", entry, NOW_MS + 5)
    await write(history, finished("t-2", "x", NOW_MS))
    stored = {field: orjson.loads(value) for field, value in momento.dictionaries["history:alice"].items()}
    common = {"message": "Failed task: x", "time": NOW_MS, "storedAt": NOW_MS + 5}
    assert stored["t-1"] == {"taskId": "t-1", "status": "failed", **common, "messageId": "m-1", "bodyHash": "ab12"}
    assert set(stored["t-2"]) == {"taskId", "status", "message", "time", "storedAt"}


async def test_an_entry_may_have_a_field_of_its_own_beside_its_tasks(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    conflict = HistoryEntry(notification=failed("t-1", "another body", NOW_MS + 1))
    await write(history, finished("t-1", "x", NOW_MS))
    await history.write("alice", conflict, NOW_MS + 1, field="t-1 conflict")
    page = await history.page("alice", None, NOW_MS + 2)
    assert [(one.task_id, one.status) for one in page.notifications] == [("t-1", "finished"), ("t-1", "failed")]
    assert await history.find("alice", "t-1 conflict", NOW_MS + 2) == conflict


async def test_it_lives_in_one_dictionary_a_user(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, finished("t-1", "x", NOW_MS))
    assert list(momento.dictionaries) == ["history:alice"]
    assert list(momento.dictionaries["history:alice"]) == ["t-1"]
    assert momento.ttls["history:alice"] == DAY_SECONDS
    assert momento.calls == ["dictionary-set"]  # the common path is one write and no read


async def test_entries_that_the_cursor_does_not_name_are_returned_oldest_first(history: NotificationHistory) -> None:
    await write(history, finished("t-0", "x", NOW_MS))
    first = await history.page("alice", None, NOW_MS + 10)
    assert [one.task_id for one in first.notifications] == ["t-0"]
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in (3, 1, 2)))
    assert await read(history, NOW_MS + 10, first.cursor) == ["t-1", "t-2", "t-3"]
    assert await read(history, NOW_MS + 10) == ["t-0", "t-1", "t-2", "t-3"]


@pytest.mark.parametrize("late_ms", [-3_600_000, -1, 0, 1, 3_600_000])
async def test_a_late_write_is_returned_whatever_its_time(history: NotificationHistory, late_ms: int) -> None:
    await write(history, finished("t-1", "x", NOW_MS))
    page = await history.page("alice", None, NOW_MS)
    await write(history, finished("late", "x", NOW_MS + late_ms), stored_ms=NOW_MS + late_ms)
    assert await read(history, NOW_MS, page.cursor) == ["late"]


async def test_the_same_notification_written_again_is_not_new_and_another_one_of_its_task_is(
    history: NotificationHistory,
) -> None:
    await write(history, failed("t-1", "x", NOW_MS))
    page = await history.page("alice", None, NOW_MS)
    await write(history, failed("t-1", "x", NOW_MS), stored_ms=NOW_MS + 1)
    assert await read(history, NOW_MS + 1, page.cursor) == []
    await write(history, finished("t-1", "x", NOW_MS))
    assert await read(history, NOW_MS + 1, page.cursor) == ["t-1"]


async def test_after_the_cache_has_lost_a_history_the_new_entries_are_returned(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    await write(history, finished("t-1", "x", NOW_MS))
    page = await history.page("alice", None, NOW_MS)
    momento.dictionaries.clear()
    assert await read(history, NOW_MS, page.cursor) == []
    await write(history, finished("t-2", "x", NOW_MS - 1))
    assert await read(history, NOW_MS, page.cursor) == ["t-2"]


async def test_notifications_of_the_same_time_have_a_fixed_order(history: NotificationHistory) -> None:
    await write(history, *(finished(task_id, "x", NOW_MS) for task_id in "cab"))
    assert await read(history, NOW_MS) == ["a", "b", "c"]


async def test_only_the_newest_are_kept(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST + 5)))
    assert await read(history, NOW_MS + RECENT_MS + 1_000) == [f"t-{ms}" for ms in range(5, NEWEST + 5)]
    assert len(momento.dictionaries["history:alice"]) == NEWEST


async def test_all_that_was_stored_recently_is_kept_so_that_a_redelivery_finds_its_task(
    history: NotificationHistory,
) -> None:
    await write(history, *(finished(f"t-{ms:03}", "x", NOW_MS + ms) for ms in range(NEWEST + 100)))
    await history.trim("alice", NOW_MS + RECENT_MS - 1)
    assert await history.find("alice", "t-000", NOW_MS + RECENT_MS - 1) is not None
    assert await read(history, NOW_MS + RECENT_MS - 1) == [f"t-{ms:03}" for ms in range(NEWEST + 100)]
    await history.trim("alice", NOW_MS + RECENT_MS + 50)
    assert await read(history, NOW_MS + RECENT_MS + 50) == [f"t-{ms:03}" for ms in range(51, NEWEST + 100)]


async def test_recently_stored_entries_are_bounded_too(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, *(finished(f"t-{ms:03}", "x", NOW_MS + ms) for ms in range(MAX_ENTRIES + 5)))
    assert await read(history, NOW_MS + 1_000) == [f"t-{ms:03}" for ms in range(5, MAX_ENTRIES + 5)]
    assert len(momento.dictionaries["history:alice"]) == MAX_ENTRIES


async def test_recent_entries_of_long_texts_are_bounded_by_their_size(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    await write(history, *(finished(f"t-{ms:03}", "x" * 3_900, NOW_MS + ms) for ms in range(MAX_ENTRIES)))
    found = await read(history, NOW_MS + 1_000)
    assert found == [f"t-{ms:03}" for ms in range(MAX_ENTRIES - len(found), MAX_ENTRIES)]
    assert NEWEST < len(found) < MAX_ENTRIES
    size_bytes = sum(map(len, momento.dictionaries["history:alice"].values()))
    assert MAX_RECENT_BYTES - 5_000 < size_bytes <= MAX_RECENT_BYTES


async def test_entries_of_a_pod_whose_clock_is_behind_are_kept_and_returned(history: NotificationHistory) -> None:
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS - 30_000 + ms) for ms in range(NEWEST)))
    page = await history.page("alice", None, NOW_MS)
    await write(history, finished("behind", "x", NOW_MS - 60_000))
    assert await read(history, NOW_MS, page.cursor) == ["behind"]
    assert await history.find("alice", "behind", NOW_MS) is not None


async def test_entries_older_than_the_retention_are_removed(history: NotificationHistory, momento: FakeMomento) -> None:
    day_ms = int(DAY_SECONDS * 1000)
    await write(history, finished("old", "x", NOW_MS - day_ms), finished("young", "x", NOW_MS - day_ms + 1))
    before = REGISTRY.get_sample_value("notification_api_history_entries_trimmed_total") or 0.0
    assert await read(history, NOW_MS) == ["young"]
    assert list(momento.dictionaries["history:alice"]) == ["young"]
    assert REGISTRY.get_sample_value("notification_api_history_entries_trimmed_total") == before + 1


async def test_trimming_is_for_users_who_never_read(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST + 5)))
    await history.trim("alice", NOW_MS + RECENT_MS + 1_000)
    assert len(momento.dictionaries["history:alice"]) == NEWEST


async def test_a_read_that_needs_no_trimming_writes_nothing(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, finished("t-1", "x", NOW_MS))
    await read(history, NOW_MS)
    assert momento.calls == ["dictionary-set", "dictionary-fetch"]


@pytest.mark.parametrize("error", [TransientError("down"), PermanentError("refused")])
async def test_a_failed_trim_does_not_prevent_reading(
    history: NotificationHistory, momento: FakeMomento, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(name: str, fields: list[str], *, deadline_seconds: float) -> None:
        raise error

    monkeypatch.setattr(momento, "dictionary_remove", fails)
    await write(history, finished("old", "x", 1), finished("young", "x", NOW_MS))
    assert await read(history, NOW_MS) == ["young"]


async def test_the_newest_are_those_that_were_written_last(history: NotificationHistory) -> None:
    """An entry that is written late has an old time; it must not be removed immediately."""
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST)))
    await write(history, finished("late", "x", NOW_MS - 1_000), stored_ms=NOW_MS + NEWEST)
    found = await read(history, NOW_MS + RECENT_MS + 1_000)
    assert found == ["late", *(f"t-{ms}" for ms in range(1, NEWEST))]


@pytest.mark.parametrize("ahead_ms", [1_000, 60_000, 3_600_000])
async def test_a_clock_that_is_ahead_does_not_displace_entries_of_other_pods(
    history: NotificationHistory, ahead_ms: int
) -> None:
    await write(history, *(finished(f"ahead-{ms:03}", "x", NOW_MS + ahead_ms + ms) for ms in range(NEWEST)))
    page = await history.page("alice", None, NOW_MS)
    assert len(page.notifications) == NEWEST
    for number in range(5):
        await write(history, finished(f"t-{number}", "x", NOW_MS + number))
        assert await read(history, NOW_MS + number, page.cursor) == [f"t-{one}" for one in range(number + 1)]


async def test_entries_in_the_future_are_bounded_too(history: NotificationHistory, momento: FakeMomento) -> None:
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + 60_000 + ms) for ms in range(NEWEST + 5)))
    assert len(await read(history, NOW_MS)) == NEWEST
    assert len(momento.dictionaries["history:alice"]) == NEWEST


UNREADABLE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"{", id="no JSON"),
    pytest.param(b"[]", id="a list"),
    pytest.param(b'"text"', id="a text"),
    pytest.param(b"null", id="null"),
    pytest.param(b"{}", id="no fields"),
    pytest.param(b'{"taskId":"x","status":"paused","message":"m","time":1}', id="a status of the future"),
    pytest.param(b'{"taskId":"x","status":["finished"],"message":"m","time":1}', id="status of another type"),
    pytest.param(b'{"notificationId":"x","message":"m","time":1}', id="a notification about no task"),
    pytest.param(b'{"taskId":"x","status":"finished","message":"m","time":null}', id="no time"),
    pytest.param(b'{"taskId":"x","status":"finished","message":"m","time":"1"}', id="time of another type"),
    pytest.param(b'{"taskId":"x","status":"finished","message":"m","time":true}', id="time that is no number"),
    pytest.param(b'{"taskId":"x","status":"finished","message":{"text":"m"},"time":1}', id="a structured message"),
    pytest.param(b'{"taskId":7,"status":"finished","message":"m","time":1}', id="id of another type"),
    pytest.param(b'{"taskId":"x","status":"finished","message":"m","time":1,"storedAt":"now"}', id="another storedAt"),
    pytest.param(b'{"taskId":"x","status":"failed","message":"m","time":1,"messageId":7}', id="another messageId"),
    pytest.param(b"[" * 100_000, id="nested too deeply"),
    pytest.param(b"\x28\xb5\x2f\xfd", id="compressed"),
    pytest.param(b"\xff\xfe", id="no text"),
]


@pytest.mark.parametrize("value", UNREADABLE)
async def test_an_unreadable_entry_is_unchanged_and_hides_no_other(
    history: NotificationHistory, momento: FakeMomento, value: bytes
) -> None:
    """It may be a newer version's, during a rollout. That version reads it, and removes it when the time comes."""
    await write(history, *(finished(f"t-{ms:03}", "x", NOW_MS + ms) for ms in range(NEWEST + 5)))
    momento.dictionaries["history:alice"] |= {f"bad-{number}": value for number in range(NEWEST + 50)}
    assert await history.find("alice", "bad-0", NOW_MS) is None
    retained = [f"t-{ms:03}" for ms in range(5, NEWEST + 5)]
    page = await history.page("alice", None, NOW_MS + RECENT_MS + 1_000)
    assert [one.task_id for one in page.notifications] == retained
    await history.trim("alice", NOW_MS + RECENT_MS + 1_000)
    assert set(momento.dictionaries["history:alice"]) == {
        *retained,
        *(f"bad-{number}" for number in range(NEWEST + 50)),
    }
    assert await read(history, NOW_MS + RECENT_MS + 1_000, page.cursor) == []


async def test_an_entry_with_fields_that_are_not_known_is_read(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    known = finished("t-1", "x", NOW_MS)
    fields = {**orjson.loads(known.encode(Format.JSON)), "pages": {"rows": 3}, "cost": 3, "maxAttempts": "5"}
    momento.dictionaries["history:alice"] = {"t-1": orjson.dumps(fields)}
    assert await history.find("alice", "t-1", NOW_MS) == HistoryEntry(notification=known)
    assert (await history.page("alice", None, NOW_MS)).notifications == [known]


async def test_an_entry_without_a_task_id_has_that_of_its_field(
    history: NotificationHistory, momento: FakeMomento
) -> None:
    value = orjson.dumps({"status": "finished", "message": "m", "time": NOW_MS})
    momento.dictionaries["history:alice"] = {"t-1": value}
    assert await read(history, NOW_MS) == ["t-1"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=5_000), st.sampled_from(Status))
async def test_an_entry_has_the_published_notification(text: str, status: Status) -> None:
    history = NotificationHistory(FakeMomento().as_momento(), DAY_SECONDS)
    stored = Notification(task_id="t-1", status=status, message=text, time_ms=NOW_MS)
    await write(history, stored)
    found = await history.find("alice", "t-1", NOW_MS)
    assert found is not None
    assert orjson.loads(found.notification.encode(Format.JSON)) == orjson.loads(stored.encode(Format.JSON))


async def test_what_a_read_costs_counts_elements_bytes_and_removals(history: NotificationHistory) -> None:
    """As Momento counts: two elements, or a kB, an operation."""
    assert (await history.read("alice", NOW_MS)).operations == 1
    await write(history, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST + 10)))
    assert (await history.read("alice", NOW_MS + RECENT_MS + 1_000)).operations == (NEWEST + 10) / 2 + 5
    await write(history, *(finished(str(number), "x" * 4_000, NOW_MS) for number in range(10)), user_id="bob")
    assert 39 <= (await history.read("bob", NOW_MS)).operations <= 42


# Any interleaving of writes, by pods with clocks of their own, and of reads with the cursor of the read before.

CLOCK_MS = st.integers(-2 * 3_600_000, 2 * 3_600_000)
STEPS = st.lists(st.one_of(st.tuples(CLOCK_MS, CLOCK_MS), st.just("read"), st.just("again")), max_size=60)


@given(STEPS, st.lists(CLOCK_MS, min_size=1, max_size=3))
async def test_each_entry_is_returned_exactly_once(
    steps: list[tuple[int, int] | str], readers_clocks: list[int]
) -> None:
    history, cursor = NotificationHistory(FakeMomento().as_momento(), DAY_SECONDS), ""
    written: list[str] = []
    returned: list[str] = []
    clocks = itertools.cycle(readers_clocks)
    for number, step in enumerate([*steps, "read"]):
        if step == "again" and written:  # a redelivery that stores what is stored already
            await write(history, finished(written[0], "x", NOW_MS), stored_ms=NOW_MS + number)
        elif isinstance(step, tuple):
            written.append(f"t-{number}")
            time_ms = NOW_MS if len(written) == 1 else NOW_MS + step[0]
            await write(history, finished(written[-1], "x", time_ms), stored_ms=NOW_MS + step[1])
        elif step == "read":
            page = await history.page("alice", Cursor.parse(cursor), NOW_MS + next(clocks))
            returned.extend(one.task_id for one in page.notifications)
            assert [one.time_ms for one in page.notifications] == sorted(one.time_ms for one in page.notifications)
            cursor = page.cursor
    assert sorted(returned) == sorted(written)
