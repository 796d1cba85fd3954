"""Momento down for longer than notifications are tried: tasks wait, none is dead-lettered, all users are notified."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from notification_api import Task
from services.processor import pool
from tests.support.processes.service import processor_process
from tests.support.processor.in_process import Counted, is_paused, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until

CACHE = ("DictionarySet", "DictionaryGet", "SetIfNotExists", "Get", "Set", "Delete")
SETTINGS: dict[str, Any] = {"NOTIFY_SECONDS": "1", "MAX_ATTEMPTS": "1", "CONCURRENCY": "4"}


class Handler:
    def __init__(self) -> None:
        self.runs: list[str] = []

    async def __call__(self, task: Task) -> str:
        self.runs.append(task.id)
        return task.data


def out(status: str, methods: Sequence[str] = ("Publish", *CACHE)) -> list[dict[str, Any]]:
    return [{"method": method, "status": status} for method in methods]


@pytest.mark.slow
@pytest.mark.parametrize("status", ["UNAVAILABLE", "PERMISSION_DENIED"])
async def test_an_outage_longer_than_several_deliveries_dead_letters_and_repeats_no_task(
    stage: ProcessorStage, status: str
) -> None:
    """All of Momento is down, or the key has no permissions; one attempt is permitted."""
    handler = Handler()
    received = Counted("messages_received_total")
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handler, **SETTINGS) as lifecycle,
    ):
        with stage.servers.momento.changed(faults=out(status)):
            ids = [await stage.send("user") for _ in range(8)]
            await wait_until(is_paused, timeout_seconds=20)
            before, probes = received(), Counted("momento_calls_total", operation="publish", outcome="error")
            await wait_until(lambda: probes() >= 20, timeout_seconds=20)
            assert received() == before
            assert await stage.depth() == (8 - before, before)  # received messages remain in flight
            assert not lifecycle.readiness_problems()
        await notifications.wait(8, seconds=30)
        await stage.until_empty()
    assert sorted(handler.runs) == sorted(ids)
    assert set(notifications.statuses()) == {(one, "finished") for one in ids}
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)
    assert not is_paused()


async def test_a_single_task_is_delivered_once_in_an_outage(stage: ProcessorStage) -> None:
    handler, received = Handler(), Counted("messages_received_total")
    refused = Counted("momento_calls_total", operation="publish", outcome="error")
    async with stage.notifications("user") as notifications, processor_in_process(stage, handler, **SETTINGS):
        with stage.servers.momento.changed(faults=out("PERMISSION_DENIED")):
            task_id = await stage.send("user")
            await wait_until(is_paused, timeout_seconds=20)
            so_far = refused()
            await wait_until(lambda: refused() >= so_far + 20, timeout_seconds=20)
        await notifications.wait(1, seconds=30)
        await stage.until_empty()
    assert (handler.runs, set(notifications.statuses())) == ([task_id], {(task_id, "finished")})
    assert received() == 1


@pytest.mark.slow
async def test_a_finished_task_that_could_not_be_notified_is_not_run_again_after_a_restart(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may use the cache but not publish. A process that starts in that time receives nothing."""
    monkeypatch.setattr(pool, "OUTAGE_DELAY_SECONDS", 5)
    handler, received = Handler(), Counted("messages_received_total")
    async with AsyncExitStack() as outage, stage.notifications("user") as notifications:
        async with processor_in_process(stage, handler, **SETTINGS):
            outage.enter_context(stage.servers.momento.changed(faults=out("PERMISSION_DENIED", ["Publish"])))
            task_id = await stage.send("user")
            await wait_until(is_paused, timeout_seconds=20)
        for _ in range(3):
            async with processor_in_process(stage, handler, **SETTINGS):
                await asyncio.sleep(1)
        assert received() == 1
        await outage.aclose()
        async with processor_in_process(stage, handler, **SETTINGS):
            await notifications.wait(1, seconds=90)
            await stage.until_empty()
    assert (handler.runs, notifications.statuses()) == ([task_id], [(task_id, "finished")])
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_restarts_in_an_outage_dead_letter_no_task(stage: ProcessorStage, tmp_path: Path) -> None:
    """Neither published nor stored, with more restarts than permitted attempts: the task only runs again."""
    async with AsyncExitStack() as outage, stage.notifications("user") as notifications:
        async with processor_process(stage, tmp_path, **SETTINGS) as process:
            outage.enter_context(stage.servers.momento.changed(faults=out("PERMISSION_DENIED")))
            task_id = await stage.send("user")
            await wait_until(lambda: bool(process.logged(action="breaker")), timeout_seconds=20)
        for _ in range(3):
            async with processor_process(stage, tmp_path, **SETTINGS) as process:
                await wait_until(lambda started=process: bool(started.logged(action="breaker")), timeout_seconds=20)  # type: ignore[misc]
        await outage.aclose()
        async with processor_process(stage, tmp_path, **SETTINGS):
            await notifications.wait(1, seconds=90)
            await stage.until_empty()
    assert set(notifications.statuses()) == {(task_id, "finished")}
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_refused_notifications_are_retried_as_in_an_outage(stage: ProcessorStage) -> None:
    handler, received = Handler(), Counted("messages_received_total")
    refused = [{"method": "Publish", "status": "PERMISSION_DENIED", "calls": 4}]
    async with stage.notifications("user") as notifications:
        with stage.servers.momento.changed(faults=refused):
            async with processor_in_process(stage, handler, MAX_ATTEMPTS="1"):
                task_id = await stage.send("user")
                await notifications.wait(1)
                await stage.until_empty()
    assert (handler.runs, notifications.statuses()) == ([task_id], [(task_id, "finished")])
    assert received() == 1
