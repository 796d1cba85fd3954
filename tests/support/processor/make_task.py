"""A task as a handler gets it."""

import asyncio
import math
from typing import Any

from notification_api import Task


def make_task(data: Any = "x", *, loop: asyncio.AbstractEventLoop | None = None, **fields: Any) -> Task:
    defaults: dict[str, Any] = {"id": "1", "user_id": "user", "fields": {}, "attempt": 1, "deadline": math.inf}
    task = Task(data=data, **{**defaults, **fields})
    if loop is not None:
        task.bind_loop(loop)
    return task
