"""The built-in handler: waits and echoes, as the serverless original does."""

import asyncio
import os

from services.processor.task import Task

DEFAULT_SECONDS = 5.0


async def handle(task: Task) -> str:
    """Wait ``ECHO_SECONDS`` (default 5) and answer the task's data."""
    await asyncio.sleep(float(os.environ.get("ECHO_SECONDS", DEFAULT_SECONDS)))
    return task.data
