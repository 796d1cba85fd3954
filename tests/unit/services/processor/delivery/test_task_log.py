"""Whatever the verdict on a delivery, exactly one line says so, with the ids and what is known of the delivery."""

import asyncio
from typing import Any

import pytest

from services.common.aws.task_queue import QueueUnavailable
from services.processor.receiver.acknowledger import Settlement
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Back, Done, Lost, Verdict
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.log_lines import TaskLines, task_lines

TRACE = "0af7651916cd43dd8448eb211c80319c"
BODY = '{"userId": "the-user", "payload": "the payload"}'
ATTRIBUTES = {"taskId": "task-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


async def settle(verdict: Verdict, queue: FakeTaskQueue | None = None, **message: Any) -> TaskLines:
    """Settle a delivery whose handler has run for the second time."""
    queue = queue or FakeTaskQueue()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    settlement = Settlement(queue.as_queue(), leases)
    lease = leases.hold(received("the-user", body=BODY, receive_count=3, **{"attributes": ATTRIBUTES, **message}))
    lease.attempt, lease.handler_seconds, lease.wait_seconds = 2, 1.23456, 0.98765
    with task_lines() as lines:
        await settlement.settle(lease, verdict)
        await settlement.close()
    assert not [text for text in lines.texts if "the payload" in text or "the-user" in text or "receipt-" in text]
    return lines


@pytest.mark.parametrize(
    ("verdict", "level", "fields"),
    [
        (Done("finished"), "INFO", {"outcome": "finished"}),
        (Done("repeated"), "INFO", {"outcome": "repeated"}),
        (Done("duplicate"), "INFO", {"outcome": "duplicate"}),
        (Done("failed"), "WARNING", {"outcome": "failed"}),
        (Done("unreadable"), "WARNING", {"outcome": "unreadable"}),
        (Done("conflict"), "WARNING", {"outcome": "conflict"}),
        (Back(7, "transient"), "WARNING", {"outcome": "requeued", "reason": "transient", "delaySeconds": 7}),
        (Back(0, "bug"), "WARNING", {"outcome": "requeued", "reason": "bug", "delaySeconds": 0}),
        (Back(0, "drain"), "INFO", {"outcome": "requeued", "reason": "drain", "delaySeconds": 0}),
        (Back(5, "isolated"), "INFO", {"outcome": "requeued", "reason": "isolated", "delaySeconds": 5}),
        (Lost(), "WARNING", {"outcome": "lease_lost"}),
    ],
)
async def test_a_verdict_has_one_line(verdict: Verdict, level: str, fields: dict[str, Any]) -> None:
    (line,) = (await settle(verdict)).of("task-1")
    assert line["level"] == level
    assert fields.items() <= line.items()
    assert (line["traceId"], line["delivery"], line["attempt"]) == (TRACE, 3, 2)
    assert (line["seconds"], line["waitSeconds"]) == (1.235, 0.988)
    assert line["messageId"].startswith("message-")


async def test_a_task_that_was_redriven_says_so() -> None:
    (line,) = (await settle(Done("finished"), attributes={**ATTRIBUTES, "redriven": "message-0"})).of("task-1")
    assert line["redriven"] is True


async def test_what_is_not_known_is_left_out() -> None:
    queue = FakeTaskQueue()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    settlement = Settlement(queue.as_queue(), leases)
    with task_lines() as lines:
        await settlement.settle(leases.hold(received(message_id="m-1")), Done("duplicate"))
        await settlement.close()
    (line,) = lines.of("m-1")
    assert set(line) == {"level", "message", "action", "outcome", "messageId", "delivery", "taskId"}


@pytest.mark.parametrize(
    ("verdict", "outcomes", "warning"),
    [
        (Done("finished"), ["finished"], "message not deleted"),
        (Back(7, "transient"), ["not_requeued"], "task not requeued"),
    ],
)
async def test_a_queue_that_does_not_take_the_verdict_is_in_the_log_of_the_task(
    verdict: Verdict, outcomes: list[str], warning: str
) -> None:
    """A message that is not requeued has no delay: it is visible again when its lease is over."""
    queue = FakeTaskQueue()
    queue.outcome = lambda _: QueueUnavailable("not now")
    lines = (await settle(verdict, queue)).of("task-1")
    assert [line["outcome"] for line in lines if "outcome" in line] == outcomes
    assert [line["level"] for line in lines if line["message"].startswith(warning)] == ["WARNING"]


@pytest.mark.parametrize(
    ("verdict", "outcome"), [(Done("finished"), "finished"), (Back(0, "drain"), "not_requeued"), (Lost(), "lease_lost")]
)
async def test_a_verdict_has_one_line_also_where_the_process_ends_before_the_queue_answers(
    verdict: Verdict, outcome: str
) -> None:
    queue = FakeTaskQueue()
    queue.gate.clear()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    settlement = Settlement(queue.as_queue(), leases)
    with task_lines() as lines:
        settling = asyncio.ensure_future(settlement.settle(leases.hold(received(attributes=ATTRIBUTES)), verdict))
        await asyncio.sleep(0.05)
        settling.cancel()
        await asyncio.wait({settling})
    assert [line["outcome"] for line in lines.ends("task-1")] == [outcome]


async def test_a_lease_that_is_lost_names_its_task() -> None:
    queue = FakeTaskQueue()
    now = 0.0
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30, clock=lambda: now)
    lease: Lease = leases.hold(received(attributes=ATTRIBUTES))
    now = 31.0
    with task_lines() as lines:
        leases.give_up()
    assert lease.lost
    (line,) = lines.of("task-1")
    assert (line["level"], line["message"]) == ("ERROR", "lease lost: it ran out")
