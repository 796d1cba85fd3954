"""Ten tasks of five seconds, posted together by one user: how long until the user is notified of all.

`python -m benchmarks.local_stack.together` prints the figures as JSON. It is a process of its own, because the thread
that reads a user's notifications spins once that user's stack has ended: the SDK's loop has no end.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict

from benchmarks.local_stack.stack import running_stack
from benchmarks.local_stack.user import User, user_of
from benchmarks.support.figures import Figure

TASKS = 10
TASK_SECONDS = 5
GOAL_SECONDS = 5.5


async def together(user: User) -> list[Figure]:
    warm, _ = await user.submit()
    await user.notified({warm})
    began = time.monotonic()
    posted = await asyncio.gather(*(user.submit() for _ in range(TASKS)))
    heard = await user.notified({task_id for task_id, _ in posted})
    name = f"{TASKS} tasks of {TASK_SECONDS} s together, all told"
    return [Figure(name, max(heard.values()) - began, "s", GOAL_SECONDS, "from the first POST to the last news")]


async def in_a_process_of_its_own() -> tuple[float, list[Figure]]:
    """Run this module; seconds until its stack was ready, and its figures. Raises RuntimeError when it fails."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{__name__} ended with {process.returncode}")
    ready_seconds, figures = json.loads(printed.splitlines()[-1])
    return float(ready_seconds), [Figure(**each) for each in figures]


async def measure() -> tuple[float, list[Figure]]:
    async with running_stack({"ECHO_SECONDS": str(TASK_SECONDS)}) as stack, user_of(stack) as user:
        return stack.ready_seconds, await together(user)


def main() -> None:
    ready_seconds, figures = asyncio.run(measure())
    sys.stdout.write(json.dumps([ready_seconds, [asdict(figure) for figure in figures]]) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the thread that reads the news never ends


if __name__ == "__main__":
    main()
