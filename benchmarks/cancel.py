"""`python -m benchmarks.cancel`: how long after `POST /task/{taskId}/cancel` the handler of a running task is stopped.

Measured on the real local stack, from the moment at which the request is sent. The requests are spread evenly over the
second between two polls of the processor, by pauses of random length.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.local_stack.stack import Stack, running_stack
from benchmarks.support.figures import Figure, table
from benchmarks.support.rounds import progress_bar
from local.demo.sign_up import application, signed_in_user
from local.demo.summary import percentile
from local.environment import base_environment
from notification_api.client import SubmittedTask

USERS = 5
TASKS_OF_USER = 20
"""A user may cancel 60 tasks a minute."""
MAX_PAUSE_SECONDS = 0.4
TIMEOUT_SECONDS = 90.0


async def measure() -> list[float]:
    """Start tasks, cancel each while it runs, and return the seconds until its handler was stopped."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        file = Path(name, "handlers")
        settings = {
            "TASK_HANDLER": "benchmarks.handlers:until_cancelled",
            "LOCAL_PASS": "BENCHMARK_CANCELS_FILE",
            "BENCHMARK_CANCELS_FILE": str(file),
            "CONCURRENCY": str(2 * USERS * TASKS_OF_USER),
        }
        async with running_stack(settings) as stack:
            requested_at = await _cancel_all(stack, file)
            stopped_at = await _events(file, "stopped", len(requested_at))
    return [stopped_at[task_id] - at for task_id, at in requested_at.items()]


async def _cancel_all(stack: Stack, file: Path) -> dict[str, float]:
    """Submit the tasks of all users, wait until they run, and cancel them one after the other."""
    async with AsyncExitStack() as opened:
        app = await opened.enter_async_context(application(stack.page_url))
        tasks: list[SubmittedTask] = []
        for _ in range(USERS):
            api = await opened.enter_async_context((await signed_in_user(app)).api())
            tasks += [await api.submit("default", "benchmark") for _ in range(TASKS_OF_USER)]
        await _events(file, "started", len(tasks))
        random.shuffle(tasks)
        requested_at: dict[str, float] = {}
        with progress_bar("cancel", len(tasks)) as bar:
            for task in tasks:
                await asyncio.sleep(random.uniform(0, MAX_PAUSE_SECONDS))
                requested_at[task.id] = time.time()
                await task.cancel()
                bar.update()
        return requested_at


async def _events(file: Path, event: str, count: int) -> dict[str, float]:
    """Wait until as many tasks have this event, and return when each had it."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            found = await asyncio.to_thread(_read, file, event)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.2)


def _read(file: Path, event: str) -> dict[str, float]:
    lines = [line.split() for line in file.read_text("ascii").splitlines()] if file.exists() else []
    return {task_id: float(at) for name, task_id, at in lines if name == event}


def figures(seconds: list[float]) -> list[Figure]:
    """Summarise the measurements."""
    note = f"{len(seconds)} cancels of running tasks"
    return [
        Figure("cancel_seconds_p50", percentile(seconds, 50), "s", note),
        Figure("cancel_seconds_p95", percentile(seconds, 95), "s"),
        Figure("cancel_seconds_max", max(seconds), "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cancel", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args()
    environment = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    found = figures(asyncio.run(measure()))
    print(table(found))
    print(f"{os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in found}))


if __name__ == "__main__":
    main()
