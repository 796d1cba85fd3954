"""Ten tasks of five seconds, posted together by one user: how long until all are told."""

import asyncio
import time

from benchmarks.smoke.figures import Figure
from benchmarks.smoke.user import User

TASKS = 10
TASK_SECONDS = 5
GOAL_SECONDS = 5.5


async def together(user: User) -> list[Figure]:
    warm, _ = await user.post()
    await user.heard({warm})
    began = time.monotonic()
    posted = await asyncio.gather(*(user.post() for _ in range(TASKS)))
    heard = await user.heard({task_id for task_id, _ in posted})
    name = f"{TASKS} tasks of {TASK_SECONDS} s together, all told"
    return [Figure(name, max(heard.values()) - began, "s", GOAL_SECONDS, "from the first POST to the last news")]
