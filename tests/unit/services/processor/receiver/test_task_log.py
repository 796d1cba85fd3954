"""Whatever the outcome of a delivery, exactly one line logs it, with the ids and what is known of the delivery."""

import asyncio
from typing import Any

import pytest

from services.common.aws.task_queue import QueueUnavailable
from services.processor.receiver.acknowledger import Acknowledger
from services.processor.receiver.lease import Lease
from services.processor.receiver.lease_keeper import LeaseKeeper
from services.processor.receiver.outcome import Acknowledge, LeaseLost, Outcome, Requeue
from tests.support.fakes.task_queue import FakeTaskQueue, received
from tests.support.log_lines import TaskLines, task_lines

TRACE = "0af7651916cd43dd8448eb211c80319c"
BODY = '{"userId": "the-user", "payload": "the payload"}'
ATTRIBUTES = {"taskId": "task-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


async def acknowledge(outcome: Outcome, queue: FakeTaskQueue | None = None, **message: Any) -> TaskLines:
    """Carry out the outcome of a delivery whose handler has run for the second time."""
    queue = queue or FakeTaskQueue()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    acknowledger = Acknowledger(queue.as_queue(), leases)
    lease = leases.add(received("the-user", body=BODY, receive_count=3, **{"attributes": ATTRIBUTES, **message}))
    lease.attempt, lease.handler_seconds, lease.wait_seconds = 2, 1.23456, 0.98765
    with task_lines() as lines:
        await acknowledger.acknowledge(lease, outcome)
        await acknowledger.close()
    assert not [text for text in lines.texts if "the payload" in text or "the-user" in text or "receipt-" in text]
    return lines


@pytest.mark.parametrize(
    ("outcome", "level", "fields"),
    [
        (Acknowledge("finished"), "INFO", {"outcome": "finished"}),
        (Acknowledge("duplicate"), "INFO", {"outcome": "duplicate"}),
        (Acknowledge("already_acknowledged"), "INFO", {"outcome": "already_acknowledged"}),
        (Acknowledge("failed"), "WARNING", {"outcome": "failed"}),
        (Acknowledge("malformed"), "WARNING", {"outcome": "malformed"}),
        (Acknowledge("conflict"), "WARNING", {"outcome": "conflict"}),
        (Requeue(7, "transient"), "WARNING", {"outcome": "requeued", "reason": "transient", "delaySeconds": 7}),
        (
            Requeue(0, "internal_error"),
            "WARNING",
            {"outcome": "requeued", "reason": "internal_error", "delaySeconds": 0},
        ),
        (Requeue(0, "drain"), "INFO", {"outcome": "requeued", "reason": "drain", "delaySeconds": 0}),
        (Requeue(5, "isolated"), "INFO", {"outcome": "requeued", "reason": "isolated", "delaySeconds": 5}),
        (LeaseLost(), "WARNING", {"outcome": "lease_lost"}),
    ],
)
async def test_an_outcome_has_one_line(outcome: Outcome, level: str, fields: dict[str, Any]) -> None:
    (line,) = (await acknowledge(outcome)).of("task-1")
    assert line["level"] == level
    assert fields.items() <= line.items()
    assert (line["traceId"], line["delivery"], line["attempt"]) == (TRACE, 3, 2)
    assert (line["seconds"], line["waitSeconds"]) == (1.235, 0.988)
    assert line["messageId"].startswith("message-")


async def test_a_task_that_was_redriven_says_so() -> None:
    (line,) = (await acknowledge(Acknowledge("finished"), attributes={**ATTRIBUTES, "redriven": "message-0"})).of(
        "task-1"
    )
    assert line["redriven"] is True


async def test_unknown_fields_are_left_out() -> None:
    queue = FakeTaskQueue()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    acknowledger = Acknowledger(queue.as_queue(), leases)
    with task_lines() as lines:
        await acknowledger.acknowledge(leases.add(received(message_id="m-1")), Acknowledge("duplicate"))
        await acknowledger.close()
    (line,) = lines.of("m-1")
    assert set(line) == {"level", "message", "action", "outcome", "messageId", "delivery", "taskId"}


@pytest.mark.parametrize(
    ("outcome", "outcomes", "warning"),
    [
        (Acknowledge("finished"), ["finished"], "message not deleted"),
        (Requeue(7, "transient"), ["not_requeued"], "task not requeued"),
    ],
)
async def test_a_failed_deletion_or_requeue_is_in_the_log_of_the_task(
    outcome: Outcome, outcomes: list[str], warning: str
) -> None:
    """A message that is not requeued has no delay: it is visible again when its lease is over."""
    queue = FakeTaskQueue()
    queue.outcome = lambda _: QueueUnavailable("not now")
    lines = (await acknowledge(outcome, queue)).of("task-1")
    assert [line["outcome"] for line in lines if "outcome" in line] == outcomes
    assert [line["level"] for line in lines if line["message"].startswith(warning)] == ["WARNING"]


@pytest.mark.parametrize(
    ("outcome", "logged"),
    [(Acknowledge("finished"), "finished"), (Requeue(0, "drain"), "not_requeued"), (LeaseLost(), "lease_lost")],
)
async def test_an_outcome_has_one_line_also_where_the_process_ends_before_the_queue_answers(
    outcome: Outcome, logged: str
) -> None:
    queue = FakeTaskQueue()
    queue.gate.clear()
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30)
    acknowledger = Acknowledger(queue.as_queue(), leases)
    with task_lines() as lines:
        acknowledging = asyncio.ensure_future(
            acknowledger.acknowledge(leases.add(received(attributes=ATTRIBUTES)), outcome)
        )
        await asyncio.sleep(0.05)
        acknowledging.cancel()
        await asyncio.wait({acknowledging})
    assert [line["outcome"] for line in lines.ends("task-1")] == [logged]


async def test_a_lease_that_is_lost_names_its_task() -> None:
    queue = FakeTaskQueue()
    now = 0.0
    leases = LeaseKeeper(queue.as_queue(), visibility_seconds=30, clock=lambda: now)
    lease: Lease = leases.add(received(attributes=ATTRIBUTES))
    now = 31.0
    with task_lines() as lines:
        leases.expire_overdue()
    assert lease.is_lost
    (line,) = lines.of("task-1")
    assert (line["level"], line["message"]) == ("ERROR", "lease lost: it expired")
