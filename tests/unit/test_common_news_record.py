"""The record of final notifications: one's own, in order, the newest of the last day."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.common.errors import PermanentError, Transient
from services.common.news_record import NEWEST, NewsRecord
from services.common.notification import Format, Notification, Status, failed, finished
from tests.support.fake_momento import FakeMomento

DAY_SECONDS = 86_400.0
NOW_MS = 1_767_225_600_000


@pytest.fixture
def momento() -> FakeMomento:
    return FakeMomento()


@pytest.fixture
def record(momento: FakeMomento) -> NewsRecord:
    return NewsRecord(momento.as_momento(), DAY_SECONDS)


async def write(record: NewsRecord, *news: Notification, user_id: str = "alice") -> None:
    for one in news:
        await record.write(user_id, one)


async def test_what_was_written_is_found(record: NewsRecord) -> None:
    told = failed("t-1", "größer", NOW_MS)
    await write(record, told)
    assert await record.find("alice", "t-1", NOW_MS) == told
    assert await record.find("alice", "t-2", NOW_MS) is None
    assert await record.find("bob", "t-1", NOW_MS) is None


async def test_what_is_older_than_the_retention_is_not_found_however_often_its_dictionary_was_renewed(
    record: NewsRecord,
) -> None:
    """An Idempotency-Key is good for a day: a POST with it after three runs its task, and is not told the old news."""
    old = finished("t-1", "x", NOW_MS)
    await write(record, old, finished("t-2", "x", NOW_MS + int(DAY_SECONDS * 2000)))
    almost_ms, day_ms = NOW_MS + int(DAY_SECONDS * 1000) - 1, NOW_MS + int(DAY_SECONDS * 1000)
    assert await record.find("alice", "t-1", almost_ms) == old
    assert await record.find("alice", "t-1", day_ms) is None
    assert await record.find("alice", "t-2", day_ms * 3) is None


async def test_it_lives_in_one_dictionary_a_user(record: NewsRecord, momento: FakeMomento) -> None:
    await write(record, finished("t-1", "x", NOW_MS))
    assert list(momento.dictionaries) == ["news:alice"]
    assert list(momento.dictionaries["news:alice"]) == ["t-1"]
    assert momento.ttls["news:alice"] == DAY_SECONDS
    assert momento.calls == ["dictionary-set"]  # the common path is one write and no read


async def test_what_came_after_a_moment_is_told_oldest_first(record: NewsRecord) -> None:
    news = [finished(f"t-{ms}", "x", NOW_MS + ms) for ms in (3, 1, 2, 0)]
    await write(record, *news)
    found = await record.since("alice", NOW_MS, NOW_MS + 10)
    assert [one.task_id for one in found] == ["t-1", "t-2", "t-3"]


async def test_news_of_the_same_moment_has_a_fixed_order(record: NewsRecord) -> None:
    await write(record, *(finished(task_id, "x", NOW_MS) for task_id in "cab"))
    assert [one.task_id for one in await record.since("alice", 0, NOW_MS)] == ["a", "b", "c"]


async def test_only_the_newest_are_kept(record: NewsRecord, momento: FakeMomento) -> None:
    await write(record, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST + 5)))
    found = await record.since("alice", 0, NOW_MS + 1_000)
    assert [one.time_ms - NOW_MS for one in found] == list(range(5, NEWEST + 5))
    assert len(momento.dictionaries["news:alice"]) == NEWEST


async def test_what_is_older_than_the_retention_is_removed(record: NewsRecord, momento: FakeMomento) -> None:
    day_ms = int(DAY_SECONDS * 1000)
    await write(record, finished("old", "x", NOW_MS - day_ms), finished("young", "x", NOW_MS - day_ms + 1))
    before = REGISTRY.get_sample_value("notification_api_record_trimmed_total") or 0.0
    assert [one.task_id for one in await record.since("alice", 0, NOW_MS)] == ["young"]
    assert list(momento.dictionaries["news:alice"]) == ["young"]
    assert REGISTRY.get_sample_value("notification_api_record_trimmed_total") == before + 1


async def test_trimming_is_for_users_who_never_read(record: NewsRecord, momento: FakeMomento) -> None:
    await write(record, *(finished(f"t-{ms}", "x", NOW_MS + ms) for ms in range(NEWEST + 5)))
    await record.trim("alice", NOW_MS + 1_000)
    assert len(momento.dictionaries["news:alice"]) == NEWEST


async def test_reading_what_needs_no_trimming_writes_nothing(record: NewsRecord, momento: FakeMomento) -> None:
    await write(record, finished("t-1", "x", NOW_MS))
    await record.since("alice", 0, NOW_MS)
    assert momento.calls == ["dictionary-set", "dictionary-fetch"]


@pytest.mark.parametrize("error", [Transient("down"), PermanentError("refused")])
async def test_that_trimming_fails_keeps_nobody_from_reading(
    record: NewsRecord, momento: FakeMomento, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(name: str, fields: list[str]) -> None:
        raise error

    monkeypatch.setattr(momento, "dictionary_remove", fails)
    await write(record, finished("old", "x", 1), finished("young", "x", NOW_MS))
    assert [one.task_id for one in await record.since("alice", 0, NOW_MS)] == ["young"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(b'{"taskId":"x","status":"paused","message":"m","time":1}', id="a status of the future"),
        pytest.param(b'{"taskId":"x","status":"finished","message":"m","time":null}', id="no time"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
async def test_a_record_that_cannot_be_read_does_not_hide_the_others(
    record: NewsRecord, momento: FakeMomento, value: bytes
) -> None:
    await write(record, finished("good", "x", NOW_MS))
    momento.dictionaries["news:alice"]["bad"] = value
    assert await record.find("alice", "bad", NOW_MS) is None
    assert [one.task_id for one in await record.since("alice", 0, NOW_MS)] == ["good"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=5_000), st.sampled_from(Status))
async def test_a_record_is_what_was_published(text: str, status: Status) -> None:
    record = NewsRecord(FakeMomento().as_momento(), DAY_SECONDS)
    told = Notification(task_id="t-1", status=status, message=text, time_ms=NOW_MS)
    await record.write("alice", told)
    found = await record.find("alice", "t-1", NOW_MS)
    assert found is not None
    assert orjson.loads(found.encode(Format.JSON)) == orjson.loads(told.encode(Format.JSON))
