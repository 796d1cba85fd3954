"""A burst of tasks for several users, and who was told what: runs inside the emulators' pod, prints JSON.

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
from datetime import timedelta
from typing import Any

from aiobotocore.session import get_session
from momento import TopicClientAsync
from momento.config import TopicConfigurations
from momento.responses import TopicSubscribe, TopicSubscriptionItem

from services.common.momento.api_key import credential_provider

USERS = 4
QUIET_SECONDS = 5.0
BATCH = 10


class Told:
    """Final notifications by task."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.last = time.monotonic()

    async def listen(self, client: TopicClientAsync, cache: str, user: str, ready: asyncio.Event) -> None:
        subscription = await client.subscribe(cache, user)
        if not isinstance(subscription, TopicSubscribe.SubscriptionAsync):
            raise SystemExit(f"cannot subscribe: {subscription}")
        ready.set()
        async for item in subscription:
            if isinstance(item, TopicSubscriptionItem.Error):  # it would come again and again, without a pause
                raise SystemExit(f"the subscription has ended: {item}")
            if isinstance(item, TopicSubscriptionItem.Text):
                news = json.loads(item.value)
                if news["status"] == "finished":
                    self.times[news["taskId"]] += 1
                    self.last = time.monotonic()


async def send(url: str, users: list[str], tasks: list[str]) -> None:
    async with get_session().create_client("sqs") as sqs:
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


async def send_one_by_one(url: str, users: list[str], tasks: list[str], every_seconds: float) -> None:
    for number, task in enumerate(tasks):
        await asyncio.sleep(every_seconds)
        await send(url, users[number % len(users) :], [task])


async def main(
    url: str, cache: str, count: int, patience_seconds: float, tail: int = 0, every_seconds: float = 0.0
) -> None:
    session = get_session()
    async with session.create_client("ssm") as ssm:
        name = "/notification-api/dev/momento-api-key"
        key = (await ssm.get_parameter(Name=name, WithDecryption=True))["Parameter"]["Value"]
    credentials = credential_provider(key, f"http://127.0.0.1:{os.environ['MOMENTO_PORT']}")
    users = [f"user-{secrets.token_hex(4)}" for _ in range(USERS)]
    tasks = [secrets.token_hex(8) for _ in range(count + tail)]
    told, ready = Told(), [asyncio.Event() for _ in users]
    # The SDK takes the client's timeout for the deadline of the stream, and spins once that has passed.
    configuration = TopicConfigurations.Default.v1().with_client_timeout(timedelta(days=1))
    async with TopicClientAsync(configuration, credentials) as client:
        listening = [
            asyncio.create_task(told.listen(client, cache, user, event))
            for user, event in zip(users, ready, strict=True)
        ]
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in ready)), 30)
        began = time.monotonic()
        await send(url, users, tasks[:count])
        await send_one_by_one(url, users, tasks[count:], every_seconds)
        while time.monotonic() - began < patience_seconds:
            await asyncio.sleep(0.1)
            if len(told.times) >= len(tasks) and time.monotonic() - told.last > QUIET_SECONDS:
                break
        lost = len(set(tasks) - set(told.times))
        twice = sum(1 for times in told.times.values() if times > 1)
        last_at = time.time() - (time.monotonic() - told.last)
        report = {"lost": lost, "twice": twice, "seconds": round(told.last - began, 1), "last_at": last_at}
        ended = [each for each in listening if each.done()]
        sys.stdout.write(json.dumps(report | ({"ended": repr(ended)} if ended else {})) + "\n")
        sys.stdout.flush()
        # The SDK's subscription takes a cancellation for an error and goes on, so nothing orderly would end this.
        os._exit(0)


if __name__ == "__main__":
    queue_url, cache_name, *numbers = sys.argv[1:]
    asyncio.run(main(queue_url, cache_name, int(numbers[0]), float(numbers[1]), int(numbers[2]), float(numbers[3])))
