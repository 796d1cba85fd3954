"""Running a handler: with a time limit, and without trusting that it stops when it is told to."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from notification_api import Task
from services.common.error_text import describe_error, type_name
from services.common.telemetry.faults import Cause, Fault
from services.processor.handlers.loader import Handler, HandlerAborted
from services.processor.handlers.seat import call_beside
from services.processor.metrics import ABANDONED

logger = logging.getLogger(__name__)

STOP_SECONDS = 3.0
"""How long a handler may take to stop after it was cancelled."""
FAILURES_IN_A_ROW = 3
FAILURES_FORGOTTEN_SECONDS = 600.0


class Runner:
    """Runs handlers; those that do not stop are given up, and too many of them stop the service.

    :param on_limit: called when `limit` handlers were given up and still run, since their slots would be empty ones.
    """

    def __init__(self, handler: Handler, *, limit: int, on_limit: Callable[[], None]) -> None:
        self._handler = handler
        self._limit = limit
        self._on_limit = on_limit
        self._abandoned: set[asyncio.Task[str]] = set()
        self._failures = 0
        self._failed_with = ""
        self._failed_at = float("-inf")

    async def run(
        self, task: Task, limit_seconds: float, on_late_result: Callable[[str], None] = lambda _: None
    ) -> str:
        """Return the handler's text.

        :param on_late_result: called with the text where this is cancelled and the handler finishes all the same.
        :raises TimeoutError: when the time limit passed.
        :raises Exception: whatever the handler raises.
        """
        try:
            text = await self._run(task, limit_seconds, on_late_result)
        except Exception as error:
            self._failures += 1
            self._failed_with, self._failed_at = type_name(error), time.monotonic()
            raise
        self._failures = 0
        return text

    def faults(self) -> list[Fault]:
        """Whether the last tasks all failed. Names the error's class alone: its text may hold users' data."""
        is_old = time.monotonic() - self._failed_at > FAILURES_FORGOTTEN_SECONDS
        if self._failures < FAILURES_IN_A_ROW or is_old:
            return []
        return [Fault(Cause.TASKS_FAILING, f"every task fails, the last with {self._failed_with}", is_blocking=False)]

    async def _run(self, task: Task, limit_seconds: float, on_late_result: Callable[[str], None]) -> str:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()  # `asyncio.wait` takes three times the CPU time
        work = call_beside(partial(self._call, task, over))
        timer = loop.call_later(limit_seconds, _set, over)
        try:
            await over
        except asyncio.CancelledError:
            await self._end(task, work)
            if _has_result(work) and not task.saw_cancellation:
                on_late_result(work.result())
            raise
        finally:
            timer.cancel()
        if not work.done():
            await self._end(task, work)
            raise TimeoutError(f"the handler took more than {limit_seconds:g} s")
        if work.cancelled():
            raise RuntimeError("the handler cancelled itself")
        try:
            return work.result()
        finally:  # the error's traceback holds this frame: together they would keep the task until a collection
            del work

    @property
    def abandoned(self) -> int:
        """Handlers that were given up and still run."""
        return len(self._abandoned)

    async def _call(self, task: Task, over: asyncio.Future[None]) -> str:
        """Call the handler; `over` is set when it ends, so that whoever waits for that runs after this has ended.

        It is not set where this is cancelled before it began, which nobody but `run` can do.
        """
        try:
            return await self._handler(task)
        except BaseException as error:
            if _concerns_one_task(type(error)):
                raise
            raise HandlerAborted(f"the handler raised {describe_error(error)}") from error
        finally:
            _set(over)

    async def _end(self, task: Task, work: "asyncio.Task[str]") -> None:
        task.cancel()
        work.cancel()
        try:
            await asyncio.wait({work}, timeout=STOP_SECONDS)
        finally:  # also when this is cancelled in its turn
            if not work.done():
                self._abandon(task, work)
            elif not work.cancelled():
                work.exception()  # what it says after it was cancelled is not wanted

    def _abandon(self, task: Task, work: "asyncio.Task[str]") -> None:
        logger.error("handler does not stop", extra={"action": "handler", "taskId": task.id})
        self._abandoned.add(work)
        work.add_done_callback(self._came_back)
        ABANDONED.set(len(self._abandoned))
        if len(self._abandoned) >= self._limit:
            logger.critical("too many handlers do not stop: the service does", extra={"action": "handler"})
            self._on_limit()

    def _came_back(self, work: "asyncio.Task[str]") -> None:
        self._abandoned.discard(work)
        ABANDONED.set(len(self._abandoned))
        if not work.cancelled():
            work.exception()


def _concerns_one_task(kind: type[BaseException]) -> bool:
    """Tell whether an error is a failure or a cancellation, and nothing else besides.

    SystemExit and its like would end the event loop, and a failure that is a cancellation as well would pass for that.
    """
    if issubclass(kind, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        return False
    return issubclass(kind, Exception) != issubclass(kind, asyncio.CancelledError)


def _has_result(work: "asyncio.Task[str]") -> bool:
    return work.done() and not work.cancelled() and work.exception() is None


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
