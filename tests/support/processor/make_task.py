"""A task as a handler gets it."""

import math
from typing import Any

from notification_api import Task


def make_task(data: Any = "x", **fields: Any) -> Task:
    defaults: dict[str, Any] = {"id": "1", "user_id": "user", "fields": {}, "attempt": 1, "deadline": math.inf}
    return Task(data=data, **{**defaults, **fields})
