"""What an id and a snapshot say of a task."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.messages.notification import failed, finished
from services.common.messages.task_details import TaskDetails
from services.common.messages.task_message import is_task_id
from services.token.tasks.task_state import (
    CERTAIN_SECONDS,
    FUTURE_SECONDS,
    LONGEST_SECONDS,
    Presumption,
    TaskState,
    presume,
)
from tests.support.task_ids import uuid5, uuid7

NOW_MS = 1_767_225_600_000


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (0, Presumption.QUEUED),
        (-FUTURE_SECONDS * 1000, Presumption.QUEUED),
        (-FUTURE_SECONDS * 1000 - 1, Presumption.UNKNOWN),
        (CERTAIN_SECONDS * 1000, Presumption.QUEUED),
        (CERTAIN_SECONDS * 1000 + 1, Presumption.QUEUED_UNLESS_TRIMMED),
        (LONGEST_SECONDS * 1000 - 1, Presumption.QUEUED_UNLESS_TRIMMED),
        (LONGEST_SECONDS * 1000, Presumption.UNKNOWN),
        (NOW_MS, Presumption.UNKNOWN),
    ],
)
def test_the_age_of_a_uuid7_decides(age_ms: float, expected: Presumption) -> None:
    assert presume(uuid7(NOW_MS - int(age_ms)), NOW_MS) is expected


def test_a_uuid5_may_always_be_queued() -> None:
    assert presume(uuid5(), NOW_MS) is Presumption.QUEUED


@pytest.mark.parametrize(
    "task_id",
    [
        "t-1",
        "",
        str(uuid.UUID(int=0)),
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "00000000-0000-4000-8000-000000000000",
        uuid5().upper(),
        uuid5().replace("-", ""),
        "{" + uuid5() + "}",
        "urn:uuid:" + uuid5(),
        uuid7(NOW_MS).upper(),
        str(uuid.UUID(int=uuid.UUID(uuid7(NOW_MS)).int & ~(3 << 62))),  # another variant
    ],
)
def test_another_id_is_unknown(task_id: str) -> None:
    assert presume(task_id, NOW_MS) is Presumption.UNKNOWN


@given(st.text(max_size=60) | st.uuids().map(str))
def test_any_text_is_decided(text: str) -> None:
    if presume(text, NOW_MS) is not Presumption.UNKNOWN:
        assert is_task_id(text)
        assert uuid.UUID(text).version in {5, 7}


@given(st.integers(-(10**8), 10**8), st.integers(0, (1 << 74) - 1))
def test_only_the_time_of_a_uuid7_counts(age_ms: int, random_bits: int) -> None:
    assert presume(uuid7(NOW_MS - age_ms, random_bits), NOW_MS) is presume(uuid7(NOW_MS - age_ms, 0), NOW_MS)


@pytest.mark.parametrize("text", ["", "a b", "é", "x" * 129, "a\n", "\x7f", "a\x00"])
def test_an_id_is_short_visible_ascii(text: str) -> None:
    assert not is_task_id(text)


@pytest.mark.parametrize("text", ["a", "x" * 128, "~!", "a/b", uuid5()])
def test_any_short_visible_ascii_may_be_an_id(text: str) -> None:
    assert is_task_id(text)


def test_a_final_notification_is_returned_with_all_its_fields() -> None:
    details = TaskDetails(type="report", input={"n": 1}, attempt=2, max_attempts=5, started_at_ms=NOW_MS - 10)
    state = TaskState.from_notification(finished("t-1", "done", NOW_MS, details, data=[1]))
    assert state.is_final
    assert state.fields == {
        "taskId": "t-1",
        "status": "finished",
        "message": "Finished task: done",
        "data": [1],
        "updatedAt": NOW_MS,
        "type": "report",
        "input": {"n": 1},
        "attempt": 2,
        "maxAttempts": 5,
        "startedAt": NOW_MS - 10,
    }
    fields = TaskState.from_notification(failed("t-1", "x", NOW_MS, error="No.", reason="permanent")).fields
    assert (fields["error"], fields["reason"]) == ("No.", "permanent")


def test_a_snapshot_is_returned_without_fields_that_are_not_documented() -> None:
    snapshot = {
        "status": "running",
        "progress": {"percent": 5, "message": "half"},
        "updatedAt": NOW_MS,
        "title": "x",
        "internal": "secret",
        "taskId": "another",
        "cancelRequestedAt": 1,
        "type": None,
    }
    state = TaskState.from_snapshot("t-1", snapshot)
    assert state is not None
    assert not state.is_final
    assert state.fields == {
        "taskId": "t-1",
        "status": "running",
        "progress": {"percent": 5, "message": "half"},
        "updatedAt": NOW_MS,
        "title": "x",
    }


@pytest.mark.parametrize("status", [None, 1, "", "progress", "paused", ["running"], {}])
def test_a_snapshot_of_another_version_is_ignored(status: object) -> None:
    assert TaskState.from_snapshot("t-1", {"status": status}) is None
