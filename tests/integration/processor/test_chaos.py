"""2,000 tasks through real ingest and processors during random faults of all dependencies and a killed processor."""

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.identity import AUDIENCE, ISSUER, jwks_server
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.service import ServiceProcess, processor_process, service_process
from tests.support.processor.chaos import Killed, Runs, Tally, momento_faults, sqs_faults
from tests.support.processor.stage import Notifications, ProcessorStage
from tests.support.served_service import id_token
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy
from tests.support.waiting import wait_until

TASKS = int(os.environ.get("CHAOS_TASKS", "2000"))
USERS = 20
POSTS_AT_ONCE = 60
SLOTS = 60
SETTINGS: dict[str, Any] = {
    "TASK_HANDLER": "tests.support.processor.handlers:note",
    "CONCURRENCY": str(SLOTS),
    "VISIBILITY_TIMEOUT_SECONDS": "5",
    "MAX_ATTEMPTS": "10",
    "LOG_LEVEL": "WARNING",
}
RETRIES = (
    'outcome="error"',
    "redelivered_total",
    "duplicate_deliveries_total",
    "republished_total",
    "requeued_total",
    "leases_lost_total",
    "unavailable_total",
    "acknowledge_errors_total",
)
"""Metrics of retries, by a part of the name."""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_under_faults_everywhere_no_task_is_lost_and_none_is_notified_twice(
    stage: ProcessorStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, started, runs_file = Tally(), time.monotonic(), tmp_path / "runs"
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(sqs_fault_proxy(stage.servers.aws.endpoint_url))
        notifications = [await stack.enter_async_context(stage.notifications(user(number))) for number in range(USERS)]
        ingest_url = await stack.enter_async_context(ingest(stage, proxy, tmp_path))
        settings = {**SETTINGS, "AWS_ENDPOINT_URL": proxy.url, "RUNS_FILE": str(runs_file)}
        processors = await asyncio.gather(
            *(stack.enter_async_context(processor_process(stage, tmp_path, **settings)) for _ in range(2))
        )
        stack.enter_context(stage.servers.momento.changed(faults=momento_faults()))
        proxy.faults.extend(faults := sqs_faults())
        sdk = await stack.enter_async_context(open_momento_sdk(stage.servers.momento, stage.servers.key))
        _, killed = await asyncio.gather(
            post_all(ingest_url, tally), kill_one(processors[0], notifications, lambda: stored_ids(sdk, stage))
        )
        await wait_until(lambda: all_received(tally, notifications), timeout_seconds=60)
        await stage.until_empty(seconds=30)
        hits = stage.servers.momento.admin("GET", "settings")["faults"]
        retried = killed.retried + await retries(processors)
        statuses = await stopped(processors)
        letters = await stage.depth(stage.dead_letter_queue_url)
    for one in notifications:
        tally.add(one.received)
    runs = Runs.read(runs_file)
    allowed = allowed_duplicates(proxy, hits, retried, runs)
    with capsys.disabled():
        of_sqs = hits_by_name((one.action, one.hits) for one in faults)
        of_momento = hits_by_name((one["method"], one["hits"]) for one in hits)
        report(tally, time.monotonic() - started, retried, [of_sqs, of_momento], allowed)
    assert len(tally.accepted) == TASKS
    assert tally.lost == set()
    assert tally.notified_twice == []
    assert_run_once(runs, proxy, retried, killed)
    assert tally.duplicates <= allowed.total(), allowed
    assert {status for _, status in tally.received} == {"finished"}
    assert letters == (0, 0)
    assert set(statuses) <= {0, 3}


def user(number: int) -> str:
    return f"user-{number}"


@asynccontextmanager
async def ingest(stage: ProcessorStage, proxy: SqsFaultProxy, folder: Path) -> AsyncIterator[str]:
    """The real ingest as a process, and an identity provider for it; yields its URL."""
    async with jwks_server() as jwks:
        settings = {
            **stage.environment(),
            "AWS_ENDPOINT_URL": proxy.url,
            "OIDC_ISSUER": ISSUER,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_JWKS_URL": jwks.url,
            "TASKS_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
        }
        async with service_process("services.ingest", settings, folder) as process:
            yield process.url


async def post_all(url: str, tally: Tally) -> None:
    """Post every task until it is accepted; every fifth with an Idempotency-Key."""
    numbers = iter(range(TASKS))
    tokens = [id_token(user(number), now=time.time()) for number in range(USERS)]
    async with aiohttp.ClientSession(url) as session:

        async def client() -> None:
            for number in numbers:
                headers = {"Authorization": f"Bearer {tokens[number % USERS]}"}
                if number % 5 == 0:
                    headers["Idempotency-Key"] = secrets.token_hex(8)
                await post(session, headers, number, tally)

        async with asyncio.TaskGroup() as clients:
            for _ in range(POSTS_AT_ONCE):
                clients.create_task(client())


async def post(session: aiohttp.ClientSession, headers: dict[str, str], number: int, tally: Tally) -> None:
    while True:
        tally.posts += 1
        async with session.post("/task", json={"data": f"task {number}"}, headers=headers) as answer:
            if answer.status == 202:
                tally.accepted.add((await answer.json())["taskId"])
                return
            assert answer.status == 503, await answer.text()


async def kill_one(
    process: ServiceProcess, notifications: Sequence[Notifications], stored: Callable[[], Awaitable[set[str]]]
) -> Killed:
    """Kill one processor while it works and start another."""
    await wait_until(lambda: sum(len(one.texts) for one in notifications) > TASKS / 4, timeout_seconds=60)
    pid, retried = process.pid, await retries([process])
    process.signal(signal.SIGKILL)
    await asyncio.to_thread(process.ended)
    received = set(received_ids(notifications))
    killed = Killed(pid, retried, received, received - await stored())
    process.start()
    return killed


async def stored_ids(sdk: MomentoSdk, stage: ProcessorStage) -> set[str]:
    """Tasks that are in their users' histories."""
    histories = [
        await sdk.caches.dictionary_fetch(stage.cache_name, f"history:{user(number)}") for number in range(USERS)
    ]
    return {task_id for history in histories for task_id in getattr(history, "value_dictionary_string_string", {})}


def assert_run_once(runs: Runs, proxy: SqsFaultProxy, retried: Counter[str], killed: Killed) -> None:
    """Each message runs once, except those that the kill interrupted and those whose result could not be stored."""
    interrupted = {task_id for task_id in runs.interrupted(killed) if proxy.sent[task_id] == 1}
    assert len(interrupted - killed.received) <= SLOTS  # the others had no slot: their users are notified
    not_stored = sum(count for name, count in retried.items() if name.startswith("history_unavailable_total"))
    assert len(interrupted & killed.received - killed.unstored) <= not_stored
    again = {task_id: count for task_id, count in runs.beyond(proxy.sent).items() if task_id not in interrupted}
    assert sum(again.values()) <= retried["leases_lost_total"] + retried["acknowledge_errors_total"], again


def allowed_duplicates(
    proxy: SqsFaultProxy, hits: Sequence[dict[str, Any]], retried: Counter[str], runs: Runs
) -> Counter[str]:
    """The maximum number of duplicates on the topics, by cause."""
    published = sum(one["hits"] for one in hits if one["method"] == "Publish" and one.get("afterEffect"))
    return Counter(
        {
            "messages sent twice since the answer was lost": (proxy.sent - Counter(set(proxy.sent))).total(),
            "published, and the answer was lost": published,
            "published again after a late store": retried["notifications_republished_total"],
            "published again, not run": retried["duplicate_deliveries_total"],
            "run again": runs.beyond(proxy.sent).total(),
            "held by the process that was killed": SLOTS,
        }
    )


def all_received(tally: Tally, notifications: Sequence[Notifications]) -> bool:
    if sum(len(one.texts) for one in notifications) < TASKS:
        return False
    return tally.accepted <= set(received_ids(notifications))


def received_ids(notifications: Sequence[Notifications]) -> Iterator[str]:
    return (json.loads(text)["taskId"] for one in notifications for text in one.texts)


async def stopped(processors: Sequence[ServiceProcess]) -> list[int]:
    for process in processors:
        await process.ready()
        process.signal()
    return [await asyncio.to_thread(process.ended, 40) for process in processors]


async def retries(processors: Sequence[ServiceProcess]) -> Counter[str]:
    retried: Counter[str] = Counter()
    for process in processors:
        for name, value in (await process.metrics()).items():
            if value and any(word in name for word in RETRIES) and "_created" not in name:
                retried[name.removeprefix("notification_api_")] += int(value)
    return retried


def hits_by_name(hits: Iterable[tuple[str, int]]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for name, count in hits:
        counted[name] += count
    return dict(counted)


def report(
    tally: Tally,
    seconds: float,
    retried: Counter[str],
    faults: Sequence[dict[str, int]],
    allowed: Counter[str],
) -> None:
    lines = [
        f"\n{len(tally.accepted)} tasks accepted with {tally.posts} POSTs and notified in {seconds:.0f} s",
        f"  lost: {len(tally.lost)}, notified twice: {len(tally.notified_twice)}",
        f"  duplicates that clients drop: {tally.duplicates}, allowed {allowed.total()}:",
        *(f"    {count} {why}" for why, count in allowed.items()),
        f"  notified although their POST was answered with an error: {tally.notified_without_acceptance}",
        *(f"  faults: {one}" for one in faults),
        "  retried by the processors:",
        *(f"    {count} {name}" for name, count in sorted(retried.items())),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
