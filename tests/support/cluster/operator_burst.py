"""Send a burst of tasks for several users and count their notifications: runs inside the emulators' pod, prints JSON.

Arguments: queue URL, cache name, number of tasks, seconds to wait for the last of them; number of tasks that follow one
by one, and seconds between them.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from aiobotocore.session import get_session

from notification_api.client.errors import StreamError
from notification_api.client.subscription.disposable_token import TopicAccess, emulator_address
from notification_api.client.subscription.heartbeat import HeartbeatInterval
from notification_api.client.subscription.position import Position
from notification_api.client.subscription.stream import Event, Item, Opened, read_stream
from services.common.momento.api_key import credential_provider

USERS = 4
QUIET_SECONDS = 5.0
BATCH = 10


class Notified:
    """Counts final notifications by task."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last_at = time.monotonic()
        self.opened = 0

    async def listen(self, access: TopicAccess) -> None:
        """Read the topic. A stream that breaks is resumed: this pod has little CPU, and heartbeats may be late."""
        position = Position()

        def on_event(event: Event) -> None:
            nonlocal position
            if isinstance(event, Item):
                position = position.after_item(event.page, event.sequence)
            self.on_event(event)

        while True:
            with suppress(StreamError):
                await read_stream(access, position, HeartbeatInterval(), on_event)

    def on_event(self, event: Event) -> None:
        if isinstance(event, Opened):
            self.opened += 1
        elif isinstance(event, Item) and event.text is not None:
            fields = json.loads(event.text)
            if fields["status"] == "finished":
                self.counts[fields["taskId"]] += 1
                self.last_at = time.monotonic()


async def send(sqs: Any, url: str, users: list[str], tasks: list[str]) -> None:
    for start in range(0, len(tasks), BATCH):
        entries: list[Any] = [
            {
                "Id": str(number),
                "MessageBody": json.dumps({"userId": user, "payload": json.dumps({"data": task})}),
                "MessageAttributes": {"taskId": {"DataType": "String", "StringValue": task}},
                "MessageGroupId": user,
            }
            for number, task in enumerate(tasks[start : start + BATCH])
            for user in [users[number % len(users)]]
        ]
        answer = await sqs.send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            raise SystemExit(f"not sent: {answer['Failed']}")


async def send_one_by_one(sqs: Any, url: str, users: list[str], tasks: list[str], every_seconds: float) -> None:
    for number, task in enumerate(tasks):
        await asyncio.sleep(every_seconds)
        await send(sqs, url, users[number % len(users) :], [task])


async def main(
    url: str, cache: str, count: int, patience_seconds: float, tail: int = 0, every_seconds: float = 0.0
) -> None:
    session = get_session()
    async with session.create_client("ssm") as ssm:
        name = "/notification-api/dev/momento-api-key"
        key = (await ssm.get_parameter(Name=name, WithDecryption=True))["Parameter"]["Value"]
    endpoint = f"http://127.0.0.1:{os.environ['MOMENTO_PORT']}"
    address, credential = emulator_address(endpoint), credential_provider(key, endpoint).auth_token
    users = [f"user-{secrets.token_hex(4)}" for _ in range(USERS)]
    tasks = [secrets.token_hex(8) for _ in range(count + tail)]
    notified = Notified()
    # Creating a client occupies the event loop for seconds here, so no stream is open yet.
    async with session.create_client("sqs") as sqs:
        accesses = [TopicAccess(address=address, credential=credential, cache_name=cache, topic=user) for user in users]
        streams = [asyncio.create_task(notified.listen(access)) for access in accesses]
        async with asyncio.timeout(30):
            while notified.opened < USERS:  # noqa: ASYNC110 — the streams' state
                await asyncio.sleep(0.05)
        began_at = time.monotonic()
        await send(sqs, url, users, tasks[:count])
        await send_one_by_one(sqs, url, users, tasks[count:], every_seconds)
    while time.monotonic() - began_at < patience_seconds:
        await asyncio.sleep(0.1)
        if len(notified.counts) >= len(tasks) and time.monotonic() - notified.last_at > QUIET_SECONDS:
            break
    lost = len(set(tasks) - set(notified.counts))
    twice = sum(1 for count in notified.counts.values() if count > 1)
    last_at = time.time() - (time.monotonic() - notified.last_at)
    report = {"lost": lost, "twice": twice, "seconds": round(notified.last_at - began_at, 1), "last_at": last_at}
    sys.stdout.write(json.dumps(report) + "\n")
    for stream in streams:
        stream.cancel()


if __name__ == "__main__":
    queue_url, cache_name, *numbers = sys.argv[1:]
    asyncio.run(main(queue_url, cache_name, int(numbers[0]), float(numbers[1]), int(numbers[2]), float(numbers[3])))
