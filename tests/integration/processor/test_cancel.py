"""Cancelling tasks: running ones are stopped, queued ones do not run, and finished ones stay finished."""

import asyncio
import threading
import time

import pytest

from notification_api import Task
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


async def until_no_requests(stage: ProcessorStage) -> None:
    """The requests of concluded tasks are removed."""

    async def removed() -> bool:
        return await stage.cancel_requests() == []

    await wait_until(removed)


async def test_a_running_task_is_cancelled_and_its_user_notified(stage: ProcessorStage) -> None:
    running, ended = asyncio.Event(), []

    async def handle(_task: Task) -> str:
        running.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return ""

    cancelled = Counted("tasks_cancelled_total", status="running")
    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user", "march")
        await asyncio.wait_for(running.wait(), 10)
        await stage.cancel("user", task_id)
        await notifications.wait(1)
        await stage.until_empty()
        await until_no_requests(stage)
    (notification,) = notifications.received
    assert (notification["taskId"], notification["status"]) == (task_id, "cancelled")
    assert notification["message"] == "Cancelled task: march"
    assert (ended, cancelled()) == (["cancelled"], 1)
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_another_users_request_cancels_nothing(stage: ProcessorStage) -> None:
    async def handle(task: Task) -> str:
        await asyncio.sleep(3)
        return str(task.data)

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await stage.cancel("mallory", task_id)
        await notifications.wait(1)
    assert notifications.statuses() == [(task_id, "finished")]


async def test_a_queued_task_is_acknowledged_without_a_run(stage: ProcessorStage) -> None:
    runs: list[str] = []

    async def handle(task: Task) -> str:
        runs.append(task.id)
        return ""

    task_id = await stage.send("user")
    await stage.cancel("user", task_id)
    cancelled = Counted("tasks_cancelled_total")
    async with stage.notifications("user") as notifications:
        # Until the first read of the requests the task may start, so it waits behind a receive of its own.
        answer = await stage.sqs.receive_message(QueueUrl=stage.queue_url, VisibilityTimeout=3)
        assert len(answer["Messages"]) == 1
        async with processor_in_process(stage, handle):
            await notifications.wait(1)
            await stage.until_empty()
            await until_no_requests(stage)
    assert notifications.statuses() == [(task_id, "cancelled")]
    assert (runs, cancelled()) == ([], 1)


def finishes(task: Task) -> str:
    """Does not read `cancelled`."""
    time.sleep(2)
    return "finished"


def stops(task: Task) -> str:
    while not task.cancelled:
        time.sleep(0.05)
    return "stopped"


@pytest.mark.parametrize(("handler", "status"), [(finishes, "finished"), (stops, "cancelled")])
async def test_a_plain_function_decides_by_reading_cancelled(
    stage: ProcessorStage, handler: object, status: str
) -> None:
    started = threading.Event()

    def handle(task: Task) -> str:
        started.set()
        return handler(task)  # type: ignore[operator]

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await wait_until(started.is_set)
        await stage.cancel("user", task_id)
        await notifications.wait(1)
        await stage.until_empty()
    assert notifications.statuses() == [(task_id, status)]


async def test_a_handler_that_finishes_in_spite_of_the_cancel_has_finished(stage: ProcessorStage) -> None:
    running = asyncio.Event()

    async def handle(_task: Task) -> str:
        running.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return "half of it"
        return "all of it"

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await asyncio.wait_for(running.wait(), 10)
        await stage.cancel("user", task_id)
        await notifications.wait(1)
        await stage.until_empty()
        await until_no_requests(stage)
    (notification,) = notifications.received
    assert (notification["status"], notification["message"]) == ("finished", "Finished task: half of it")


async def test_an_error_during_the_cancel_is_no_failure_and_not_retried(stage: ProcessorStage) -> None:
    running = asyncio.Event()

    async def handle(_task: Task) -> str:
        running.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            raise OSError("while closing") from None
        return ""

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await asyncio.wait_for(running.wait(), 10)
        await stage.cancel("user", task_id)
        await notifications.wait(1)
        await stage.until_empty()
    assert notifications.statuses() == [(task_id, "cancelled")]
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_a_task_that_waits_for_its_next_attempt_is_not_tried_again(stage: ProcessorStage) -> None:
    attempts: list[int] = []

    async def handle(task: Task) -> str:
        attempts.append(task.attempt)
        raise OSError("not now")

    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handle, BACKOFF_BASE_SECONDS="8", PROGRESS_PER_SECOND="0"),
    ):
        task_id = await stage.send("user")
        await wait_until(lambda: len(attempts) == 1)
        await stage.cancel("user", task_id)
        await notifications.wait(1, seconds=30)
        await stage.until_empty()
    assert notifications.statuses() == [(task_id, "cancelled")]
    assert len(attempts) < 5


async def test_an_expired_task_does_not_run(stage: ProcessorStage) -> None:
    runs: list[str] = []

    async def handle(task: Task) -> str:
        runs.append(task.id)
        return ""

    expired = Counted("tasks_expired_total")
    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        late = await stage.send("user", "march", expires_at_ms=int(time.time() * 1000) - 1)
        await notifications.wait(1)
        in_time = await stage.send("user", expires_at_ms=int(time.time() * 1000) + 60_000)
        await notifications.wait(2)
        await stage.until_empty()
    assert notifications.statuses() == [(late, "expired"), (in_time, "finished")]
    assert notifications.received[0]["message"] == "Expired task: march"
    assert "startedAt" not in notifications.received[0]
    assert (runs, expired()) == ([in_time], 1)
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)
