"""Queues of a benchmark: create them, fill them with real task messages, wait until they are empty."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.support.queue_server import QueueServer
from services.common.aws.clients import sqs_client
from services.common.aws.task_queue import OutgoingMessage, TaskQueue
from services.common.batcher import Batcher, BatchPolicy
from services.common.messages.task_message import TaskMessage

USERS = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"user-{number}")) for number in range(64)]
_MAX_SENDERS = 8
_MAX_WAITING = 200
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class BenchQueue:
    """A queue of the benchmark."""

    queue: TaskQueue

    @property
    def url(self) -> str:
        return self.queue.url

    async def fill(self, count: int) -> None:
        """Send `count` tasks of 64 users, as the ingest service does."""
        sender = Batcher(self.queue.send, BatchPolicy(max_in_flight=_MAX_SENDERS))
        left = iter(range(count))

        async def send() -> None:
            for number in left:
                message = task_message(number)
                await sender.submit(message, message.size())

        await asyncio.gather(*(send() for _ in range(_MAX_WAITING)))
        await sender.close()

    async def depth(self) -> int:
        """Count its messages, including those in flight."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        attributes = await self.queue.attributes(*names)
        return sum(int(attributes[name]) for name in names)

    async def wait_until_at_most(self, depth: int, timeout_seconds: float) -> None:
        """Wait until no more than `depth` messages are left."""
        async with asyncio.timeout(timeout_seconds):
            while await self.depth() > depth:  # noqa: ASYNC110 — a queue has no events
                await asyncio.sleep(_POLL_SECONDS)


class Queues:
    """Creates queues on a server."""

    def __init__(self, client: object) -> None:
        self._client = client
        self._count = 0

    async def new(self) -> BenchQueue:
        self._count += 1
        answer = await self._client.create_queue(QueueName=f"benchmark-{self._count}")  # type: ignore[attr-defined]
        return BenchQueue(TaskQueue(self._client, answer["QueueUrl"]))  # type: ignore[arg-type]

    async def drop(self, queue: BenchQueue) -> None:
        await self._client.delete_queue(QueueUrl=queue.url)  # type: ignore[attr-defined]


@asynccontextmanager
async def queues(server: QueueServer) -> AsyncIterator[Queues]:
    """Open a client for `server`."""
    os.environ.update(server.environment())  # read by the SDK, as in the services
    async with sqs_client(max_connections=_MAX_SENDERS + 2) as client:
        yield Queues(client)


def task_message(number: int) -> OutgoingMessage:
    """A task of about 200 bytes."""
    user_id = USERS[number % len(USERS)]
    task = TaskMessage(
        task_id=str(uuid.uuid4()),
        user_id=user_id,
        payload=f'{{"data": "task {number} {"x" * 100}"}}',
        traceparent=f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00",
    )
    return OutgoingMessage(body=task.body(), attributes=task.attributes(), group_id=user_id)
