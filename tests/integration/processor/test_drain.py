"""SIGTERM: no message is lost or remains invisible, and the exit status reports whether the drain was complete."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from services.processor import processor
from tests.support.processes.service import ServiceProcess, processor_process
from tests.support.processor.handlers import echo
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until

LONG_VISIBILITY: dict[str, Any] = {"VISIBILITY_TIMEOUT_SECONDS": "600"}
"""A message that is not requeued remains invisible for longer than any test."""


async def wait_for_tasks(process: ServiceProcess, count: int) -> None:
    async def has_tasks() -> bool:
        return (await process.metrics())["notification_api_tasks_in_process"] == count

    await wait_until(has_tasks)


async def test_a_drain_finishes_and_notifies_running_tasks(stage: ProcessorStage, tmp_path: Path) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, **LONG_VISIBILITY) as process,
    ):
        ids = [await stage.send("user", do="wait", seconds=1) for _ in range(3)]
        await wait_for_tasks(process, 3)
        process.signal()
        assert await asyncio.to_thread(process.ended) == 0
        await notifications.wait(3)
        assert await stage.depth() == (0, 0)
    assert sorted(notifications.statuses()) == sorted((one, "finished") for one in ids)


async def test_tasks_that_outlast_the_grace_period_are_requeued_immediately(
    stage: ProcessorStage, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**LONG_VISIBILITY, "SHUTDOWN_GRACE_SECONDS": "6.5"}
    async with processor_process(stage, tmp_path, **settings) as process:
        for _ in range(3):
            await stage.send("user", do="wait", seconds=600)
        await wait_for_tasks(process, 3)
        started = time.monotonic()
        process.signal()
        assert await asyncio.to_thread(process.ended) == 0
        assert time.monotonic() - started < 6.5
    assert await stage.depth() == (3, 0)
    (line,) = process.logged(action="drain")
    assert line["interrupted"] == 3


async def test_messages_that_have_not_started_are_requeued_immediately(stage: ProcessorStage, tmp_path: Path) -> None:
    """They are received but not started, as they wait for their user's share."""
    settings: dict[str, Any] = {**LONG_VISIBILITY, "CONCURRENCY": "4", "SHUTDOWN_GRACE_SECONDS": "20"}
    async with processor_process(stage, tmp_path, **settings) as process:
        for _ in range(8):
            await stage.send("flood", do="wait", seconds=2)
        await wait_until(lambda: _waiting(process))
        process.signal()
        await wait_until(lambda: _visible(stage), timeout_seconds=1.5)
        assert await asyncio.to_thread(process.ended) == 0


async def _waiting(process: ServiceProcess) -> bool:
    return (await process.metrics())["notification_api_tasks_waiting"] > 0


async def _visible(stage: ProcessorStage) -> bool:
    return (await stage.depth())[0] > 0


async def test_the_open_poll_is_awaited_and_its_messages_are_requeued(stage: ProcessorStage, tmp_path: Path) -> None:
    """Messages of an aborted poll would remain invisible until their visibility timeout ends.

    ruby-shoryuken/shoryuken#677 #749, celery/kombu#2049
    """
    settings: dict[str, Any] = {**LONG_VISIBILITY, "RECEIVE_WAIT_SECONDS": "2"}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        await wait_until(lambda: _polled(process))
        process.signal()
        await wait_until(lambda: bool(process.logged(message="stop signal: draining")))
        await stage.send("user")
        assert await asyncio.to_thread(process.ended) == 0
        assert await stage.depth() == (1, 0)
        assert notifications.received == []


async def _polled(process: ServiceProcess) -> bool:
    """Whether a poll has ended, so that the next is open."""
    return (await process.metrics()).get('notification_api_sqs_calls_total{operation="receive",outcome="ok"}', 0) >= 1


async def test_heartbeats_continue_during_the_drain(stage: ProcessorStage, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"VISIBILITY_TIMEOUT_SECONDS": "3", "SHUTDOWN_GRACE_SECONDS": "15"}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings) as process:
        task_id = await stage.send("user", do="wait", seconds=4.5)
        await wait_for_tasks(process, 1)
        process.signal()
        assert await asyncio.to_thread(process.ended) == 0
        await notifications.wait(1)
        assert await stage.depth() == (0, 0)
    assert notifications.statuses() == [(task_id, "finished")]
    assert not process.logged(logger="services.processor.receiver.lease_keeper", level="ERROR")


async def test_readiness_drops_while_it_drains_and_liveness_does_not(stage: ProcessorStage, tmp_path: Path) -> None:
    async with processor_process(stage, tmp_path) as process:
        await stage.send("user", do="wait", seconds=1)
        await wait_for_tasks(process, 1)
        process.signal()
        await wait_until(lambda: _not_ready(process))
        assert await asyncio.to_thread(process.ended) == 0


async def _not_ready(process: ServiceProcess) -> bool:
    return (await process.metrics())["notification_api_ready"] == 0


async def test_a_second_signal_forces_the_stop_requeues_tasks_and_sets_the_exit_status(
    stage: ProcessorStage, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**LONG_VISIBILITY, "SHUTDOWN_GRACE_SECONDS": "60"}
    async with processor_process(stage, tmp_path, **settings) as process:
        for _ in range(3):
            await stage.send("user", do="wait", seconds=600)
        await wait_for_tasks(process, 3)
        started = time.monotonic()
        process.signal()
        await wait_until(lambda: bool(process.logged(message="stop signal: draining")))
        process.signal(signal.SIGINT)
        assert await asyncio.to_thread(process.ended) == 3
        assert time.monotonic() - started < 10
    assert await stage.depth() == (3, 0)


async def test_a_handler_that_does_not_stop_does_not_delay_the_end(stage: ProcessorStage, tmp_path: Path) -> None:
    settings: dict[str, Any] = {**LONG_VISIBILITY, "SHUTDOWN_GRACE_SECONDS": "7"}
    async with processor_process(stage, tmp_path, **settings) as process:
        await stage.send("user", do="ignore")
        await wait_for_tasks(process, 1)
        process.signal()
        assert await asyncio.to_thread(process.ended) == 3
    assert await stage.depth() == (1, 0)


async def test_an_idle_processor_ends_within_its_poll(stage: ProcessorStage, tmp_path: Path) -> None:
    async with processor_process(stage, tmp_path) as process:
        started = time.monotonic()
        process.signal()
        assert await asyncio.to_thread(process.ended) == 0
        assert time.monotonic() - started < 5


async def test_a_forced_stop_of_an_idle_processor_does_not_wait_for_its_poll(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "LAST_POLL_SECONDS", 60.0)
    settings: dict[str, Any] = {"RECEIVE_WAIT_SECONDS": "20", "SHUTDOWN_GRACE_SECONDS": "60"}
    async with asyncio.timeout(20), processor_in_process(stage, echo, **settings):
        await wait_until(lambda: any(task.get_name() == "poll" for task in asyncio.all_tasks()))
