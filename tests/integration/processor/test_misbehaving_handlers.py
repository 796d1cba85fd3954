"""Handlers that misbehave affect as little as possible, and their messages are dead-lettered."""

import asyncio
import inspect
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from notification_api import Task
from services.processor.handlers import runner, watchdog
from tests.support.processes.service import ServiceProcess, processor_process
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_whatever_a_handler_raises_only_its_own_task_fails(stage: ProcessorStage, error: BaseException) -> None:
    async def fail(task: Task) -> str:
        if task.data == "bad":
            raise error
        await asyncio.sleep(0.2)
        return task.data

    async with stage.notifications("user") as notifications, processor_in_process(stage, fail, MAX_ATTEMPTS="2"):
        good = [await stage.send("user", "good") for _ in range(3)]
        bad = await stage.send("user", "bad")
        await notifications.wait(4)
        await stage.until_empty()
        (letter,) = await stage.dead_letters(1)
    assert sorted(notifications.statuses()) == sorted([*((one, "finished") for one in good), (bad, "failed")])
    assert letter["deadLetterReason"] == "max_attempts"


async def test_a_handler_that_ignores_cancellation_releases_its_slot(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HANDLER_STOP_SECONDS", 0.1)
    may_end = asyncio.Event()

    async def ignore(task: Task) -> str:
        while task.data == "bad" and not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue
        return task.data

    settings: dict[str, Any] = {"CONCURRENCY": "1", "MAX_TASK_SECONDS": "0.2", "MAX_ATTEMPTS": "1"}
    async with stage.notifications("user") as notifications:
        bad, good = await stage.send("user", "bad"), await stage.send("user", "good")
        async with processor_in_process(stage, ignore, **{**settings, "CONCURRENCY": "2"}):
            await notifications.wait(2)
            may_end.set()
    assert sorted(notifications.statuses()) == sorted([(bad, "failed"), (good, "finished")])


async def test_a_blocked_loop_is_named_with_its_stack(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inspect.unwrap(watchdog.watched_loop), "__defaults__", (0.2,))
    counted = Counted("event_loop_blocked_total")

    async def block_the_loop(task: Task) -> str:
        time.sleep(0.6)  # noqa: ASYNC251 — the misbehaviour
        return task.data

    async with stage.notifications("user") as notifications, processor_in_process(stage, block_the_loop):
        await stage.send("user")
        await notifications.wait(1)
    (line,) = [record for record in caplog.records if getattr(record, "action", "") == "watchdog"]
    assert "block_the_loop" in line.stack  # type: ignore[attr-defined]
    assert counted() == 1


async def test_a_task_whose_lease_ran_out_while_the_loop_was_blocked_is_not_run_again(stage: ProcessorStage) -> None:
    """The handler returns before the lease keeper can notice: the clock decides, and the result is stored."""
    attempts: list[int] = []

    async def block_once(task: Task) -> str:
        attempts.append(task.attempt)
        if len(attempts) == 1:
            time.sleep(3.2)  # noqa: ASYNC251 — the misbehaviour
        return task.data

    lost = Counted("tasks_processed_total", outcome="lease_lost")
    async with stage.notifications("user") as notifications, processor_in_process(stage, block_once):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
    assert attempts == [1]
    assert notifications.statuses() == [(task_id, "finished")]
    assert lost() == 1


@pytest.mark.slow
async def test_a_plain_function_that_never_returns_is_abandoned_and_others_continue(
    stage: ProcessorStage, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "TASK_HANDLER": "tests.support.processor.handlers:never_return",
        "HANDLER_THREADS": "3",
        "MAX_TASK_SECONDS": "0.2",
        "MAX_ATTEMPTS": "1",
    }
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        bad = await stage.send("user", do="hang")
        good = [await stage.send("user") for _ in range(5)]
        await notifications.wait(6)
        assert sorted(notifications.statuses()) == sorted([*((one, "finished") for one in good), (bad, "failed")])
        metrics = await process.metrics()
        assert metrics["notification_api_slots"] == 3
        assert metrics["notification_api_handlers_abandoned"] == 1
        (letter,) = await stage.dead_letters(1)
        assert letter["deadLetterDetail"].startswith("TimeoutError")
        process.signal()
        # A thread cannot be stopped, so the process ends, but not with status 0.
        assert await asyncio.to_thread(process.ended) == 3


@pytest.mark.slow
async def test_the_service_ends_when_too_many_functions_never_return(stage: ProcessorStage, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"CONCURRENCY": "2", "MAX_TASK_SECONDS": "0.2", "MAX_ATTEMPTS": "1"}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        for _ in range(2):
            await stage.send("user", do="ignore")
        await notifications.wait(2)
        assert await asyncio.to_thread(process.ended) == 1
    assert process.logged(level="CRITICAL", action="handler")


@pytest.mark.slow
async def test_a_task_that_kills_its_process_at_every_attempt_ends_in_the_dead_letter_queue(
    stage: ProcessorStage, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"MAX_ATTEMPTS": "2", "VISIBILITY_TIMEOUT_SECONDS": "3"}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        pill = await stage.send("user", "deadly", do="die")
        for _ in range(2):
            assert await asyncio.to_thread(process.ended) == 9
            process.start()
        await notifications.wait(1, seconds=20)
        (letter,) = await stage.dead_letters(1)
        await stage.until_empty()
        good = await stage.send("user")
        await notifications.wait(2)
    assert notifications.statuses() == [(pill, "failed"), (good, "finished")]
    assert (letter["deadLetterReason"], letter["deadLetterReceiveCount"]) == ("poison_pill", "3")
    assert (notifications.received[0]["message"]) == "Failed task: deadly"


async def killed(process: ServiceProcess) -> None:
    process.signal(signal.SIGKILL)
    assert await asyncio.to_thread(process.ended) == -signal.SIGKILL


@pytest.mark.slow
async def test_tasks_of_a_killed_process_run_in_the_next(stage: ProcessorStage, tmp_path: Path) -> None:
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path) as process:
        ids = [await stage.send("user", do="wait", seconds=1) for _ in range(5)]
        await wait_until(lambda: _in_process(process, 5))
        await killed(process)
        process.start()
        await notifications.wait(5, seconds=20)
        await stage.until_empty()
    assert sorted(notifications.statuses()) == sorted((one, "finished") for one in ids)


async def _in_process(process: ServiceProcess, count: int) -> bool:
    return (await process.metrics())["notification_api_tasks_in_process"] == count
