"""1,500 tasks through the real services during random faults of all dependencies, a killed and a drained processor.

Some are cancelled, delayed, expire or are of a type with a limit (tests/support/processor/chaos_tasks.py).
"""

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.identity import AUDIENCE, ISSUER, jwks_server
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.processes.service import ServiceProcess, processor_process, service_process
from tests.support.processor.chaos import Killed, Runs, Tally, momento_faults, sqs_faults
from tests.support.processor.chaos_tasks import PLAIN, Cancels, Kind, kind_of, statuses_of
from tests.support.processor.stage import Notifications, ProcessorStage
from tests.support.served_service import id_token
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy
from tests.support.waiting import wait_until

TASKS = int(os.environ.get("CHAOS_TASKS", "1500"))
USERS = 20
POSTS_AT_ONCE = 60
SLOTS = 60
SETTINGS: dict[str, Any] = {
    "TASK_HANDLER": "tests.support.processor.chaos_handlers:handlers",
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


@dataclass
class Load:
    """What was submitted, and what was answered."""

    ingest_url: str
    cancels: Cancels
    tally: Tally = field(default_factory=Tally)
    kinds: dict[str, Kind] = field(default_factory=dict)
    """The kind of each accepted task."""
    users: dict[str, int] = field(default_factory=dict)
    """The number of the user of each accepted task."""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_under_faults_everywhere_no_task_is_lost_and_each_has_one_final_status(
    stage: ProcessorStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started, runs_file = time.monotonic(), tmp_path / "runs"
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(sqs_fault_proxy(stage.servers.aws.endpoint_url))
        notifications = [await stack.enter_async_context(stage.notifications(user(number))) for number in range(USERS)]
        ingest_url = await stack.enter_async_context(ingest(stage, proxy, tmp_path))
        load = Load(ingest_url, Cancels(await stack.enter_async_context(token_service(stage, proxy, tmp_path))))
        settings = {**SETTINGS, "AWS_ENDPOINT_URL": proxy.url, "RUNS_FILE": str(runs_file)}
        processors = await asyncio.gather(
            *(stack.enter_async_context(processor_process(stage, tmp_path, **settings)) for _ in range(2))
        )
        sdk = await stack.enter_async_context(open_momento_sdk(stage.servers.momento, stage.servers.key))
        with stage.servers.momento.changed(faults=momento_faults()):
            proxy.faults.extend(faults := sqs_faults())
            _, killed, drained = await asyncio.gather(
                post_all(load),
                kill_one(processors[0], notifications, lambda: stored_ids(sdk, stage)),
                drain_one(processors[1], notifications),
            )
            await wait_until(lambda: all_received(load.tally, notifications), timeout_seconds=60)
            await stage.until_empty(seconds=30)
            hits = stage.servers.momento.admin("GET", "settings")["faults"]
        retried = killed.retried + drained.retried + await retries(processors)
        outstanding = await outstanding_cancels(stage, load)
        read = await read_statuses(load)
        statuses = [drained.exit_status, *await stopped(processors)]
        letters = await stage.depth(stage.dead_letter_queue_url)
    tally = load.tally
    for one in notifications:
        tally.add(one.received)
    runs = Runs.read(runs_file)
    allowed = allowed_duplicates(proxy, hits, retried, runs)
    with capsys.disabled():
        of_sqs = hits_by_name((one.action, one.hits) for one in faults)
        of_momento = hits_by_name((one["method"], one["hits"]) for one in hits)
        report(load, time.monotonic() - started, retried, [of_sqs, of_momento], allowed)
    assert len(tally.accepted) == TASKS
    assert tally.lost == set()
    assert tally.notified_twice == []
    assert_run_once(runs, proxy, retried, killed)
    assert tally.duplicates <= allowed.total(), allowed
    assert_ends(load, read)
    # Left for an hour: those of a killed replica, and of messages whose lease was over when they were deleted.
    assert len(outstanding) < len(load.cancels.accepted) / 2, outstanding
    assert letters == (0, 0)
    assert set(statuses) <= {0, 3}


def assert_ends(load: Load, read: dict[str, str]) -> None:
    """Each task ends as its kind may, and the services say the same of it as the notification."""
    published = {task_id: status for task_id, status in load.tally.received if task_id in load.kinds}
    assert read == {task_id: published[task_id] for task_id in read}
    wrong = {
        task_id: (load.kinds[task_id].name, status)
        for task_id, status in published.items()
        if status not in load.kinds[task_id].ends
    }
    assert wrong == {}
    assert {status for _, status in load.tally.received} <= {"finished", "cancelled", "expired"}
    cancels = load.cancels
    assert cancels.accepted | cancels.too_late == {one for one, kind in load.kinds.items() if kind.is_cancelled}
    long = {task_id for task_id, kind in load.kinds.items() if kind.name == "long"}
    assert Counter(published[task_id] for task_id in long)["cancelled"] > len(long) / 10  # not all reach it in time


async def outstanding_cancels(stage: ProcessorStage, load: Load) -> dict[str, str]:
    """Wait until there are no cancel requests; returns what is left of them, and how each was answered."""
    with suppress(AssertionError):
        await wait_until(lambda: no_cancel_requests(stage), timeout_seconds=40)
    left = [field.partition(" ")[2] for field in await stage.cancel_requests()]
    return {
        task_id: f"{load.kinds[task_id].name}, {202 if task_id in load.cancels.accepted else 409}" for task_id in left
    }


async def no_cancel_requests(stage: ProcessorStage) -> bool:
    return not await stage.cancel_requests()


async def read_statuses(load: Load) -> dict[str, str]:
    """What `GET /task/{taskId}` says of the tasks that are not plain, and of some that are."""
    found: dict[str, str] = {}
    for number in range(USERS):
        headers = {"Authorization": f"Bearer {id_token(user(number), now=time.time())}"}
        own = [task_id for task_id, owner in load.users.items() if owner == number]
        plain = [task_id for task_id in own if load.kinds[task_id] is PLAIN]
        found |= await statuses_of(load.cancels.url, headers, {*own, *plain[:10]} - {*plain[10:]})
    return found


def user(number: int) -> str:
    return f"user-{number}"


@asynccontextmanager
async def http_service(
    module: str, stage: ProcessorStage, proxy: SqsFaultProxy, folder: Path, **changes: str
) -> AsyncIterator[str]:
    """The real ingest or token service as a process, and an identity provider for it; yields its URL."""
    async with jwks_server() as jwks:
        settings = {
            **stage.environment(),
            "AWS_ENDPOINT_URL": proxy.url,
            "OIDC_ISSUER": ISSUER,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_JWKS_URL": jwks.url,
            "LOG_LEVEL": "WARNING",
            **changes,
        }
        async with service_process(module, settings, folder) as process:
            yield process.url


def ingest(stage: ProcessorStage, proxy: SqsFaultProxy, folder: Path) -> AbstractAsyncContextManager[str]:
    return http_service("services.ingest", stage, proxy, folder, TASKS_PER_MINUTE="0")


def token_service(stage: ProcessorStage, proxy: SqsFaultProxy, folder: Path) -> AbstractAsyncContextManager[str]:
    return http_service("services.token", stage, proxy, folder, TASK_OPERATIONS_PER_SECOND="1000")


async def post_all(load: Load) -> None:
    """Post every task until it is accepted, every fifth with an Idempotency-Key; then cancel those that are to be."""
    numbers = iter(range(TASKS))
    tokens = [id_token(user(number), now=time.time()) for number in range(USERS)]
    async with aiohttp.ClientSession() as session:

        async def client() -> None:
            for number in numbers:
                headers = {"Authorization": f"Bearer {tokens[number % USERS]}"}
                if number % 5 == 0:
                    headers["Idempotency-Key"] = secrets.token_hex(8)
                await post(session, headers, number, load)

        async with asyncio.TaskGroup() as clients:
            for _ in range(POSTS_AT_ONCE):
                clients.create_task(client())


async def post(session: aiohttp.ClientSession, headers: dict[str, str], number: int, load: Load) -> None:
    kind, tally = kind_of(number), load.tally
    body = {"data": f"task {number}", **kind.fields}
    while True:
        tally.posts += 1
        async with session.post(f"{load.ingest_url}/task", json=body, headers=headers) as answer:
            if answer.status == 202:
                task_id = (await answer.json())["taskId"]
                break
            assert answer.status == 503, await answer.text()
    tally.accepted.add(task_id)
    load.kinds[task_id], load.users[task_id] = kind, number % USERS
    if kind.is_cancelled:
        await load.cancels.cancel(session, headers, task_id)


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


@dataclass(frozen=True)
class Drained:
    """A process that was drained, and its retries until then."""

    exit_status: int
    retried: Counter[str]


async def drain_one(process: ServiceProcess, notifications: Sequence[Notifications]) -> Drained:
    """Drain one processor while it works and start another."""
    await wait_until(lambda: sum(len(one.texts) for one in notifications) > TASKS / 2, timeout_seconds=60)
    retried = await retries([process])
    process.signal()
    status = await asyncio.to_thread(process.ended, 40)
    process.start()
    return Drained(status, retried)


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
            "held by the processes that were killed and drained": 2 * SLOTS,
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
    load: Load,
    seconds: float,
    retried: Counter[str],
    faults: Sequence[dict[str, int]],
    allowed: Counter[str],
) -> None:
    tally, ends = (
        load.tally,
        Counter((load.kinds[task_id].name, status) for task_id, status in load.tally.received if task_id in load.kinds),
    )
    lines = [
        f"\n{len(tally.accepted)} tasks accepted with {tally.posts} POSTs and notified in {seconds:.0f} s",
        f"  lost: {len(tally.lost)}, notified twice: {len(tally.notified_twice)}",
        f"  duplicates that clients drop: {tally.duplicates}, allowed {allowed.total()}:",
        *(f"    {count} {why}" for why, count in allowed.items()),
        f"  notified although their POST was answered with an error: {tally.notified_without_acceptance}",
        f"  ends: {', '.join(f'{count} {name} {status}' for (name, status), count in sorted(ends.items()))}",
        f"  answers to cancel requests: {dict(load.cancels.answers)}",
        *(f"  faults: {one}" for one in faults),
        "  retried by the processors:",
        *(f"    {count} {name}" for name, count in sorted(retried.items())),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
