"""Runs handlers with a time limit, and does not rely on their stopping when they are cancelled."""

import asyncio
import logging
import time
from collections.abc import Callable

from notification_api import Task
from services.common.error_text import describe_error, type_name
from services.common.telemetry.faults import Cause, Fault
from services.processor.handlers.loader import Handler, HandlerAborted
from services.processor.metrics import ABANDONED

logger = logging.getLogger(__name__)

HANDLER_STOP_SECONDS = 3.0
"""How long a handler may take to stop after it was cancelled."""
FAILURES_IN_A_ROW = 3
FAILURES_FORGOTTEN_SECONDS = 600.0


class Runner:
    """Runs handlers; those that do not stop are abandoned, and too many of them stop the service.

    :param on_limit: called when `limit` abandoned handlers still run, because they take the slots of other tasks.
    """

    def __init__(self, handler: Handler, *, limit: int, on_limit: Callable[[], None]) -> None:
        self._handler = handler
        self._limit = limit
        self._on_limit = on_limit
        self._abandoned: set[asyncio.Task[str]] = set()
        self._failures = 0
        self._failed_with = ""
        self._failed_at = float("-inf")

    @property
    def abandoned(self) -> int:
        """Abandoned handlers that still run."""
        return len(self._abandoned)

    async def run(
        self, task: Task, limit_seconds: float, on_late_result: Callable[[str], object] = lambda _: None
    ) -> str:
        """Return the handler's text.

        :param on_late_result: called with the text if this is cancelled but the handler finishes.
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
        """Return a fault if the last tasks all failed. It names the error's class; a text may hold user data."""
        is_old = time.monotonic() - self._failed_at > FAILURES_FORGOTTEN_SECONDS
        if self._failures < FAILURES_IN_A_ROW or is_old:
            return []
        return [Fault(Cause.TASKS_FAILING, f"every task fails, the last with {self._failed_with}", is_blocking=False)]

    async def _run(self, task: Task, limit_seconds: float, on_late_result: Callable[[str], object]) -> str:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()  # `asyncio.wait` takes three times the CPU time
        work = loop.create_task(self._call(task), name="handler")  # its own task, so that it can be abandoned
        work.add_done_callback(lambda _: _set(over))
        timer = loop.call_later(limit_seconds, _set, over)
        try:
            await over
        except asyncio.CancelledError:
            await self._stop(task, work)
            if _has_result(work) and not task.saw_cancellation:
                on_late_result(work.result())
            raise
        finally:
            timer.cancel()
        if not work.done():
            await self._stop(task, work)
            raise TimeoutError(f"the handler took more than {limit_seconds:g} s")
        if work.cancelled():
            raise RuntimeError("the handler cancelled itself")
        try:
            return work.result()
        finally:  # the error's traceback refers to this frame: without this only the garbage collector would free both
            del work

    async def _call(self, task: Task) -> str:
        try:
            return await self._handler(task)
        except BaseException as error:
            if _concerns_one_task(type(error)):
                raise
            raise HandlerAborted(f"the handler raised {describe_error(error)}") from error

    async def _stop(self, task: Task, work: "asyncio.Task[str]") -> None:
        task.cancel()
        work.cancel()
        try:
            await asyncio.wait({work}, timeout=HANDLER_STOP_SECONDS)
        finally:  # also when this is cancelled
            if not work.done():
                self._abandon(task, work)
            elif not work.cancelled():
                work.exception()  # retrieved, so that asyncio does not log it

    def _abandon(self, task: Task, work: "asyncio.Task[str]") -> None:
        logger.error("handler does not stop", extra={"action": "handler", "taskId": task.id})
        self._abandoned.add(work)
        work.add_done_callback(self._abandoned_ended)
        ABANDONED.set(len(self._abandoned))
        if len(self._abandoned) >= self._limit:
            logger.critical("too many handlers do not stop, the service stops", extra={"action": "handler"})
            self._on_limit()

    def _abandoned_ended(self, work: "asyncio.Task[str]") -> None:
        self._abandoned.discard(work)
        ABANDONED.set(len(self._abandoned))
        if not work.cancelled():
            work.exception()


def _concerns_one_task(kind: type[BaseException]) -> bool:
    """Return whether an error is either a failure or a cancellation.

    SystemExit and its like would end the event loop, and an error that is both would be taken for a cancellation.
    """
    if issubclass(kind, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        return False
    return issubclass(kind, Exception) != issubclass(kind, asyncio.CancelledError)


def _has_result(work: "asyncio.Task[str]") -> bool:
    return work.done() and not work.cancelled() and work.exception() is None


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
