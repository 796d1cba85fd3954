"""The built-in handler: waits and echoes, as the serverless original does."""

import asyncio
import json

from notification_api import Result, Task
from services.common.settings import load
from services.processor.settings import read_echo_seconds


async def handle(task: Task) -> Result:
    """Wait ``ECHO_SECONDS`` (default 5) and answer the task's data; of data that is not text the JSON, too."""
    await asyncio.sleep(load(read_echo_seconds))
    if isinstance(task.data, str):
        return Result(task.data)
    return Result(json.dumps(task.data, ensure_ascii=False), task.data)
