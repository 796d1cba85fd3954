"""While sends fail: whether SQS answers again, so that the fault is over without waiting for a user's next task."""

import asyncio
import contextlib

from services.common.aws.task_queue import QueueUnavailable, TaskQueue

PROBE_SECONDS = 2.0


async def probe(queue: TaskQueue) -> None:
    """Ask for an attribute for as long as there is a fault; until cancelled. Costs nothing while all is well."""
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        if queue.faults.current():
            with contextlib.suppress(QueueUnavailable):
                await queue.attributes("QueueArn")
