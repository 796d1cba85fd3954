"""Task handlers of the benchmarks."""

import asyncio
import os
import time
from pathlib import Path

from notification_api import Task

SLEEP_SECONDS = 0.05


async def nothing(_task: Task) -> str:
    """Do nothing."""
    return "done"


class _Sleep:
    """Sleeps 50 ms in each task, and writes to a file how long all tasks took."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._done = 0
        self._tasks = int(os.environ.get("BENCHMARK_TASKS", "0"))

    async def __call__(self, _task: Task) -> str:
        if self._began_at is None:
            self._began_at = time.perf_counter()
        await asyncio.sleep(SLEEP_SECONDS)
        self._done += 1
        if self._done == self._tasks:
            _write_seconds(time.perf_counter() - self._began_at)
        return "done"


def _write_seconds(seconds: float) -> None:
    """Write the time from the first handler's start to the last one's end."""
    Path(os.environ["BENCHMARK_SECONDS_FILE"]).write_text(str(seconds), "ascii")


sleep = _Sleep()


async def until_cancelled(task: Task) -> str:
    """Run until cancelled, and write to a file when that began and ended."""
    _note("started", task)
    try:
        await asyncio.sleep(600)
    finally:
        _note("stopped", task)
    return "done"


def _note(event: str, task: Task) -> None:
    with Path(os.environ["BENCHMARK_CANCELS_FILE"]).open("a", encoding="ascii") as file:
        file.write(f"{event} {task.id} {time.time()}\n")
