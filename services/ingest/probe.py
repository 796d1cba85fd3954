"""While sending fails: finds out when SQS responds again, without waiting for the next task."""

import asyncio
import contextlib

from services.common.aws.task_queue import QueueUnavailable, TaskQueue

PROBE_SECONDS = 2.0


async def probe(queue: TaskQueue) -> None:
    """Read an attribute of the queue every few seconds while there is a fault, until cancelled."""
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        if queue.faults.current():
            with contextlib.suppress(QueueUnavailable):
                await queue.attributes("QueueArn")
