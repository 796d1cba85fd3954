"""A possible poison pill runs isolated. A live process that lost leases isolates none; other tasks keep their slots."""

import asyncio
import json
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from momento.responses import CacheGet

from notification_api import Task
from services.common.messages.task_message import TaskMessage
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.service import ServiceProcess, processor_process
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy
from tests.support.waiting import wait_until

TASKS = 4
CACHE_IS_OUT = {"faults": [{"method": "Set", "status": "UNAVAILABLE"}]}


@dataclass(frozen=True)
class Notes:
    """The attempt notes in the cache."""

    sdk: MomentoSdk
    cache_name: str
    message_ids: Sequence[str]

    async def count(self, last: str) -> int:
        return [note.split()[1:2] for note in await self._read()].count([last])

    async def write(self, note: str) -> None:
        for message_id in self.message_ids:
            await self.sdk.caches.set(self.cache_name, f"attempts:{message_id}", note)

    async def _read(self) -> list[str]:
        found = [await self.sdk.caches.get(self.cache_name, f"attempts:{one}") for one in self.message_ids]
        return [one.value_string if isinstance(one, CacheGet.Hit) else "" for one in found]


@dataclass(frozen=True)
class SlowProcess:
    """A process that has started all tasks a second time and can neither extend leases nor receive more."""

    process: ServiceProcess
    proxy: SqsFaultProxy
    notes: Notes

    async def could_not_note_the_ends(self) -> bool:
        name = 'notification_api_history_unavailable_total{operation="attempts"}'
        return (await self.process.metrics()).get(name, 0) >= TASKS


@asynccontextmanager
async def slow_process(stage: ProcessorStage, folder: Path) -> AsyncIterator[SlowProcess]:
    async with (
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
        sqs_fault_proxy(stage.servers.aws.endpoint_url) as proxy,
        processor_process(stage, folder, AWS_ENDPOINT_URL=proxy.url, VISIBILITY_TIMEOUT_SECONDS="5") as process,
    ):
        proxy.fault(action="ChangeMessageVisibilityBatch", status=503)
        notes = Notes(sdk, stage.cache_name, [await send(stage, do="wait", seconds=600) for _ in range(TASKS)])
        await wait_until(lambda: has_noted(notes, "started"), timeout_seconds=20)
        proxy.fault(action="ReceiveMessage", status=503)
        yield SlowProcess(process, proxy, notes)


async def has_noted(notes: Notes, last: str) -> bool:
    return await notes.count(last) == TASKS


async def send(stage: ProcessorStage, data: str = "x", **fields: Any) -> str:
    """Send a task and return its message id."""
    task = TaskMessage(task_id=str(uuid4()), user_id="user", payload=json.dumps({"data": data, **fields}))
    return await stage.send_raw(task.body(), task.attributes())


class Meeting:
    """A handler that ends once `count` tasks run at the same time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._running: set[str] = set()
        self._all = asyncio.Event()

    async def __call__(self, task: Task) -> str:
        self._running.add(task.id)
        if len(self._running) == self._count:
            self._all.set()
        try:
            await self._all.wait()
        finally:
            self._running.discard(task.id)
        return task.data


@pytest.mark.slow
async def test_leases_lost_by_a_live_process_isolate_no_task(stage: ProcessorStage, tmp_path: Path) -> None:
    """At first it cannot record the ends of its attempts, as in an outage of the cache, but it retries."""
    isolations = Counted("isolations_total", outcome="ran")
    async with stage.notifications("user") as notifications, slow_process(stage, tmp_path) as slow:
        with stage.servers.momento.changed(**CACHE_IS_OUT):
            await wait_until(slow.could_not_note_the_ends, timeout_seconds=20)
        await wait_until(lambda: has_noted(slow.notes, "ended"))
        async with processor_in_process(stage, Meeting(TASKS)):
            await notifications.wait(TASKS)
    assert isolations() == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_frozen_process_clears_its_tasks_when_it_resumes(stage: ProcessorStage, tmp_path: Path) -> None:
    """Another process assumes that it died, and runs its first task isolated; the other tasks do not wait for it."""
    isolated = Counted("isolations_total", outcome="ran")
    cleared = Counted("isolations_total", outcome="cleared")
    begun: list[str] = []
    meeting = Meeting(TASKS - 1)

    async with stage.notifications("user") as notifications, slow_process(stage, tmp_path) as slow:

        async def thaw_then_meet(task: Task) -> str:
            begun.append(task.id)
            if len(begun) > 1:
                return await meeting(task)
            slow.process.signal(signal.SIGCONT)
            await wait_until(lambda: noted_all_but_one(slow.notes), timeout_seconds=30)
            return task.data

        slow.process.signal(signal.SIGSTOP)
        async with processor_in_process(stage, thaw_then_meet):
            await notifications.wait(TASKS, seconds=50)
    assert isolated() == 1
    assert cleared() >= 1
    assert len(begun) == TASKS


async def noted_all_but_one(notes: Notes) -> bool:
    return await notes.count("ended") == TASKS - 1


async def test_tasks_that_wait_to_run_isolated_take_no_slot_and_run_on_other_replicas(
    stage: ProcessorStage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    requeued = Counted("messages_requeued_total", reason="isolated")
    held = Counted("tasks_isolated")
    running = asyncio.Event()
    end = asyncio.Event()

    async def hold(task: Task) -> str:
        if task.data == "pill":
            running.set()
            await end.wait()
        return task.data

    settings: dict[str, Any] = {"CONCURRENCY": "4", "USER_SHARE": "1", "MAX_ATTEMPTS": "50"}
    async with stage.notifications("other") as notifications, stage.notifications("user") as isolated_notifications:
        await send_possible_pills(stage, 6)
        async with processor_in_process(stage, hold, **settings):
            await running.wait()
            await wait_until(lambda: requeued() >= 2)
            assert held() == 2
            await stage.send("other")
            await notifications.wait(1)
            async with processor_in_process(stage, Meeting(1), **settings):
                await isolated_notifications.wait(2)
            end.set()
            await isolated_notifications.wait(6)
            await stage.until_empty()
    assert [line.levelname for line in caplog.records if getattr(line, "action", None) == "isolation"]


async def send_possible_pills(stage: ProcessorStage, count: int) -> None:
    """Send tasks whose process died twice according to the notes (in the format of the previous version)."""
    message_ids = [await send(stage, "pill") for _ in range(count)]
    for _ in range(2):
        await receive_at_once_visible(stage, count)
    async with open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk:
        await Notes(sdk, stage.cache_name, message_ids).write("0 started")


async def receive_at_once_visible(stage: ProcessorStage, count: int) -> None:
    received: set[str] = set()
    handles: list[str] = []
    while len(received) < count:
        answer = await stage.sqs.receive_message(QueueUrl=stage.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=60)
        received.update(one["MessageId"] for one in answer.get("Messages", []))
        handles += [one["ReceiptHandle"] for one in answer.get("Messages", [])]
    for handle in handles:
        await stage.sqs.change_message_visibility(QueueUrl=stage.queue_url, ReceiptHandle=handle, VisibilityTimeout=0)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["leave_in_child", "leave_in_callback", "cancel_all"])
async def test_a_task_whose_own_tasks_or_callbacks_end_the_event_loop_is_a_poison_pill(
    stage: ProcessorStage, tmp_path: Path, way: str
) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_process(stage, tmp_path, MAX_ATTEMPTS="2") as process,
    ):
        await send(stage, do=way, seconds=60)
        for _ in range(2):
            assert await asyncio.to_thread(process.ended) == 1
            process.start()
        await notifications.wait(1, seconds=20)
        (letter,) = await stage.dead_letters(1)
        await stage.until_empty()
    assert [status for _, status in notifications.statuses()] == ["failed"]
    assert (letter["deadLetterReason"], letter["deadLetterReceiveCount"]) == ("poison_pill", "3")
