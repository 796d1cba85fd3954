"""The notification history: a task runs once and its notification is not lost; only missing steps are repeated."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from momento.responses import CacheGet

from notification_api import PermanentError, Task, TransientError
from services.processor.notify import resilient_history
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.service import processor_process
from tests.support.processor.in_process import Counted, is_paused, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.sqs_fault_proxy import sqs_fault_proxy
from tests.support.waiting import wait_until


class Handler:
    """Echoes the task, and records the ids of the tasks that it ran."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.runs: list[str] = []
        self._seconds = seconds

    async def __call__(self, task: Task) -> str:
        self.runs.append(task.id)
        await asyncio.sleep(self._seconds)
        return task.data


async def send_redelivered(stage: ProcessorStage, user_id: str, task_id: str | None = None) -> str:
    """Send a task whose first delivery has ended without an outcome."""
    task_id = await stage.send(user_id, task_id=task_id)
    answer = await stage.sqs.receive_message(QueueUrl=stage.queue_url, VisibilityTimeout=0)
    assert len(answer["Messages"]) == 1
    return task_id


def momento_calls(stage: ProcessorStage) -> Counter[str]:
    return Counter({method: sum(by.values()) for method, by in stage.servers.momento.stats()["calls"].items()})


async def test_a_redelivered_finished_task_is_notified_and_deleted_without_a_run(stage: ProcessorStage) -> None:
    handler, repeated = Handler(), Counted("duplicate_deliveries_total")
    async with stage.notifications("user") as notifications:
        async with processor_in_process(stage, handler, force_stop=False):
            task_id = await stage.send("user")
            await notifications.wait(1)
            await stage.until_empty()
        await send_redelivered(stage, "user", task_id)
        async with processor_in_process(stage, handler):
            await notifications.wait(2)
            await stage.until_empty()
    assert handler.runs == [task_id]
    assert notifications.received[0] == notifications.received[1]
    assert repeated() == 1


async def test_a_redelivered_failed_task_is_notified_again_and_dead_lettered_once(stage: ProcessorStage) -> None:
    async def refuse(task: Task) -> str:
        raise PermanentError("no")

    async with stage.notifications("user") as notifications:
        async with processor_in_process(stage, refuse, force_stop=False):
            task_id = await stage.send("user")
            await notifications.wait(1)
            await stage.until_empty()
        await send_redelivered(stage, "user", task_id)
        async with processor_in_process(stage, refuse):
            await notifications.wait(2)
            await stage.until_empty()
    assert notifications.statuses() == [(task_id, "failed")] * 2
    assert await stage.depth(stage.dead_letter_queue_url) == (1, 0)


async def test_a_task_whose_deletion_failed_is_neither_run_nor_published_again(stage: ProcessorStage) -> None:
    handler, errors = Handler(), Counted("acknowledge_errors_total")
    duplicates = Counted("tasks_processed_total", outcome="already_acknowledged")
    async with stage.notifications("user") as notifications, sqs_fault_proxy(stage.servers.aws.endpoint_url) as proxy:
        proxy.fault(action="DeleteMessageBatch", status=500, calls=5)
        async with processor_in_process(stage, handler, AWS_ENDPOINT_URL=proxy.url):
            task_id = await stage.send("user")
            await notifications.wait(1)
            await stage.until_empty()
    assert handler.runs == [task_id]
    assert notifications.statuses() == [(task_id, "finished")]
    assert (errors(), duplicates()) == (1, 1)


async def test_a_redelivered_unfinished_task_is_run(stage: ProcessorStage) -> None:
    handler, redelivered = Handler(), Counted("messages_redelivered_total")
    async with stage.notifications("user") as notifications:
        task_id = await send_redelivered(stage, "user")
        async with processor_in_process(stage, handler, force_stop=False):
            await notifications.wait(1)
            await stage.until_empty()
    assert handler.runs == [task_id]
    assert redelivered() == 1


async def test_of_two_copies_at_the_same_time_one_runs_and_the_other_waits(stage: ProcessorStage) -> None:
    """Two processors have the copies of a POST that was sent twice with one Idempotency-Key."""
    handler = Handler(seconds=0.5)
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handler, CONCURRENCY="1"),
        processor_in_process(stage, handler, CONCURRENCY="1"),
    ):
        task_id = await stage.send("user", idempotent=True)
        await stage.send("user", idempotent=True, task_id=task_id)
        await notifications.wait(2)
        await stage.until_empty()
    assert handler.runs == [task_id]
    assert notifications.received[0] == notifications.received[1]


@pytest.mark.slow
async def test_a_lock_lasts_as_long_as_its_task(stage: ProcessorStage) -> None:
    """The task takes 1.5 times as long as an unrenewed lock is valid."""
    handler = Handler(seconds=4.5)
    settings: dict[str, Any] = {"VISIBILITY_TIMEOUT_SECONDS": "3", "CONCURRENCY": "1"}
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handler, **settings),
        processor_in_process(stage, handler, **settings),
    ):
        task_id = await stage.send("user", idempotent=True)
        await stage.send("user", idempotent=True, task_id=task_id)
        await notifications.wait(2)
        await stage.until_empty()
    assert handler.runs == [task_id]
    assert notifications.received[0] == notifications.received[1]


async def test_the_waiting_copy_runs_if_the_first_fails(stage: ProcessorStage) -> None:
    runs: list[str] = []

    async def fail_first(task: Task) -> str:
        runs.append(task.id)
        await asyncio.sleep(0.3)
        if len(runs) == 1:
            raise TransientError("not now")
        return task.data

    async with stage.notifications("user") as notifications:
        task_id = await stage.send("user", idempotent=True)
        await stage.send("user", idempotent=True, task_id=task_id)
        async with processor_in_process(stage, fail_first):
            await notifications.wait(2)
            await stage.until_empty()
    assert len(runs) == 2
    assert notifications.statuses() == [(task_id, "finished")] * 2


async def test_the_lock_of_a_process_that_died_expires(stage: ProcessorStage) -> None:
    handler = Handler()
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
    ):
        task_id = await send_redelivered(stage, "user")
        await sdk.caches.set(stage.cache_name, f"task-lock:user {task_id}", b"another process")
        async with processor_in_process(stage, handler):
            await asyncio.sleep(0.5)
            assert handler.runs == []
            await sdk.caches.delete(stage.cache_name, f"task-lock:user {task_id}")
            await notifications.wait(1)
    assert handler.runs == [task_id]


@pytest.mark.slow
async def test_the_lock_of_a_process_that_was_killed_expires_by_itself(stage: ProcessorStage, tmp_path: Path) -> None:
    handler = Handler()
    settings: dict[str, Any] = {"VISIBILITY_TIMEOUT_SECONDS": "3"}
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
    ):
        async with processor_process(stage, tmp_path, **settings) as process:
            task_id = await stage.send("user", idempotent=True, do="wait", seconds=60)
            await wait_until(lambda: is_locked(sdk, stage, task_id))
            process.signal(signal.SIGKILL)
            await asyncio.to_thread(process.ended)
        assert await is_locked(sdk, stage, task_id)
        await stage.send("user", idempotent=True, task_id=task_id)
        async with processor_in_process(stage, handler, **settings):
            assert handler.runs == []
            await notifications.wait(2)
    assert handler.runs == [task_id]


async def test_users_whose_tasks_have_one_id_do_not_wait_for_each_other(stage: ProcessorStage) -> None:
    handler = Handler()
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
    ):
        task_id = await stage.send("user", idempotent=True)
        await sdk.caches.set(stage.cache_name, f"task-lock:another {task_id}", b"another process")
        async with processor_in_process(stage, handler):
            await notifications.wait(1)
    assert handler.runs == [task_id]


async def is_locked(sdk: MomentoSdk, stage: ProcessorStage, task_id: str) -> bool:
    return isinstance(await sdk.caches.get(stage.cache_name, f"task-lock:user {task_id}"), CacheGet.Hit)


async def test_a_lock_whose_answer_was_lost_is_recognised_as_its_own(stage: ProcessorStage) -> None:
    handler = Handler()
    lost = {"method": "SetIfNotExists", "status": "UNAVAILABLE", "afterEffect": True, "calls": 1}
    async with stage.notifications("user") as notifications:
        with stage.servers.momento.changed(faults=[lost]):
            async with processor_in_process(stage, handler, VISIBILITY_TIMEOUT_SECONDS="30"):
                started = time.monotonic()
                await stage.send("user", idempotent=True)
                await notifications.wait(1)
            assert stage.servers.momento.admin("GET", "settings")["faults"][0]["hits"] == 1
    assert time.monotonic() - started < 5


async def test_locks_are_released_once_their_tasks_are_done(stage: ProcessorStage) -> None:
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
        processor_in_process(stage, Handler()),
    ):
        task_id = await stage.send("user", idempotent=True)
        await notifications.wait(1)
        await stage.until_empty()
        got = await sdk.caches.get(stage.cache_name, f"task-lock:user {task_id}")
    assert type(got).__name__ == "Miss"


async def test_the_common_path_costs_one_cache_write_and_no_read(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resilient_history, "TRIM_SHARE", 0.0)
    async with stage.notifications("user") as notifications, processor_in_process(stage, Handler()):
        before = momento_calls(stage)  # after the breaker's probe
        for _ in range(10):
            await stage.send("user")
        await notifications.wait(10)
        await stage.until_empty()
    calls = momento_calls(stage) - before
    calls.pop("DictionaryFetch", None)  # of the stage's cancel requests, once a second for all tasks
    assert calls == {"DictionarySet": 10, "Publish": 10}


@pytest.mark.parametrize("status", ["UNAVAILABLE", "PERMISSION_DENIED"])
async def test_during_a_cache_outage_users_are_notified_and_messages_remain_on_the_queue(
    stage: ProcessorStage, status: str
) -> None:
    handler = Handler()
    unwritten, unread = (Counted("history_unavailable_total", operation=one) for one in ("write", "find"))
    out = [
        {"method": one, "status": status}
        for one in ("DictionarySet", "DictionaryGet", "SetIfNotExists", "Get", "Set", "Delete")
    ]
    async with stage.notifications("user") as notifications, processor_in_process(stage, handler, CONCURRENCY="2"):
        with stage.servers.momento.changed(faults=out):
            ids = [await stage.send("user") for _ in range(5)]
            ids.append(await stage.send("user", idempotent=True))
            await notifications.wait(6)
            assert await stage.depth() == (0, 6)
        await stage.until_empty()
    assert sorted(handler.runs) == sorted(ids)
    assert {status for _, status in notifications.statuses()} == {"finished"}
    assert {one for one, _ in notifications.statuses()} == set(ids)
    assert unwritten() >= 1
    assert unread() >= 1


async def test_a_retention_of_zero_disables_the_history(stage: ProcessorStage) -> None:
    handler = Handler()
    async with stage.notifications("user") as notifications:
        before = momento_calls(stage)
        await send_redelivered(stage, "user")
        async with processor_in_process(stage, handler, HISTORY_RETENTION_SECONDS="0"):
            await notifications.wait(1)
            await stage.until_empty()
            await stage.send("user", idempotent=True)
            await notifications.wait(2)
            await stage.until_empty()
    assert momento_calls(stage) - before == {"Publish": 3}  # one is the breaker's probe
    assert len(handler.runs) == 2


async def test_a_failed_publish_is_retried_within_the_lease(stage: ProcessorStage) -> None:
    handler = Handler()
    async with stage.notifications("user") as notifications:
        with stage.servers.momento.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 5}]):
            async with processor_in_process(stage, handler):
                task_id = await stage.send("user")
                await notifications.wait(1)
                await stage.until_empty()
    assert (handler.runs, notifications.statuses()) == ([task_id], [(task_id, "finished")])


async def test_while_momento_is_down_a_finished_task_is_neither_lost_nor_run_twice(stage: ProcessorStage) -> None:
    """Topics and cache are both down for longer than NOTIFY_SECONDS."""
    handler = Handler()
    down = [{"method": one, "status": "UNAVAILABLE"} for one in ("Publish", "DictionarySet", "DictionaryGet")]
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, handler, NOTIFY_SECONDS="1", MAX_ATTEMPTS="2"),
    ):
        with stage.servers.momento.changed(faults=down):
            task_id = await stage.send("user")
            await wait_until(is_paused, timeout_seconds=25)
            await asyncio.sleep(4)
        await notifications.wait(1)
        await stage.until_empty()
    assert (handler.runs, set(notifications.statuses())) == ([task_id], {(task_id, "finished")})
    assert notifications.received[0] == notifications.received[-1]
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


async def test_no_task_is_received_before_its_notification_could_be_delivered(stage: ProcessorStage) -> None:
    handler = Handler()
    missing = f"/notification-api/test/{stage.cache_name}"
    await stage.send("user")
    async with processor_in_process(stage, handler, ready=False, MOMENTO_API_KEY_PARAM_NAME=missing) as lifecycle:
        await wait_until(lambda: "queue" not in lifecycle.readiness_problems())
        await asyncio.sleep(0.3)  # three checks whether receiving may start
        assert "momento" in lifecycle.readiness_problems()
        assert await stage.depth() == (1, 0)
    assert handler.runs == []
