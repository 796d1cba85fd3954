"""What the cache knows of a task while it runs, and results that are too large for a notification."""

import asyncio
import json
import zlib

import pytest

from notification_api import Result, Task
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


async def snapshot_of(stage: ProcessorStage, task_id: str) -> dict[str, object] | None:
    value = await stage.item("task", "user", task_id)
    return None if value is None else json.loads(value)


async def test_a_task_that_runs_for_seconds_can_be_followed(stage: ProcessorStage) -> None:
    gate = asyncio.Event()

    async def handle(task: Task) -> str:
        await task.progress("reading", percent=10)
        await gate.wait()
        return "done"

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user", "march")

        async def is_running() -> bool:
            return await snapshot_of(stage, task_id) is not None

        await wait_until(is_running)
        snapshot = await snapshot_of(stage, task_id)
        assert snapshot is not None
        assert (snapshot["status"], snapshot["progress"]) == ("running", {"message": "reading", "percent": 10})
        assert (snapshot["input"], snapshot["attempt"], snapshot["maxAttempts"]) == ("march", 1, 5)
        gate.set()
        await notifications.wait(2)

        async def is_final() -> bool:
            now = await snapshot_of(stage, task_id)
            return now is not None and now["status"] == "finished"

        await wait_until(is_final)
    progress, finished = notifications.received
    assert (progress["status"], progress["message"], progress["percent"]) == ("progress", "reading", 10)
    assert (finished["status"], finished["message"]) == ("finished", "Finished task: done")


@pytest.mark.parametrize("size", [5_000, 500_000])
async def test_a_large_result_is_stored_before_the_notification_that_refers_to_it(
    stage: ProcessorStage, size: int
) -> None:
    data = {"text": "ä" * (size // 2)}

    async def handle(_task: Task) -> Result:
        return Result("m" * 100, data=data)

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await notifications.wait(1)
        stored = await stage.item("result", "user", task_id)
    (notification,) = notifications.received
    assert notification["truncated"] is True
    assert "data" not in notification
    assert notification["message"] == f"Finished task: {'m' * 100}"
    assert stored is not None
    assert json.loads(zlib.decompress(stored)) == {"message": f"Finished task: {'m' * 100}", "data": data}


async def test_a_long_message_is_stored_whole(stage: ProcessorStage) -> None:
    async def handle(_task: Task) -> str:
        return "x" * 10_000

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await notifications.wait(1)
        stored = await stage.item("result", "user", task_id)
    (notification,) = notifications.received
    assert (notification["truncated"], notification["message"][-7:]) == (True, "… (cut)")
    assert stored is not None
    assert json.loads(zlib.decompress(stored))["message"] == f"Finished task: {'x' * 10_000}"


async def test_a_result_beyond_the_limit_fails_and_says_what_to_do(stage: ProcessorStage) -> None:
    runs = 0

    async def handle(_task: Task) -> Result:
        nonlocal runs
        runs += 1
        return Result("ready", data="x" * 600_000)

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
        assert await stage.item("result", "user", task_id) is None
    (notification,) = notifications.received
    assert (notification["status"], notification["reason"]) == ("failed", "result_too_large")
    assert "return its URL" in notification["error"]
    (letter,) = await stage.dead_letters(1)
    assert letter["deadLetterReason"] == "result_too_large"
    assert runs == 1
