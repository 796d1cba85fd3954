"""A message with a delay on a real queue server: invisible at first, with its user's group, and counted as delayed."""

import time
from typing import TYPE_CHECKING

import pytest

from services.common.aws.task_queue import OutgoingMessage, TaskQueue
from tests.support.aws_session import SESSION
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DELAY_SECONDS = 2


@pytest.fixture
async def queue(aws: MiniStack) -> "AsyncIterator[TaskQueue]":
    async with SESSION.create_client("sqs", **aws.client_settings(new_account_id())) as client:
        url = (await client.create_queue(QueueName="tasks"))["QueueUrl"]
        yield TaskQueue(client, url)


async def test_a_delayed_message_of_a_group_is_received_after_its_delay(queue: TaskQueue) -> None:
    later = OutgoingMessage(body="later", attributes={}, group_id="alice", delay_seconds=DELAY_SECONDS)
    assert await queue.send([later, OutgoingMessage(body="now", attributes={}, group_id="alice")]) == [None, None]
    counts = await queue.attributes("All")
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesDelayed"] == "1"
    bodies: list[str] = []

    async def arrived() -> bool:
        for message in await queue.receive(10, 1, 30):
            bodies.append(message.body)
            if message.body == "later":
                assert message.group_id == "alice"
                assert time.time() - message.sent_ms / 1_000 >= DELAY_SECONDS - 0.5  # sent, not available: SQS says so
        return "later" in bodies

    await wait_until(arrived)
    assert bodies == ["now", "later"]
