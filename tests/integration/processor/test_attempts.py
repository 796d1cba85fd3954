"""What counts as an attempt: tasks that kill their process are dead-lettered, and no other task is."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from momento.responses import CacheGet

from notification_api import Task, TransientError
from services.common.messages.task_message import TaskMessage
from tests.support.momento.clients import open_momento_sdk
from tests.support.processes.service import ServiceProcess, processor_process
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until

TWO_ATTEMPTS: dict[str, Any] = {"MAX_ATTEMPTS": "2", "VISIBILITY_TIMEOUT_SECONDS": "3"}
MEMORY_LIMIT_MIB = 400


@pytest.mark.slow
async def test_a_task_that_kills_its_process_does_not_dead_letter_others(stage: ProcessorStage, tmp_path: Path) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, **TWO_ATTEMPTS) as process,
    ):
        neighbours = {await stage.send("user", do="wait", seconds=1) for _ in range(5)}
        pill = await stage.send("user", "deadly", do="die")
        async with started_again(process) as ends:
            await wait_until(lambda: len(set(notifications.statuses())) == 6, timeout_seconds=40)
            await stage.until_empty()
        (letter,) = await stage.dead_letters(1)
        assert await stage.depth(stage.dead_letter_queue_url) == (0, 1)
    assert set(notifications.statuses()) == {(pill, "failed"), *((one, "finished") for one in neighbours)}
    assert (letter["deadLetterReason"], letter["taskId"]) == ("poison_pill", pill)
    assert set(ends) == {9}


@pytest.mark.slow
async def test_two_poison_pills_are_distinguished_from_other_tasks(stage: ProcessorStage, tmp_path: Path) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, **TWO_ATTEMPTS) as process,
    ):
        neighbours = {await stage.send("user", do="wait", seconds=0.5) for _ in range(2)}
        pills = {await stage.send("user", do="die") for _ in range(2)}
        async with started_again(process):
            await wait_until(lambda: len(set(notifications.statuses())) == 4, timeout_seconds=50)
            await stage.until_empty()
        letters = await stage.dead_letters(2)
    assert {letter["taskId"] for letter in letters} == pills
    assert {task_id for task_id, status in notifications.statuses() if status == "finished"} == neighbours


@pytest.mark.slow
async def test_a_task_that_leaks_memory_is_the_only_one_dead_lettered(stage: ProcessorStage, tmp_path: Path) -> None:
    """The process is killed for its memory, as the kernel does in a container; the task is dead-lettered."""
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, **TWO_ATTEMPTS) as process,
    ):
        neighbours = {await stage.send("user", do="wait", seconds=1) for _ in range(3)}
        leak = await stage.send("user", do="leak")
        async with started_again(process) as ends, limited_in_memory(process):
            await wait_until(lambda: len(set(notifications.statuses())) == 4, timeout_seconds=50)
            await stage.until_empty()
        (letter,) = await stage.dead_letters(1)
    assert set(notifications.statuses()) == {(leak, "failed"), *((one, "finished") for one in neighbours)}
    assert (letter["deadLetterReason"], letter["taskId"]) == ("poison_pill", leak)
    assert set(ends) == {-signal.SIGKILL}


@pytest.mark.slow
async def test_a_task_that_is_requeued_repeatedly_is_not_dead_lettered(stage: ProcessorStage) -> None:
    """A long task is interrupted more often than there are attempts; a failure after that is its first."""
    runs: list[int] = []

    async def wait_fail_finish(task: Task) -> str:
        runs.append(task.attempt)
        if len(runs) <= 4:
            await asyncio.Event().wait()
        if len(runs) == 5:
            raise TransientError("for the first time")
        return task.data

    settings: dict[str, Any] = {"MAX_ATTEMPTS": "3", "SHUTDOWN_GRACE_SECONDS": "6.5"}
    async with stage.notifications("user") as notifications:
        task_id = await stage.send("user")
        for restart in range(1, 5):
            async with processor_in_process(stage, wait_fail_finish, force_stop=False, **settings):
                await wait_until(lambda number=restart: len(runs) == number)  # type: ignore[misc]
        async with processor_in_process(stage, wait_fail_finish, **settings):
            await notifications.wait(1)
            await stage.until_empty()
    assert notifications.statuses() == [(task_id, "finished")]
    assert runs == [1, 1, 1, 1, 2, 3]  # up to MAX_ATTEMPTS deliveries without an attempt do not count
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_failed_tasks_are_retried_concurrently(stage: ProcessorStage) -> None:
    """An outage of a dependency of handlers must not serialize their retries."""
    together = asyncio.Event()
    waiting: set[str] = set()

    async def fail_then_meet(task: Task) -> str:
        if task.attempt == 1:
            raise TransientError("down")
        waiting.add(task.id)
        if len(waiting) == 4:
            together.set()
        await together.wait()
        return task.data

    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, fail_then_meet, MAX_ATTEMPTS="2"),
    ):
        for _ in range(4):
            await stage.send("user")
        await notifications.wait(4)
    assert {status for _, status in notifications.statuses()} == {"finished"}


@pytest.mark.slow
async def test_without_the_history_deliveries_count_as_attempts(stage: ProcessorStage, tmp_path: Path) -> None:
    settings = {**TWO_ATTEMPTS, "HISTORY_RETENTION_SECONDS": "0"}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        pill = await stage.send("user", do="die")
        async with started_again(process) as ends:
            await notifications.wait(1, seconds=20)
            (letter,) = await stage.dead_letters(1)
    assert (letter["taskId"], letter["deadLetterReceiveCount"]) == (pill, "3")
    assert ends == [9, 9]


async def test_a_first_delivery_is_noted_if_it_is_requeued_or_fails(
    stage: ProcessorStage,
) -> None:
    async def fail(task: Task) -> str:
        if task.data == "bad":
            raise TransientError("not now")
        return task.data

    requeued = Counted("messages_requeued_total", reason="transient")
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
    ):
        async with processor_in_process(stage, fail, BACKOFF_BASE_SECONDS="600"):
            good, bad = [await send_raw(stage, data) for data in ("good", "bad")]
            await notifications.wait(1)
            await wait_until(lambda: requeued() == 1)
        noted = await sdk.caches.get(stage.cache_name, f"attempts:{bad}")
        assert isinstance(noted, CacheGet.Hit)
        assert noted.value_string == "1 ended"
        assert isinstance(await sdk.caches.get(stage.cache_name, f"attempts:{good}"), CacheGet.Miss)


async def send_raw(stage: ProcessorStage, data: str) -> str:
    """Send a task and return its message id."""
    task = TaskMessage(task_id=str(uuid4()), user_id="user", payload=json.dumps({"data": data}))
    return await stage.send_raw(task.body(), task.attributes())


@asynccontextmanager
async def started_again(process: ServiceProcess) -> AsyncIterator[list[int]]:
    """Restart the process whenever it ends, as a cluster does; yields the exit statuses so far."""
    ends: list[int] = []

    async def always() -> None:
        while True:
            ends.append(await asyncio.to_thread(process.ended, 90))
            process.start()

    restarting = asyncio.create_task(always())
    try:
        yield ends
    finally:
        restarting.cancel()
        await asyncio.wait({restarting})


@asynccontextmanager
async def limited_in_memory(process: ServiceProcess) -> AsyncIterator[None]:
    """Kill the process whenever it uses more memory than the limit."""

    async def always() -> None:
        while True:
            await asyncio.sleep(0.02)
            if process.resident_mib() > MEMORY_LIMIT_MIB:
                process.signal(signal.SIGKILL)

    limiting = asyncio.create_task(always())
    try:
        yield
    finally:
        limiting.cancel()
        await asyncio.wait({limiting})
