"""The outcomes of a task: notified and deleted, retried, or dead-lettered with a reason."""

import asyncio
from datetime import UTC, datetime

import pytest

from notification_api import PermanentError, Task, TransientError
from services.common.version import VERSION
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage


async def echo(task: Task) -> str:
    return task.data


async def test_a_finished_task_is_notified_once_and_deleted(stage: ProcessorStage) -> None:
    async with stage.notifications("user") as notifications, processor_in_process(stage, echo):
        task_id = await stage.send("user", "größer")
        await notifications.wait(1)
        await stage.until_empty()
    (notification,) = notifications.received
    assert (notification["taskId"], notification["status"], notification["message"]) == (
        task_id,
        "finished",
        "Finished task: größer",
    )


async def test_a_handler_sees_the_whole_task(stage: ProcessorStage) -> None:
    seen: list[Task] = []

    async def inspect(task: Task) -> str:
        seen.append(task)
        return ""

    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, inspect, MAX_TASK_SECONDS="60"),
    ):
        task_id = await stage.send("user", "text", priority=5)
        await notifications.wait(1)
    (task,) = seen
    assert (task.id, task.user_id, task.data, task.attempt) == (task_id, "user", "text", 1)
    assert task.fields == {"data": "text", "priority": 5}
    assert 50 < task.deadline - datetime.now(UTC).timestamp() <= 60
    assert not task.cancelled


@pytest.mark.parametrize("error", [TransientError("not now"), ValueError("a bug"), TimeoutError("of a call in it")])
async def test_a_transient_failure_is_retried_and_notified_once(stage: ProcessorStage, error: Exception) -> None:
    attempts: list[int] = []

    async def fails_twice(task: Task) -> str:
        attempts.append(task.attempt)
        if len(attempts) < 3:
            raise error
        return task.data

    async with stage.notifications("user") as notifications, processor_in_process(stage, fails_twice):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
    assert attempts == [1, 2, 3]
    assert notifications.statuses() == [(task_id, "finished")]


async def test_a_permanent_failure_is_dead_lettered_at_once_with_reason_and_detail(stage: ProcessorStage) -> None:
    async def refuse(task: Task) -> str:
        raise PermanentError("the secret reason")

    counted = Counted("tasks_dead_lettered_total", reason="permanent")
    before = datetime.now(UTC)
    async with stage.notifications("user") as notifications, processor_in_process(stage, refuse):
        task_id = await stage.send("user", "the data")
        await notifications.wait(1)
        await stage.until_empty()
        (letter,) = await stage.dead_letters(1)
    assert letter["deadLetterReason"] == "permanent"
    assert letter["deadLetterDetail"] == "PermanentError: the secret reason"
    assert letter["deadLetterReceiveCount"] == "1"
    assert letter["deadLetterVersion"] == VERSION
    assert letter["taskId"] == task_id
    assert abs((datetime.fromisoformat(letter["deadLetteredAt"]) - before).total_seconds()) < 60
    assert '"userId":"user"' in letter["body"]
    assert counted() == 1


async def test_the_failed_notification_has_no_internal_details(stage: ProcessorStage) -> None:
    async def refuse(task: Task) -> str:
        raise PermanentError("password=hunter2 at db-7.internal")

    async with stage.notifications("user") as notifications, processor_in_process(stage, refuse):
        task_id = await stage.send("user", "the data")
        await notifications.wait(1)
    (notification,) = notifications.received
    assert (notification["taskId"], notification["status"], notification["message"]) == (
        task_id,
        "failed",
        "Failed task: the data",
    )


async def test_a_task_is_dead_lettered_after_its_last_attempt(stage: ProcessorStage) -> None:
    attempts: list[int] = []

    async def fail(task: Task) -> str:
        attempts.append(task.attempt)
        raise TransientError("never works")

    async with stage.notifications("user") as notifications, processor_in_process(stage, fail, MAX_ATTEMPTS="3"):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
        (letter,) = await stage.dead_letters(1)
    assert attempts == [1, 2, 3]
    assert notifications.statuses() == [(task_id, "failed")]
    assert (letter["deadLetterReason"], letter["deadLetterReceiveCount"]) == ("max_attempts", "3")
    assert letter["deadLetterDetail"] == "TransientError: never works"


async def test_a_task_beyond_its_time_limit_is_cancelled_and_counts_as_a_transient_failure(
    stage: ProcessorStage,
) -> None:
    cancelled: list[bool] = []

    async def dawdle(task: Task) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(task.cancelled)
            raise
        return task.data

    timeouts = Counted("handler_errors_total", kind="timeout")
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, dawdle, MAX_TASK_SECONDS="0.2", MAX_ATTEMPTS="2"),
    ):
        task_id = await stage.send("user")
        await notifications.wait(1)
        (letter,) = await stage.dead_letters(1)
    assert notifications.statuses() == [(task_id, "failed")]
    assert cancelled == [True, True]
    assert timeouts() == 2
    assert letter["deadLetterDetail"] == "TimeoutError: the handler took more than 0.2 s"


@pytest.mark.parametrize("answer", [None, 5, b"bytes", ["text"]])
async def test_a_result_that_is_no_text_is_a_permanent_failure(stage: ProcessorStage, answer: object) -> None:
    async def wrong(task: Task) -> object:
        return answer

    async with stage.notifications("user") as notifications, processor_in_process(stage, wrong):
        task_id = await stage.send("user")
        await notifications.wait(1)
        (letter,) = await stage.dead_letters(1)
    assert notifications.statuses() == [(task_id, "failed")]
    assert "not text" in letter["deadLetterDetail"]


async def test_a_failing_task_does_not_affect_others(stage: ProcessorStage) -> None:
    async def pick(task: Task) -> str:
        if task.data == "bad":
            raise PermanentError("bad")
        return task.data

    async with stage.notifications("user") as notifications:
        ids = {await stage.send("user", "bad" if number == 4 else "good"): number for number in range(10)}
        async with processor_in_process(stage, pick):
            await notifications.wait(10)
            await stage.until_empty()
            await stage.dead_letters(1)
    assert {ids[task_id]: status for task_id, status in notifications.statuses()} == {
        number: "failed" if number == 4 else "finished" for number in range(10)
    }


async def test_text_beyond_the_topics_limit_is_cut_and_says_so(stage: ProcessorStage) -> None:
    async def long(task: Task) -> str:
        return "👍🏽" * 3000

    async with stage.notifications("user") as notifications, processor_in_process(stage, long):
        await stage.send("user")
        await notifications.wait(1)
    assert notifications.received[0]["message"].endswith("👍🏽… (cut)")


async def test_a_message_of_the_serverless_original_is_a_task_and_can_be_notified_in_its_format(
    stage: ProcessorStage,
) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, echo, NOTIFICATION_FORMAT="text"),
    ):
        await stage.send_raw('{"userId": "user", "payload": "{\\"data\\": \\"plain\\"}"}')
        await notifications.wait(1)
    assert notifications.texts == ["Finished task: plain"]
