"""Which source decides the state of a task: every combination of what is stored, the id and its age."""

from hypothesis import example, given
from hypothesis import strategies as st

from services.common.messages.notification import Notification, cancelled, expired, failed, finished
from services.common.momento.history import NEWEST
from services.token.tasks.task_state import CERTAIN_SECONDS, FUTURE_SECONDS, LONGEST_SECONDS
from tests.support.task_ids import uuid5, uuid7
from tests.support.task_services import NOW_MS, TaskServices

FINAL = {
    "finished": lambda task_id: finished(task_id, "x", NOW_MS),
    "failed": lambda task_id: failed(task_id, "x", NOW_MS),
    "cancelled": lambda task_id: cancelled(task_id, NOW_MS),
    "expired": lambda task_id: expired(task_id, NOW_MS),
}
OPEN = ("queued", "running")


def final(status: str, task_id: str) -> Notification:
    return FINAL[status](task_id)


def expected(final: str | None, snapshot: str | None, kind: str, age_seconds: int, *, is_full: bool) -> str | None:
    """The contract, as a table."""
    if final is not None:
        return final
    if snapshot in FINAL or snapshot in OPEN:
        return snapshot
    if kind == "uuid5":
        return "queued"
    if kind != "uuid7" or age_seconds < -FUTURE_SECONDS or age_seconds >= LONGEST_SECONDS:
        return None
    return None if age_seconds > CERTAIN_SECONDS and is_full else "queued"


@given(
    st.sampled_from([None, *FINAL]),
    st.sampled_from([None, *OPEN, *FINAL, "unknown to this version"]),
    st.sampled_from(["uuid5", "uuid7", "other"]),
    st.sampled_from([-3_600, -61, -60, 0, 899, 900, 901, 86_399, 86_400, 10**7]) | st.integers(-(10**6), 10**6),
    st.booleans(),
    st.booleans(),
)
@example(None, None, "uuid7", 901, True, False)
@example(None, None, "uuid7", 901, False, True)
async def test_the_state_table(
    final_status: str | None,
    snapshot: str | None,
    kind: str,
    age_seconds: int,
    is_full: bool,
    is_of_other_user: bool,
) -> None:
    services = TaskServices()
    task_id = {"uuid5": uuid5(), "uuid7": uuid7(NOW_MS - age_seconds * 1000), "other": "t-1"}[kind]
    owner = "bob" if is_of_other_user else "alice"
    if final_status is not None:
        await services.conclude(final(final_status, task_id), owner)
    if snapshot is not None:
        await services.statuses.write(owner, task_id, {"status": snapshot})
    if is_full:
        for number in range(NEWEST):
            await services.conclude(finished(f"other-{number}", "x", NOW_MS))
    services.history_reader._is_full["alice"] = is_full  # read from the history in its own test
    services.momento.calls.clear()

    found = await services.lookup.find("alice", task_id)

    known = (None, None) if is_of_other_user else (final_status, snapshot)
    assert (None if found is None else found.status) == expected(*known, kind, age_seconds, is_full=is_full)
    assert found is None or found.fields["taskId"] == task_id
    assert services.momento.calls == (["dictionary-get"] if known[0] is not None else ["dictionary-get", "get"])


async def test_a_full_history_is_read_once_for_old_ids_of_which_nothing_is_stored() -> None:
    services = TaskServices()
    old = uuid7(NOW_MS - 1_000_000)
    for number in range(NEWEST - 1):
        await services.conclude(finished(f"other-{number}", "x", NOW_MS))
    services.history_reader._is_full.clear()
    assert await services.lookup.find("alice", old) is not None
    await services.lookup.find("alice", uuid7(NOW_MS - 2_000_000))
    assert services.momento.calls.count("dictionary-fetch") == 1
    await services.background.close()
