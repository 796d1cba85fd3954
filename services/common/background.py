"""Background tasks with an owner: none is forgotten, and one that ends unexpectedly stops the service."""

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
    """Owns tasks that run beside the requests.

    :param on_failure: called once for each task that raised or ended too early; it stops the service.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, R], *, may_fail: bool = False) -> asyncio.Task[R]:
        """Start `work`; `name` is a short bounded word for logs and metrics.

        :param may_fail: somebody awaits the task and gets its error, so that the service need not stop for it.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget if may_fail else self._ended)
        return task

    @asynccontextmanager
    async def running(self, name: str, work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
        """Run `work` beside the block and end it with the block; its end before that stops the service."""
        task = self.spawn(name, work)
        task.add_done_callback(self._ended_early)
        try:
            yield
        finally:
            task.remove_done_callback(self._ended_early)
            await self._end([task])

    async def close(self) -> None:
        """Cancel what still runs and wait until it is gone."""
        await self._end(list(self._tasks))

    async def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in stuck:
            logger.error("background task does not stop", extra={"action": "background", "task": task.get_name()})

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever awaited it; nobody may be left

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed(task, "failed")

    def _ended_early(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._failed(task, "was cancelled from within")
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
