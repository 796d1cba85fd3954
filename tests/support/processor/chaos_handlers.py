"""The task types of the chaos test."""

import asyncio

from notification_api import Handlers, Task
from tests.support.processor.handlers import note

LONG_SECONDS = 5.0

handlers = Handlers()
handlers.register()(note)


@handlers.register("long", concurrency=10)
async def take_long(task: Task) -> str:
    """Run until cancelled, or long enough to be cancelled."""
    await asyncio.sleep(LONG_SECONDS)
    return str(task.data)


@handlers.register("quick")
async def echo(task: Task) -> str:
    return str(task.data)
