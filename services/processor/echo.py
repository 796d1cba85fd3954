"""The built-in handlers: `default` waits and echoes, as the serverless original does; the others are for trying out."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from notification_api import Handlers, PermanentError, Result, Task
from services.common.settings import load
from services.processor.settings import read_echo_seconds

STEP_SECONDS = 1.0
MAX_STEPS = 600
MAX_KIBIBYTES = 500
"""Below the 512 KiB that a result may have as JSON."""

handlers = Handlers()


@handlers.register()
async def handle(task: Task) -> Result:
    """Wait ``ECHO_SECONDS`` (default 5) and answer the task's data; of data that is not text the JSON, too."""
    await asyncio.sleep(load(read_echo_seconds))
    if isinstance(task.data, str):
        return Result(task.data)
    return Result(json.dumps(task.data, ensure_ascii=False), task.data)


@handlers.register("steps", concurrency=1)
async def do_steps(task: Task) -> Result:
    """Do as many steps of a second as the data says, with progress. A replica runs one such task at once."""
    steps = _number(task.data, "steps", most=MAX_STEPS)
    for number in range(1, steps + 1):
        await asyncio.sleep(STEP_SECONDS)
        await task.progress(f"step {number} of {steps}", 100 * number / steps)
    return Result(f"{steps} steps", {"steps": steps})


@handlers.register("failure")
async def fail(_task: Task) -> Result:
    """Fail for good, with a reason for operators and another one for the user."""
    raise PermanentError("tasks of the type failure always fail", public="This type of task always fails")


@handlers.register("large")
async def answer_large(task: Task) -> Result:
    """Answer data of as many KiB as the data says: more than 4 do not fit into a notification."""
    kibibytes = _number(task.data, "kibibytes", most=MAX_KIBIBYTES)
    return Result(f"{kibibytes} KiB", {"text": "x" * (kibibytes * 1024)})


def _number(data: object, name: str, *, most: int) -> int:
    """Return a whole number of the data, a JSON object.

    :raises PermanentError: when there is none.
    """
    given: Any = data.get(name) if isinstance(data, Mapping) else None
    if type(given) is int and 1 <= given <= most:
        return given
    raise PermanentError(f"{name} is not a number", public=f'The data must be {{"{name}": 1}}, up to {most}')
