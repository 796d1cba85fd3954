"""The traffic with the queue: slots, polls, leases and acknowledgements. A proxy counts the calls, and makes some fail.

What users of other consumers complain of is here, named for what it does (shared notes on SQS have the threads).
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from aiobotocore.session import AioSession

from notification_api import Task, TransientError
from services.processor import pool, processor
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.sqs_fault_proxy import SqsFaultProxy, sqs_fault_proxy, throttled
from tests.support.waiting import wait_until


@pytest.fixture
async def proxy(stage: ProcessorStage) -> AsyncIterator[SqsFaultProxy]:
    async with sqs_fault_proxy(stage.servers.aws.endpoint_url) as running:
        yield running


class Gate:
    """A handler whose tasks wait until the test releases them."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[str] = []
        self.together = Counter[str]()
        self.most: Counter[str] = Counter()
        self.cancelled = 0

    async def __call__(self, task: Task) -> str:
        self.begun.append(task.id)
        self.together[task.user_id] += 1
        self.most = Counter({user: max(self.most[user], now) for user, now in self.together.items()})
        try:
            if task.data != "quick":
                await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.together[task.user_id] -= 1
        return task.data


async def test_a_queue_that_permits_fewer_receives_than_attempts_gives_a_warning(
    stage: ProcessorStage, caplog: pytest.LogCaptureFixture
) -> None:
    dead_letters = await stage.sqs.get_queue_attributes(QueueUrl=stage.dead_letter_queue_url, AttributeNames=["All"])
    policy = {"deadLetterTargetArn": dead_letters["Attributes"]["QueueArn"], "maxReceiveCount": 5}
    await stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes={"RedrivePolicy": json.dumps(policy)})
    for max_attempts, warnings in (("4", 0), ("5", 1)):
        caplog.clear()
        async with processor_in_process(stage, Gate(), MAX_ATTEMPTS=max_attempts):
            assert sum("maxReceiveCount" in record.getMessage() for record in caplog.records) == warnings


async def test_a_slow_task_delays_no_other(stage: ProcessorStage) -> None:
    """bbc/sqs-consumer#96 #229 #271, awspring/spring-cloud-aws#23: it stalls its batch of ten there."""
    gate = Gate()
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, gate, CONCURRENCY="2", USER_SHARE="1"),
    ):
        slow = await stage.send("user", "slow")
        quick = [await stage.send("user", "quick") for _ in range(12)]
        await notifications.wait(12)
        assert sorted(one for one, _ in notifications.statuses()) == sorted(quick)
        gate.open.set()
        await notifications.wait(13)
    assert notifications.statuses()[-1] == (slow, "finished")


async def test_more_tasks_than_a_batch_of_ten_run_concurrently(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    """bbc/sqs-consumer#229: concurrency above ten. Hundreds of slots fill, with more pollers than one."""
    gate = Gate()
    settings: dict[str, Any] = {"CONCURRENCY": "300", "USER_SHARE": "1", "AWS_ENDPOINT_URL": proxy.url}
    async with stage.notifications("user") as notifications:
        await asyncio.gather(*(stage.send("user") for _ in range(300)))
        async with processor_in_process(stage, gate, **settings):
            await wait_until(lambda: len(gate.begun) == 300, timeout_seconds=20)
            gate.open.set()
            await notifications.wait(300, seconds=20)
            await stage.until_empty()
    assert sorted(proxy.batch_sizes["DeleteMessageBatch"])[-1] == 10
    assert proxy.calls["DeleteMessageBatch"] <= 60
    assert len(notifications.received) == 300


async def test_no_more_messages_are_received_than_there_are_slots(stage: ProcessorStage) -> None:
    """Bogdanp/dramatiq_sqs#53: there, prefetched messages expire before they start, and run twice."""
    gate = Gate()
    for number in range(30):
        await stage.send(f"user-{number % 6}")
    async with processor_in_process(stage, gate, CONCURRENCY="12"):
        await wait_until(lambda: len(gate.begun) == 12)
        await asyncio.sleep(0.3)  # long enough for a poll that must not be made
        assert await stage.depth() == (18, 12)
        gate.open.set()
        await stage.until_empty()


async def test_an_idle_processor_has_one_poll_open(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    settings: dict[str, Any] = {"CONCURRENCY": "300", "AWS_ENDPOINT_URL": proxy.url}
    async with stage.notifications("user") as notifications, processor_in_process(stage, Gate(), **settings):
        for _ in range(40):
            await stage.send("user", "quick")
        await notifications.wait(40)
        await stage.until_empty()
        await wait_until(lambda: proxy.calls["ReceiveMessage"] > 0)
        before = proxy.calls["ReceiveMessage"]
        await asyncio.sleep(2.2)
        assert proxy.calls["ReceiveMessage"] - before <= 4


async def test_a_flood_of_one_user_leaves_slots_for_others(stage: ProcessorStage) -> None:
    """No task ends during the test: the other users get slots that were reserved from the flood, which was first."""
    gate = Gate()
    for _ in range(19):
        await stage.send("flood")
    for number in range(6):
        await stage.send(f"quiet-{number}")
    async with processor_in_process(stage, gate, CONCURRENCY="16", USER_SHARE="0.5"):
        await wait_until(lambda: len(gate.together) == 7)
        assert gate.most["flood"] == 8
        gate.open.set()
        await stage.until_empty()
    assert len(gate.begun) == 25


def _have_begun(begun: list[str], count: int) -> bool:
    return len(begun) == count


async def test_a_new_user_overtakes_the_waiting_messages_of_a_flood(stage: ProcessorStage) -> None:
    """It takes every slot. The queue decides the order of delivery, here the order of sending."""
    begun: list[str] = []
    ends = asyncio.Semaphore(0)

    async def handle(task: Task) -> str:
        begun.append(task.user_id)
        await ends.acquire()
        return task.data

    for _ in range(60):
        await stage.send("flood")
    async with processor_in_process(stage, handle, CONCURRENCY="16", USER_SHARE="0.5"):
        await wait_until(lambda: len(begun) == 16)
        await stage.send("quiet")  # behind about 28 of the flood: the slots are taken, and as many messages wait
        for count in range(17, 62):
            ends.release()
            await wait_until(partial(_have_begun, begun, count))
        for _ in range(16):
            ends.release()
        await stage.until_empty()
    assert begun.index("quiet") < 50


async def test_a_single_user_gets_every_slot(stage: ProcessorStage) -> None:
    gate = Gate()
    for _ in range(12):
        await stage.send("flood")
    async with processor_in_process(stage, gate, CONCURRENCY="12", USER_SHARE="0.25"):
        await wait_until(lambda: gate.together["flood"] == 12)
        gate.open.set()
        await stage.until_empty()


async def test_a_task_longer_than_the_visibility_timeout_runs_once(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    """celery/celery#5935: duplicates after the visibility timeout. Two calls a round extend twelve leases."""
    gate = Gate()
    async with stage.notifications("user") as notifications:
        for _ in range(12):
            await stage.send("user")
        async with processor_in_process(stage, gate, USER_SHARE="1", AWS_ENDPOINT_URL=proxy.url):
            await wait_until(lambda: len(gate.begun) == 12)
            await asyncio.sleep(3.5)
            assert await stage.depth() == (0, 12)
            gate.open.set()
            await notifications.wait(12)
            await stage.until_empty()
    assert len(gate.begun) == 12
    assert proxy.calls["ChangeMessageVisibilityBatch"] < 24
    assert max(proxy.batch_sizes["ChangeMessageVisibilityBatch"]) > 1


async def test_no_heartbeat_follows_the_deletion_or_requeue_of_its_message(
    stage: ProcessorStage, proxy: SqsFaultProxy
) -> None:
    """novuhq/novu#12437: a heartbeat fires after the delete, and fails, there.

    In what order the two go is tested in receiver/test_acknowledger.py.
    """
    refused = Counted("leases_lost_total")

    async def fails_at_first(task: Task) -> str:
        if task.attempt == 1:
            raise TransientError("not yet")
        return task.data

    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, fails_at_first, AWS_ENDPOINT_URL=proxy.url),
    ):
        for _ in range(5):
            await stage.send("user", "quick")
        await notifications.wait(5)
        await stage.until_empty()
        assert proxy.calls["ChangeMessageVisibilityBatch"] > 0
        proxy.forget()
        await asyncio.sleep(1.2)  # until after the next heartbeat would be due
    assert proxy.calls["ChangeMessageVisibilityBatch"] == 0
    assert refused() == 0


async def test_a_lost_lease_cancels_its_task_which_is_neither_deleted_nor_published(
    stage: ProcessorStage, proxy: SqsFaultProxy
) -> None:
    """justeattakeaway/JustSaying#1584: deleting with a stale receipt "succeeds" there."""
    gate, lost = Gate(), Counted("leases_lost_total")
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, gate, AWS_ENDPOINT_URL=proxy.url),
    ):
        expired = proxy.fault(
            action="ChangeMessageVisibilityBatch",
            fails=lambda _: True,
            code="ReceiptHandleIsInvalid",
            sender_fault=True,
            calls=1,
        )
        task_id = await stage.send("user")
        await wait_until(lambda: gate.cancelled == 1)
        assert (lost(), expired.hits, notifications.received) == (1, 1, [])
        assert proxy.calls["DeleteMessageBatch"] == 0
        assert await stage.depth() == (0, 1)  # it is redelivered after its visibility timeout, and processed then
        gate.open.set()
        await notifications.wait(1)
        await stage.until_empty()
    assert gate.begun == [task_id, task_id]
    assert notifications.statuses() == [(task_id, "finished")]


async def test_when_heartbeats_hang_the_lease_is_lost_before_the_message_is_redelivered(
    stage: ProcessorStage, proxy: SqsFaultProxy
) -> None:
    gate = Gate()
    async with processor_in_process(stage, gate, AWS_ENDPOINT_URL=proxy.url):
        proxy.fault(action="ChangeMessageVisibilityBatch", never_answer=True)
        await stage.send("user")
        await wait_until(lambda: len(gate.begun) == 1)
        await wait_until(lambda: gate.cancelled == 1, timeout_seconds=3.3)


async def test_only_the_entries_that_failed_are_deleted_again(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    """The response to a batch is read: only entries that it reports as failed are sent again."""
    spoilt: list[str] = []

    def first_three(entry: dict[str, str]) -> bool:
        if len(spoilt) < 3:
            spoilt.append(entry["ReceiptHandle"])
            return True
        return False

    async with stage.notifications("user") as notifications:
        for _ in range(10):
            await stage.send("user", "quick")
        async with processor_in_process(stage, Gate(), AWS_ENDPOINT_URL=proxy.url):
            proxy.fault(action="DeleteMessageBatch", fails=first_three, calls=1)
            await notifications.wait(10)
            await stage.until_empty()
    assert sum(proxy.batch_sizes["DeleteMessageBatch"]) == 10 + len(spoilt)
    assert len(notifications.received) == 10


async def test_waiting_acknowledgements_are_sent_at_the_stop(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    """awspring/spring-cloud-aws#925 #1661: buffered acknowledgements are lost at the stop there."""
    async with stage.notifications("user") as notifications:
        for _ in range(7):
            await stage.send("user", "quick")
        proxy.fault(action="DeleteMessageBatch", status=500, calls=3)
        async with processor_in_process(stage, Gate(), force_stop=False, AWS_ENDPOINT_URL=proxy.url):
            await notifications.wait(7)
        assert await stage.depth() == (0, 0)


async def test_acknowledgements_in_progress_at_the_end_of_the_drain_are_awaited(
    stage: ProcessorStage, proxy: SqsFaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last flush does not depend on a caller that waits for it."""
    monkeypatch.setattr(pool, "DRAIN_REQUEUE_SECONDS", 0.05)
    monkeypatch.setattr(processor, "LAST_POLL_SECONDS", 0.05)
    monkeypatch.setattr(processor, "FLUSH_SECONDS", 10.0)
    async with stage.notifications("user") as notifications:
        for _ in range(7):
            await stage.send("user", "quick")
        late = proxy.fault(action="DeleteMessageBatch", delay_seconds=1.0, status=500, calls=3)
        async with processor_in_process(stage, Gate(), AWS_ENDPOINT_URL=proxy.url):
            await notifications.wait(7)
            await wait_until(lambda: late.hits > 0)
        assert await stage.depth() == (0, 0)


async def test_an_unavailable_queue_causes_no_busy_loop_and_work_continues_afterwards(
    stage: ProcessorStage, proxy: SqsFaultProxy
) -> None:
    async with (
        stage.notifications("user") as notifications,
        processor_in_process(stage, Gate(), AWS_ENDPOINT_URL=proxy.url) as lifecycle,
    ):
        proxy.faults.append(throttled("ReceiveMessage"))
        await wait_until(lambda: "queue" in lifecycle.readiness_problems())
        assert "RequestThrottled" in lifecycle.readiness_problems()["queue"]
        proxy.forget()
        await asyncio.sleep(1)
        assert proxy.calls["ReceiveMessage"] < 20
        proxy.heal()
        await stage.send("user", "quick")
        await notifications.wait(1)
        assert lifecycle.readiness_problems() == {}


async def test_progress_is_published_as_far_as_the_quota_permits(stage: ProcessorStage) -> None:
    answers: list[bool] = []

    async def chatty(task: Task) -> str:
        answers.extend([await task.progress(f"{number}") for number in range(50)])
        return task.data

    dropped = Counted("progress_dropped_total")
    async with stage.notifications("user") as notifications, processor_in_process(stage, chatty):
        task_id = await stage.send("user")
        await stage.until_empty()
        await notifications.wait(2)
    assert notifications.statuses() == [(task_id, "progress"), (task_id, "finished")]
    assert answers == [True] + [False] * 49
    assert dropped() == 49


async def test_the_drain_in_this_process_waits_for_its_poll(stage: ProcessorStage, proxy: SqsFaultProxy) -> None:
    """A long poll abandoned at shutdown strands messages (ruby-shoryuken/shoryuken#677 #749, celery/kombu#2049)."""
    settings: dict[str, Any] = {"VISIBILITY_TIMEOUT_SECONDS": "600", "AWS_ENDPOINT_URL": proxy.url}
    async with processor_in_process(stage, Gate(), force_stop=False, **settings) as lifecycle:
        await wait_until(lambda: proxy.calls["ReceiveMessage"] > 0)
        lifecycle.stopping.set()
        await stage.send("user")
    assert await stage.depth() in {(1, 0), (0, 0)}


async def test_under_load_a_message_costs_at_most_a_third_of_a_call(
    stage: ProcessorStage, proxy: SqsFaultProxy
) -> None:
    """boto/boto3#2928, aio-libs/aiobotocore#970 #1132: each call of the SDK costs a millisecond of CPU."""
    tasks = 400
    await asyncio.gather(*(stage.send(f"user-{number % 20}") for number in range(tasks)))
    finished = Counted("tasks_processed_total", outcome="finished")
    async with processor_in_process(stage, echo, CONCURRENCY="100", AWS_ENDPOINT_URL=proxy.url):
        await wait_until(lambda: finished() == tasks, timeout_seconds=30)
        await stage.until_empty()
    calls = proxy.calls
    assert calls["DeleteMessageBatch"] >= tasks / 10
    assert calls.total() / tasks <= 0.3, calls


async def test_sdk_clients_are_created_at_the_start_and_not_for_tasks(
    stage: ProcessorStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto/boto3#2928, aio-libs/aiobotocore#970 #1132: making one blocks the loop for 70 to 220 ms."""
    made: list[str] = []
    create: Callable[..., Any] = AioSession.create_client

    def counted(self: AioSession, service: str, *arguments: Any, **options: Any) -> Any:
        made.append(service)
        return create(self, service, *arguments, **options)

    monkeypatch.setattr(AioSession, "create_client", counted)
    async with stage.notifications("user") as notifications, processor_in_process(stage, echo):
        assert sorted(made) == ["sqs", "ssm"]
        await asyncio.gather(*(stage.send("user") for _ in range(30)))
        await notifications.wait(30)
        await stage.until_empty()
    assert sorted(made) == ["sqs", "ssm"]


async def echo(task: Task) -> str:
    return task.data
