"""Tasks run once despite duplicates on topic and dead-letter queue, reused keys, and clocks that differ."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from momento.responses import CacheDictionaryFetch

from notification_api import PermanentError, Task
from tests.support.momento.clients import open_momento_sdk
from tests.support.processor.dead_letters_cli import dead_letters_process
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.sqs_fault_proxy import sqs_fault_proxy
from tests.support.waiting import wait_until


class Handler:
    """Echoes the task, or fails permanently while `fails` is set; records the tasks that it ran."""

    def __init__(self, *, fails: bool = False) -> None:
        self.runs: list[str] = []
        self.fails = fails

    async def __call__(self, task: Task) -> str:
        self.runs.append(task.id)
        if self.fails:
            raise PermanentError("as asked")
        return task.data


async def test_deletions_without_a_response_publish_no_duplicate(stage: ProcessorStage) -> None:
    """The deletions have no response, the leases expire, and every message is redelivered."""
    handler, redelivered = Handler(), Counted("messages_redelivered_total")
    duplicates = Counted("tasks_processed_total", outcome="already_acknowledged")
    async with stage.notifications("user") as notifications, sqs_fault_proxy(stage.servers.aws.endpoint_url) as proxy:
        for action in ("DeleteMessageBatch", "ChangeMessageVisibilityBatch"):
            proxy.fault(action=action, never_answer=True)
        async with processor_in_process(stage, handler, AWS_ENDPOINT_URL=proxy.url, CONCURRENCY="40"):
            ids = [await stage.send("user") for _ in range(40)]
            await notifications.wait(40)
            await wait_until(lambda: redelivered() >= 20, timeout_seconds=40)
            proxy.faults.clear()
            await stage.until_empty(60)
    assert Counter(notifications.statuses()) == Counter((one, "finished") for one in ids)
    assert sorted(handler.runs) == sorted(ids)
    assert duplicates() >= 20


async def test_a_key_with_another_body_is_notified_as_failed_and_the_first_result_stays(stage: ProcessorStage) -> None:
    """An ingest replica knows only the keys that it accepted, so both can reach the queue."""
    handler, conflicts = Handler(), Counted("tasks_processed_total", outcome="conflict")
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
        processor_in_process(stage, handler),
    ):
        task_id = await stage.send("user", "first", idempotent=True)
        await notifications.wait(1)
        await stage.send("user", "second", idempotent=True, task_id=task_id)
        await notifications.wait(2)
        await stage.send("user", "first", idempotent=True, task_id=task_id)
        await notifications.wait(3)
        await stage.until_empty()
        stored = await sdk.caches.dictionary_fetch(stage.cache_name, "history:user")
    assert handler.runs == [task_id]
    messages = [one["message"] for one in notifications.received]
    assert messages[0] == messages[2] == "Finished task: first"
    assert "the Idempotency-Key was used before with another body" in messages[1]
    assert notifications.statuses() == [(task_id, "finished"), (task_id, "failed"), (task_id, "finished")]
    assert conflicts() == 1
    assert isinstance(stored, CacheDictionaryFetch.Hit)
    assert len(stored.value_dictionary_string_string) == 2
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_of_two_bodies_with_one_key_at_the_same_time_one_runs_and_the_other_is_refused(
    stage: ProcessorStage,
) -> None:
    handler = Handler()
    async with stage.notifications("user") as notifications:
        task_id = await stage.send("user", "one", idempotent=True)
        await stage.send("user", "two", idempotent=True, task_id=task_id)
        async with processor_in_process(stage, handler):
            await notifications.wait(2)
            await stage.until_empty()
    assert handler.runs == [task_id]
    assert sorted(notifications.statuses()) == [(task_id, "failed"), (task_id, "finished")]


@pytest.mark.parametrize("ahead_seconds", [30, 3_000])
@pytest.mark.parametrize("by", ["id", "all"])
async def test_a_redriven_task_runs_whatever_the_clock_of_its_pod_says(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch, ahead_seconds: int, by: str
) -> None:
    handler, real = Handler(fails=True), time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_seconds)
    async with stage.notifications("user") as notifications, processor_in_process(stage, handler):
        task_id = await stage.send("user")
        await notifications.wait(1)
        await stage.until_empty()
        handler.fails = False
        monkeypatch.setattr(time, "time", real)  # the command runs on another machine
        command = ("redrive", task_id) if by == "id" else ("redrive", "--all", "--yes", "--no-move-task")
        redriving = asyncio.create_task(dead_letters_process(stage.environment(), *command))
        monkeypatch.setattr(time, "time", lambda: real() + ahead_seconds)
        assert (await redriving).status == 0
        await notifications.wait(2)
        await stage.until_empty()
    assert handler.runs == [task_id, task_id]
    assert notifications.statuses() == [(task_id, "failed"), (task_id, "finished")]
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_a_result_is_kept_when_a_drain_starts_while_it_is_being_stored(stage: ProcessorStage) -> None:
    """The write has no response; the drain aborts the task, and the next process finds the entry."""
    handler = Handler()
    slow: list[dict[str, Any]] = [{"method": "DictionarySet", "delayMs": 700}]
    async with stage.notifications("user") as notifications:
        with stage.servers.momento.changed(faults=slow):
            async with processor_in_process(stage, handler):
                task_id = await stage.send("user")
                await wait_until(lambda: handler.runs == [task_id])
        async with processor_in_process(stage, handler):
            await notifications.wait(1)
            await stage.until_empty()
    assert (handler.runs, set(notifications.statuses())) == ([task_id], {(task_id, "finished")})
