"""How much the system adds to what the queue server itself takes from send to receive.

Both are measured in turns within the same run, each after a random pause: the emulated SQS looks for messages at
fixed intervals, so whoever sends in step with it would measure the interval and not the server.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiobotocore.session import get_session

from benchmarks.local_stack.stack import Stack
from benchmarks.local_stack.user import User
from benchmarks.support.figures import Figure
from local.demo.summary import percentile
from local.environment import REGION, aws_url

if TYPE_CHECKING:  # stubs, there in development only
    from types_aiobotocore_sqs import SQSClient

ROUNDS = 200
WARM_UP = 5
LONGEST_PAUSE_SECONDS = 0.2
P50_GOAL_MS = 15.0


async def latency(stack: Stack, user: User) -> list[Figure]:
    """POST to news with a handler that takes no time, raw send to receive, and their difference."""
    whole, raw = [], []
    async with scratch_queue(stack) as (sqs, url):
        for number in range(WARM_UP + ROUNDS):
            one, other = await _post_to_news(user), await _send_to_receive(sqs, url)
            if number >= WARM_UP:
                whole.append(one * 1000)
                raw.append(other * 1000)
    figures = []
    for percent, goal in ((50, P50_GOAL_MS), (95, None)):
        of_whole, of_raw = percentile(whole, percent), percentile(raw, percent)
        note = f"POST to news {of_whole:.0f} ms, raw queue {of_raw:.0f} ms; {ROUNDS} each, in turns"
        figures.append(Figure(f"added to the queue's own time, p{percent}", of_whole - of_raw, "ms", goal, note))
    return figures


async def _post_to_news(user: User) -> float:
    await _pause()
    task_id, began = await user.submit()
    return (await user.notified({task_id}))[task_id] - began


async def _send_to_receive(sqs: "SQSClient", url: str) -> float:
    """A receiver waits as the processor does; it deletes what it got after the clock has stopped."""
    receiving = asyncio.create_task(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20))
    await _pause()
    began = time.monotonic()
    await sqs.send_message(QueueUrl=url, MessageBody="benchmark")
    received = await receiving
    seconds = time.monotonic() - began
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=received["Messages"][0]["ReceiptHandle"])
    return seconds


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0.05, LONGEST_PAUSE_SECONDS))


@asynccontextmanager
async def scratch_queue(stack: Stack) -> AsyncIterator[tuple["SQSClient", str]]:
    async with get_session().create_client(
        "sqs",
        region_name=REGION,
        endpoint_url=aws_url(stack.ports),
        aws_access_key_id=stack.plan.keys.access_key_id,
        aws_secret_access_key=stack.plan.keys.secret_access_key,
    ) as sqs:
        yield sqs, (await sqs.create_queue(QueueName="benchmark-smoke"))["QueueUrl"]
