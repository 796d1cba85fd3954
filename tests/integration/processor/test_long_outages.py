"""Outages longer than every timeout, one after another, under a steady load: no task is lost, and none runs twice.

The processors, ingest and their queue are real; Momento and SQS fail on demand. Storing and publishing are tried for
two seconds and a lease lasts five here, so that each outage is longer than either.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from notification_api import Task
from tests.integration.processor.test_chaos import ingest, user
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.service import processor_process
from tests.support.processor.chaos import MOMENTO_METHODS, Runs
from tests.support.processor.in_process import is_paused, processor_in_process
from tests.support.processor.stage import Notifications, ProcessorStage
from tests.support.served_service import id_token
from tests.support.sqs_fault_proxy import SqsFault, SqsFaultProxy, sqs_fault_proxy
from tests.support.waiting import wait_until

USERS = 4
OUTAGE_SECONDS = 7.0
POSTS_EACH_SECOND = 8
TOPICS = ("Publish",)
CACHE = (*(method for method in MOMENTO_METHODS if method != "Publish"), "Set", "DictionaryFetch")
SETTINGS: dict[str, Any] = {
    "TASK_HANDLER": "tests.support.processor.handlers:note",
    "CONCURRENCY": "10",
    "VISIBILITY_TIMEOUT_SECONDS": "5",
    "NOTIFY_SECONDS": "2",
    "MAX_ATTEMPTS": "3",
    "LOG_LEVEL": "WARNING",
}


def out(methods: Sequence[str], **how: Any) -> list[dict[str, Any]]:
    return [{"method": method, **(how or {"status": "UNAVAILABLE"})} for method in methods]


async def history(sdk: MomentoSdk, stage: ProcessorStage, user_id: str) -> Counter[tuple[str, str]]:
    fetched = await sdk.caches.dictionary_fetch(stage.cache_name, f"history:{user_id}")
    values = getattr(fetched, "value_dictionary_string_string", {}).values()
    return Counter((entry["taskId"], entry["status"]) for entry in map(json.loads, values))


@pytest.mark.slow
@pytest.mark.parametrize("methods", [TOPICS, CACHE, (*TOPICS, *CACHE)], ids=["topics", "cache", "both"])
@pytest.mark.parametrize("how", [{"status": "UNAVAILABLE"}, {"neverAnswer": True}], ids=["refuses", "silent"])
async def test_an_outage_longer_than_every_timeout_loses_nothing_and_runs_nothing_twice(
    stage: ProcessorStage, methods: Sequence[str], how: dict[str, Any]
) -> None:
    runs: list[str] = []

    async def handle(task: Task) -> str:
        runs.append(task.id)
        return task.data

    settings: dict[str, Any] = {"NOTIFY_SECONDS": "1", "CONCURRENCY": "2", "MAX_ATTEMPTS": "1"}
    async with (
        stage.notifications("user") as notifications,
        open_momento_sdk(stage.servers.momento, stage.servers.key) as sdk,
        processor_in_process(stage, handle, **settings),
    ):
        with stage.servers.momento.changed(faults=out(methods, **how)):
            ids = [await stage.send("user") for _ in range(6)]
            await wait_until(is_paused, timeout_seconds=40)
            await asyncio.sleep(4)  # several times NOTIFY_SECONDS, and longer than a lease
            if "Publish" not in methods:
                await notifications.wait(2)  # at once, though the history cannot be written
        await wait_until(lambda: {one for one, _ in notifications.statuses()} == set(ids), timeout_seconds=30)
        await stage.until_empty(30)
        assert await history(sdk, stage, "user") == Counter((one, "finished") for one in ids)
        repeated = await stage.send("user", task_id=ids[0], idempotent=True)
        await stage.until_empty()
    assert repeated == ids[0]
    assert sorted(runs) == sorted(ids)
    assert await stage.depth(stage.dead_letter_queue_url) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_consecutive_outages_under_load_lose_nothing(stage: ProcessorStage, tmp_path: Path) -> None:
    runs_file = tmp_path / "runs"
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(sqs_fault_proxy(stage.servers.aws.endpoint_url))
        sdk = await stack.enter_async_context(open_momento_sdk(stage.servers.momento, stage.servers.key))
        notifications = [await stack.enter_async_context(stage.notifications(user(number))) for number in range(USERS)]
        url = await stack.enter_async_context(ingest(stage, proxy, tmp_path))
        settings = {**SETTINGS, "AWS_ENDPOINT_URL": proxy.url, "RUNS_FILE": str(runs_file)}
        for _ in range(2):
            await stack.enter_async_context(processor_process(stage, tmp_path, **settings))
        async with posting(url) as accepted:
            await momento_outage(stage, CACHE)
            await momento_outage(stage, TOPICS)
            await momento_outage(stage, (*CACHE, *TOPICS))
            await momento_outage(stage, (*CACHE, *TOPICS), neverAnswer=True)
            await queue_outage(proxy)
        await wait_until(lambda: accepted <= notified_ids(notifications), timeout_seconds=60)
        await stage.until_empty(60)
        stored = [await history(sdk, stage, user(number)) for number in range(USERS)]
        letters = await stage.depth(stage.dead_letter_queue_url)
    assert len(accepted) > 100
    assert accepted <= notified_ids(notifications)
    entries = sum(stored, Counter[tuple[str, str]]())
    assert {(task_id, "finished") for task_id in accepted} <= set(entries)
    assert set(entries.values()) == {1}
    assert {status for _, status in entries} == {"finished"}
    assert letters == (0, 0)
    assert_seldom_run_twice(Runs.read(runs_file), accepted)


def assert_seldom_run_twice(runs: Runs, accepted: set[str]) -> None:
    """Tasks run twice only if redelivered to the other process while the cache was unavailable."""
    count = Counter(task_id for _, task_id in runs.lines)
    again_in_one_process = Counter(runs.lines) - Counter(set(runs.lines))
    assert again_in_one_process.total() <= len(accepted) / 20, again_in_one_process
    assert max(count.values()) <= 3


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[set[str]]:
    """Post tasks during the block, each until it is accepted; yields the ids of accepted tasks."""
    accepted: set[str] = set()
    ended = asyncio.Event()

    async def post(session: aiohttp.ClientSession, number: int) -> None:
        # A key, since responses are lost while the queue does not answer.
        headers = {"Authorization": f"Bearer {tokens[number % USERS]}", "Idempotency-Key": f"key-{number}"}
        while True:
            async with session.post("/task", json={"data": f"task {number}"}, headers=headers) as answer:
                if answer.status == 202:
                    accepted.add((await answer.json())["taskId"])
                    return
                assert answer.status == 503, await answer.text()
            await asyncio.sleep(0.5)

    tokens = [id_token(user(number), now=time.time()) for number in range(USERS)]
    async with aiohttp.ClientSession(url) as session, asyncio.TaskGroup() as posts:
        feeding = posts.create_task(feed(posts, session, post, ended))
        try:
            yield accepted
        finally:
            ended.set()
            await feeding


async def feed(posts: asyncio.TaskGroup, session: aiohttp.ClientSession, post: Any, ended: asyncio.Event) -> None:
    number = 0
    while not ended.is_set():
        posts.create_task(post(session, number))
        number += 1
        await asyncio.sleep(1 / POSTS_EACH_SECOND)


async def momento_outage(stage: ProcessorStage, methods: Sequence[str], **how: Any) -> None:
    """An outage, and two seconds after it."""
    with stage.servers.momento.changed(faults=out(methods, **how)):
        await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.sleep(2)


async def queue_outage(proxy: SqsFaultProxy) -> None:
    proxy.faults.append(SqsFault(never_answer=True))
    await asyncio.sleep(OUTAGE_SECONDS)
    proxy.faults.clear()


def notified_ids(notifications: Sequence[Notifications]) -> set[str]:
    return {one["taskId"] for each in notifications for one in each.received}
