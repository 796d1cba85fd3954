"""Background tasks with an owner. One that ends unexpectedly stops the service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from services.common.telemetry.metrics import BACKGROUND_FAILURES

R = TypeVar("R")

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0


class Background:
    """Owns tasks that run in parallel with requests.

    :param on_failure: called for each task that raised or ended too early; it stops the service.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, R], *, may_fail: bool = False) -> asyncio.Task[R]:
        """Start `work`.

        :param name: for logs and metrics; from a bounded set.
        :param may_fail: the task's error goes to its awaiter and does not stop the service.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._discard if may_fail else self._on_end)
        return task

    @asynccontextmanager
    async def running(self, name: str, work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
        """Run `work` during the block and cancel it at the end. If it ends earlier, the service stops."""
        task = self.spawn(name, work)
        task.add_done_callback(self._on_early_end)
        try:
            yield
        finally:
            task.remove_done_callback(self._on_early_end)
            await self._cancel([task])

    async def close(self) -> None:
        """Cancel all tasks and wait for their end, for `CLOSE_SECONDS` at most."""
        await self._cancel(list(self._tasks))

    async def _cancel(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in stuck:
            logger.error("background task does not stop", extra={"action": "background", "task": task.get_name()})

    def _discard(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, in case the awaiter was cancelled

    def _on_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed(task, "failed")

    def _on_early_end(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._failed(task, "cancelled itself")
        elif task.exception() is None:
            self._failed(task, "returned")

    def _failed(self, task: asyncio.Task[Any], how: str) -> None:
        BACKGROUND_FAILURES.labels(task.get_name()).inc()
        logger.critical(
            "background task %s, the service stops",
            how,
            exc_info=None if task.cancelled() else task.exception(),
            extra={"action": "background", "task": task.get_name()},
        )
        self._on_failure()
