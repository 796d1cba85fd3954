"""A task as a handler gets it."""

import math
from typing import Any

from services.processor.task import Task


def a_task(data: str = "x", **fields: Any) -> Task:
    return Task(id="1", user_id="user", data=data, fields={}, attempt=1, deadline=math.inf, **fields)
