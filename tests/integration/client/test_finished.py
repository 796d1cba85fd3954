"""Waiting for a task: its result or its error arrives, by the topic or without it."""

import asyncio

import pytest

from notification_api.client import (
    NotificationApi,
    SignedOutError,
    TaskCancelledError,
    TaskEndedError,
    TaskExpiredError,
    TaskFailedError,
    TaskResult,
    waiting,
)
from tests.support.client.fake_api import FakeApi, notification_of, problem
from tests.support.waiting import wait_until


async def test_the_result_is_that_of_the_notification(stage: FakeApi, api: NotificationApi) -> None:
    task = await api.submit("report", {"month": 5})
    waiting_for = asyncio.create_task(task.finished())
    await api.connected()
    await stage.notify(task.id, "progress", percent=50)
    await stage.notify(task.id, data={"url": "x"})
    assert await waiting_for == TaskResult(task_id=task.id, message=f"finished {task.id}", data={"url": "x"})
    assert stage.count(f"/task/{task.id}") == 0


async def test_a_task_that_has_ended_before_is_answered_at_once(stage: FakeApi, api: NotificationApi) -> None:
    await api.connected()
    task = await api.submit("report", 1)
    await stage.notify(task.id)
    notifications = api.notifications()
    await stage.notify("later")
    await anext(notifications)
    assert (await task.finished(timeout=1)).task_id == task.id
    assert (await task.finished(timeout=1)).task_id == task.id


async def test_two_may_wait_for_one_task_and_one_of_them_give_up(stage: FakeApi, api: NotificationApi) -> None:
    task = await api.submit("report", 1)
    patient = asyncio.create_task(task.finished())
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.2 s"):
        await task.finished(timeout=0.2)
    await stage.notify(task.id)
    assert (await patient).task_id == task.id


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", TaskFailedError), ("cancelled", TaskCancelledError), ("expired", TaskExpiredError)],
)
async def test_another_end_is_an_error(
    stage: FakeApi, api: NotificationApi, status: str, error: type[TaskEndedError]
) -> None:
    task = await api.submit("report", 1)
    await api.connected()
    await stage.notify(task.id, status, error="no rows", reason="permanent")
    with pytest.raises(error, match=f"is {status}: {status} {task.id}") as ended:
        await task.finished()
    assert (ended.value.code, ended.value.task_id) == (f"task_{status}", task.id)
    assert (ended.value.detail, ended.value.reason, ended.value.retryable) == ("no rows", "permanent", False)


async def test_a_result_that_did_not_fit_is_fetched(stage: FakeApi, api: NotificationApi) -> None:
    task = await api.submit("report", 1)
    path = f"/task/{task.id}/result"
    stage.replies[path].append(problem(503, **{"Retry-After": "0"}))
    stage.results[task.id] = {"taskId": task.id, "message": "whole", "data": "x" * 10_000}
    await api.connected()
    await stage.notify(task.id, truncated=True)
    assert (await task.finished()).data == "x" * 10_000
    assert stage.count(path) == 2


async def test_without_a_stream_and_a_history_the_status_is_read(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FIRST_POLL_SECONDS", 0.1)
    stage.emulator.change(faults=[{"method": "Subscribe", "status": "RESOURCE_EXHAUSTED"}])
    stage.replies["/notifications"].extend(problem(503) for _ in range(50))
    task = await api.submit("report", 1)
    path = f"/task/{task.id}"
    stage.replies[path].extend([problem(503), problem(404)])
    waiting_for = asyncio.create_task(task.finished())
    await wait_until(lambda: stage.count(path) >= 3)
    stage.statuses[task.id] = notification_of(task.id, data=[1])
    assert (await waiting_for).data == [1]


async def test_a_status_that_is_read_slowly_does_not_delay_the_notification(
    stage: FakeApi, api: NotificationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await api.submit("report", 1)
    monkeypatch.setattr(waiting, "FIRST_POLL_SECONDS", 0.1)
    stage.unanswered.add(f"/task/{task.id}")
    waiting_for = asyncio.create_task(task.finished(timeout=8))
    await wait_until(lambda: stage.count(f"/task/{task.id}"))
    await api.connected()
    await stage.notify(task.id)
    assert (await waiting_for).task_id == task.id


async def test_the_time_out_says_why_no_notification_could_arrive(stage: FakeApi, api: NotificationApi) -> None:
    stage.emulator.change(down=True)
    task = await api.submit("report", 1)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.5 s") as late:
        await task.finished(timeout=0.5)
    assert "Momento is unavailable" in str(late.value.__cause__)


async def test_a_token_that_has_expired_ends_the_waiting(stage: FakeApi, api: NotificationApi) -> None:
    task = await api.submit("report", 1)
    stage.id_tokens.clear()
    with pytest.raises(SignedOutError):
        await task.finished()
