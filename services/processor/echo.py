"""The built-in handler: waits and echoes, as the serverless original does."""

import asyncio

from notification_api import Task
from services.common.settings import load
from services.processor.settings import read_echo_seconds


async def handle(task: Task) -> str:
    """Wait ``ECHO_SECONDS`` (default 5) and answer the task's data."""
    await asyncio.sleep(load(read_echo_seconds))
    return task.data
