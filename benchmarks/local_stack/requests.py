"""What a request costs: CPU time of the service, and the latency that the system adds to the queue's own.

Latency is measured alternately with a raw send and receive, each after a random pause: the emulated SQS polls its
queues at fixed intervals, and sending in step with it would measure the interval.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiobotocore.session import get_session

from benchmarks.local_stack.resources import child_pids
from benchmarks.local_stack.stack import Stack
from benchmarks.local_stack.user import User
from benchmarks.support.figures import Figure
from benchmarks.support.processes import cpu_seconds
from local.demo.summary import percentile
from local.environment import REGION, aws_url

if TYPE_CHECKING:  # stubs, installed for development only
    from types_aiobotocore_sqs import SQSClient

COST_WARM_UP = 30
COST_REQUESTS = 400
LATENCY_WARM_UP = 5
LATENCY_ROUNDS = 200
MIN_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 0.2


async def cpu_costs(stack: Stack, user: User) -> list[Figure]:
    """Measure GET /token for a cached token and POST /task, one request at a time on one connection."""
    pids = child_pids(stack.pid)

    async def get_token() -> None:
        async with http.get(f"http://127.0.0.1:{stack.ports.token}/token") as answer:
            await answer.read()

    submitted: set[str] = set()

    async def submit_task() -> None:
        submitted.add((await user.submit())[0])

    headers = {"Authorization": f"Bearer {user.id_token}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http:
        token = await _cpu_ms(pids["token"], get_token)
    ingest = await _cpu_ms(pids["ingest"], submit_task)
    await user.notified(submitted)
    note = f"mean of {COST_REQUESTS}, one at a time, idle work of the service included"
    return [Figure("CPU of GET /token, cached", token, "ms", note), Figure("CPU of POST /task", ingest, "ms", note)]


async def _cpu_ms(pid: int, request: Callable[[], Awaitable[None]]) -> float:
    for _ in range(COST_WARM_UP):
        await request()
    before = cpu_seconds(pid)
    for _ in range(COST_REQUESTS):
        await request()
    return (cpu_seconds(pid) - before) / COST_REQUESTS * 1000


async def latencies(stack: Stack, user: User) -> list[Figure]:
    """Measure POST to notification with a handler that takes no time, and subtract the raw queue's send to receive."""
    system, queue = [], []
    async with scratch_queue(stack) as (sqs, url):
        for number in range(LATENCY_WARM_UP + LATENCY_ROUNDS):
            notified, received = await _post_to_notification(user), await _send_to_receive(sqs, url)
            if number >= LATENCY_WARM_UP:
                system.append(notified * 1000)
                queue.append(received * 1000)
    figures = []
    for percent in (50, 95):
        of_system, of_queue = percentile(system, percent), percentile(queue, percent)
        note = (
            f"POST to notification {of_system:.0f} ms, raw queue {of_queue:.0f} ms; {LATENCY_ROUNDS} each, alternately"
        )
        figures.append(Figure(f"latency added to the queue's own, p{percent}", of_system - of_queue, "ms", note))
    return figures


async def _post_to_notification(user: User) -> float:
    await _pause()
    task_id, began_at = await user.submit()
    return (await user.notified({task_id}))[task_id] - began_at


async def _send_to_receive(sqs: "SQSClient", url: str) -> float:
    """Send while a receive call waits, as the processor does; delete the message after the measurement."""
    receiving = asyncio.create_task(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20))
    await _pause()
    began_at = time.monotonic()
    await sqs.send_message(QueueUrl=url, MessageBody="benchmark")
    received = await receiving
    seconds = time.monotonic() - began_at
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=received["Messages"][0]["ReceiptHandle"])
    return seconds


async def _pause() -> None:
    await asyncio.sleep(random.uniform(MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS))


@asynccontextmanager
async def scratch_queue(stack: Stack) -> AsyncIterator[tuple["SQSClient", str]]:
    """Create a queue on the stack's emulated SQS."""
    async with get_session().create_client(
        "sqs",
        region_name=REGION,
        endpoint_url=aws_url(stack.ports),
        aws_access_key_id=stack.plan.keys.access_key_id,
        aws_secret_access_key=stack.plan.keys.secret_access_key,
    ) as sqs:
        yield sqs, (await sqs.create_queue(QueueName="benchmark"))["QueueUrl"]
