"""The processor logs one line with the task's id at the end of each delivery."""

import asyncio
from collections.abc import Iterator

import pytest

from notification_api import PermanentError, Task, TransientError
from services.processor import processor
from tests.support.log_lines import TaskLines, task_lines
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until

PAYLOAD = "the payload"


@pytest.fixture
def lines() -> Iterator[TaskLines]:
    with task_lines() as lines:
        yield lines
    assert not any(PAYLOAD in text for text in lines.texts)


async def echo(task: Task) -> str:
    return task.data


async def test_a_finished_task_has_one_line(stage: ProcessorStage, lines: TaskLines) -> None:
    async def sleep(task: Task) -> str:
        await asyncio.sleep(0.05)
        return task.data

    async with processor_in_process(stage, sleep):
        task_id = await stage.send("user", PAYLOAD)
        await wait_until(lambda: bool(lines.ends(task_id)))
        await stage.until_empty()
    (line,) = lines.ends(task_id)
    assert (line["level"], line["message"], line["outcome"]) == ("INFO", "task concluded", "finished")
    assert (line["attempt"], line["delivery"]) == (1, 1)
    assert 0.05 <= line["seconds"] < 5
    assert 0 <= line["waitSeconds"] < 10
    assert line["messageId"]


async def test_a_dead_lettered_task_has_one_line_with_the_reason(stage: ProcessorStage, lines: TaskLines) -> None:
    async def refuse(task: Task) -> str:
        raise PermanentError("as asked")

    async with processor_in_process(stage, refuse):
        task_id = await stage.send("user", PAYLOAD)
        await wait_until(lambda: bool(lines.ends(task_id)))
    (line,) = lines.ends(task_id)
    assert (line["level"], line["outcome"], line["deadLetterReason"]) == ("WARNING", "failed", "permanent")
    assert (line["attempt"], line["delivery"]) == (1, 1)
    assert "seconds" in line


async def test_each_requeue_has_one_line_with_its_delay(stage: ProcessorStage, lines: TaskLines) -> None:
    async def fail_twice(task: Task) -> str:
        if task.attempt < 3:
            raise TransientError("not now")
        return task.data

    async with processor_in_process(stage, fail_twice):
        task_id = await stage.send("user", PAYLOAD)
        await wait_until(lambda: len(lines.ends(task_id)) == 3)
    first, second, last = lines.ends(task_id)
    for number, line in enumerate((first, second), 1):
        assert (line["level"], line["message"], line["outcome"]) == ("WARNING", "task requeued", "requeued")
        assert (line["reason"], line["attempt"], line["delaySeconds"]) == ("transient", number, 0)
    assert (last["outcome"], last["attempt"], last["delivery"]) == ("finished", 3, 3)


async def test_a_duplicate_has_one_line(stage: ProcessorStage, lines: TaskLines) -> None:
    async with processor_in_process(stage, echo):
        task_id = await stage.send("user", PAYLOAD)
        await wait_until(lambda: len(lines.ends(task_id)) == 1)
        await stage.send("user", PAYLOAD, task_id=task_id, idempotent=True)
        await wait_until(lambda: len(lines.ends(task_id)) == 2)
    _, line = lines.ends(task_id)
    assert (line["level"], line["outcome"]) == ("INFO", "duplicate")
    assert "attempt" not in line
    assert "seconds" not in line


async def test_a_message_that_is_no_task_has_one_line(stage: ProcessorStage, lines: TaskLines) -> None:
    async with processor_in_process(stage, echo):
        message_id = await stage.send_raw(PAYLOAD)
        await wait_until(lambda: bool(lines.ends(message_id)))
    (line,) = lines.ends(message_id)
    assert (line["level"], line["outcome"], line["deadLetterReason"]) == ("WARNING", "malformed", "malformed")


async def test_a_drain_logs_one_line_for_each_task_started_or_not(stage: ProcessorStage, lines: TaskLines) -> None:
    started: list[str] = []

    async def hang(task: Task) -> str:
        started.append(task.id)
        await asyncio.Event().wait()
        return ""

    async with processor_in_process(stage, hang, CONCURRENCY="2", VISIBILITY_TIMEOUT_SECONDS="600"):
        ids = [await stage.send("user", PAYLOAD) for _ in range(2)]
        await wait_until(lambda: len(started) == 2)
    for task_id in ids:
        (line,) = lines.ends(task_id)
        assert (line["level"], line["outcome"], line["reason"]) == ("INFO", "requeued", "drain")
        assert (line["attempt"], line["delaySeconds"]) == (1, 0)


async def test_a_lost_lease_has_one_line(
    stage: ProcessorStage, lines: TaskLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def wait(task: Task) -> str:
        await ended.wait()
        return task.data

    monkeypatch.setattr(processor, "_lease_margin_seconds", lambda settings: 0.1 - settings.max_task_seconds)
    async with processor_in_process(stage, wait, VISIBILITY_TIMEOUT_SECONDS="600"):
        task_id = await stage.send("user", PAYLOAD)
        await wait_until(lambda: bool(lines.ends(task_id)), timeout_seconds=45)
        ended.set()
    (line,) = lines.ends(task_id)
    assert (line["level"], line["outcome"], line["attempt"]) == ("WARNING", "lease_lost", 1)
    assert "seconds" in line
