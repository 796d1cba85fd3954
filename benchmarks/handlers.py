"""Task handlers of the benchmarks."""

import asyncio
import os
import time
from pathlib import Path

from notification_api import Task

NAP_SECONDS = 0.05


async def nothing(_task: Task) -> str:
    """Do nothing."""
    return "done"


class _Naps:
    """Waits 50 ms a task, and writes down how long all of them took."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._ended = 0
        self._tasks = int(os.environ.get("BENCHMARK_TASKS", "0"))

    async def __call__(self, _task: Task) -> str:
        if self._began is None:
            self._began = time.perf_counter()
        await asyncio.sleep(NAP_SECONDS)
        self._ended += 1
        if self._ended == self._tasks:
            _write_down(time.perf_counter() - self._began)
        return "done"


def _write_down(seconds: float) -> None:
    """From the first handler's start to the last one's end."""
    Path(os.environ["BENCHMARK_SECONDS_FILE"]).write_text(str(seconds), "ascii")


nap = _Naps()
