"""Queues of a benchmark: made, filled with real task messages, looked at and purged."""

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
_SENDERS_AT_ONCE = 8
_WAITING_AT_ONCE = 200
_LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class BenchQueue:
    """A queue of the benchmark's own."""

    queue: TaskQueue

    @property
    def url(self) -> str:
        return self.queue.url

    async def fill(self, count: int) -> None:
        """Put `count` tasks of 64 users on it, as the ingest service writes them."""
        sender = Batcher(self.queue.send, BatchPolicy(max_in_flight=_SENDERS_AT_ONCE))
        left = iter(range(count))

        async def send() -> None:
            for number in left:
                message = task_message(number)
                await sender.submit(message, message.size())

        await asyncio.gather(*(send() for _ in range(_WAITING_AT_ONCE)))
        await sender.close()

    async def depth(self) -> int:
        """Messages on it, those in flight included."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        attributes = await self.queue.attributes(*names)
        return sum(int(attributes[name]) for name in names)

    async def until_at_most(self, depth: int, within_seconds: float) -> None:
        """Wait until no more than `depth` messages are left."""
        async with asyncio.timeout(within_seconds):
            while await self.depth() > depth:  # noqa: ASYNC110 — a queue tells nobody
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)


class Queues:
    """Makes queues on a server."""

    def __init__(self, client: object) -> None:
        self._client = client
        self._made = 0

    async def new(self) -> BenchQueue:
        self._made += 1
        answer = await self._client.create_queue(QueueName=f"benchmark-{self._made}")  # type: ignore[attr-defined]
        return BenchQueue(TaskQueue(self._client, answer["QueueUrl"]))  # type: ignore[arg-type]

    async def drop(self, queue: BenchQueue) -> None:
        await self._client.delete_queue(QueueUrl=queue.url)  # type: ignore[attr-defined]


@asynccontextmanager
async def queues(server: QueueServer) -> AsyncIterator[Queues]:
    """Open a client for `server`."""
    os.environ.update(server.environment())  # the SDK's own way, as the services do it
    async with sqs_client(max_connections=_SENDERS_AT_ONCE + 2) as client:
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
