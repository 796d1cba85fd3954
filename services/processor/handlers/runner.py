"""Runs handlers with a time limit, and does not rely on their stopping when they are cancelled."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from notification_api import Result, Task
from services.common.error_text import describe_error, type_name
from services.common.telemetry.faults import Cause, Fault
from services.processor.handlers.calls import Call
from services.processor.handlers.errors import HandlerAborted, HandlerCancelled
from services.processor.metrics import ABANDONED

logger = logging.getLogger(__name__)

HANDLER_STOP_SECONDS = 3.0
"""How long a handler may take to stop after it was cancelled."""
FAILURES_IN_A_ROW = 3
FAILURES_FORGOTTEN_SECONDS = 600.0


class Runner:
    """Runs handlers; those that do not stop are abandoned, and too many of them stop the service.

    :param on_limit: called when `limit` abandoned handlers still run, because they take the slots of other tasks.
    :param type_limits: the same for the abandoned handlers of a type, where they take the threads of its other tasks.
    """

    def __init__(
        self, *, limit: int, on_limit: Callable[[], None], type_limits: Mapping[str, int] | None = None
    ) -> None:
        self._limit = limit
        self._type_limits = type_limits or {}
        self._on_limit = on_limit
        self._abandoned: dict[asyncio.Task[Result], str] = {}
        self._failures = 0
        self._failed_with = ""
        self._failed_at = float("-inf")

    @property
    def abandoned(self) -> int:
        """Abandoned handlers that still run."""
        return len(self._abandoned)

    async def run(
        self,
        task: Task,
        call: Call,
        limit_seconds: float,
        on_late_result: Callable[[Result], object] = lambda _: None,
        cancel_requested: "asyncio.Future[None] | None" = None,
    ) -> Result:
        """Return the handler's result.

        :param on_late_result: called with the result if this is cancelled but the handler finishes.
        :param cancel_requested: is done when the user has cancelled the task. The handler is then cancelled once, and
            waited for until its time limit.
        :raises HandlerCancelled: when the handler did not finish after the user had cancelled the task.
        :raises TimeoutError: when the time limit passed.
        :raises Exception: whatever the handler raises.
        """
        try:
            result = await self._run(task, call, limit_seconds, on_late_result, cancel_requested)
        except Exception as error:
            self._failures += 1
            self._failed_with, self._failed_at = type_name(error), time.monotonic()
            raise
        self._failures = 0
        return result

    def faults(self) -> list[Fault]:
        """Return a fault if the last tasks all failed. It names the error's class; a text may hold user data."""
        is_old = time.monotonic() - self._failed_at > FAILURES_FORGOTTEN_SECONDS
        if self._failures < FAILURES_IN_A_ROW or is_old:
            return []
        return [Fault(Cause.TASKS_FAILING, f"every task fails, the last with {self._failed_with}", is_blocking=False)]

    async def _run(
        self,
        task: Task,
        call: Call,
        limit_seconds: float,
        on_late_result: Callable[[Result], object],
        cancel_requested: "asyncio.Future[None] | None",
    ) -> Result:
        if cancel_requested is not None and cancel_requested.done():
            raise HandlerCancelled
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()  # `asyncio.wait` takes three times the CPU time
        work = loop.create_task(self._call(call, task), name="handler")  # its own task, so that it can be abandoned
        work.add_done_callback(lambda _: _set(over))
        timer = loop.call_later(limit_seconds, _set, over)
        request = _CancelRequest(cancel_requested, task, work, over)
        try:
            try:
                await over
            except asyncio.CancelledError:
                await self._stop(task, work)
                if _has_result(work) and not task.saw_cancellation:
                    on_late_result(work.result())
                raise
            finally:
                timer.cancel()
                request.withdraw()
            if not work.done():
                await self._stop(task, work)
                if request.was_carried_out:
                    raise HandlerCancelled
                raise TimeoutError(f"the handler took more than {limit_seconds:g} s")
            if request.was_carried_out and not _has_result(work):
                raise HandlerCancelled from (None if work.cancelled() else work.exception())
            if work.cancelled():
                raise RuntimeError("the handler cancelled itself")
            return work.result()
        finally:  # the error's traceback refers to this frame: without this only the garbage collector would free both
            del work, request

    async def _call(self, call: Call, task: Task) -> Result:
        try:
            return await call(task)
        except BaseException as error:
            if _concerns_one_task(type(error)) and _has_traceback(error):
                raise
            raise HandlerAborted(f"the handler raised {describe_error(error)}") from error

    async def _stop(self, task: Task, work: "asyncio.Task[Result]") -> None:
        task.cancel()
        work.cancel()
        try:
            await asyncio.wait({work}, timeout=HANDLER_STOP_SECONDS)
        finally:  # also when this is cancelled
            if not work.done():
                self._abandon(task, work)
            elif not work.cancelled():
                work.exception()  # retrieved, so that asyncio does not log it

    def _abandon(self, task: Task, work: "asyncio.Task[Result]") -> None:
        logger.error("handler does not stop", extra={"action": "handler", "taskId": task.id})
        self._abandoned[work] = task.type
        work.add_done_callback(self._abandoned_ended)
        ABANDONED.set(len(self._abandoned))
        of_type = sum(one == task.type for one in self._abandoned.values())
        if len(self._abandoned) >= self._limit or of_type >= self._type_limits.get(task.type, self._limit):
            logger.critical("too many handlers do not stop, the service stops", extra={"action": "handler"})
            self._on_limit()

    def _abandoned_ended(self, work: "asyncio.Task[Result]") -> None:
        del self._abandoned[work]
        ABANDONED.set(len(self._abandoned))
        if not work.cancelled():
            work.exception()


class _CancelRequest:
    """Cancels a handler once when its user has cancelled the task."""

    __slots__ = ("_over", "_requested", "_task", "_work", "was_carried_out")

    def __init__(
        self,
        requested: "asyncio.Future[None] | None",
        task: Task,
        work: "asyncio.Task[Result]",
        over: "asyncio.Future[None]",
    ) -> None:
        self.was_carried_out = False
        self._task, self._work, self._over = task, work, over
        self._requested = requested
        if requested is not None:
            requested.add_done_callback(self._carry_out)

    def withdraw(self) -> None:
        """Do nothing more, since the handler has ended or is stopped for another reason."""
        if self._requested is not None:
            self._requested.remove_done_callback(self._carry_out)

    def _carry_out(self, requested: "asyncio.Future[None]") -> None:
        if requested.cancelled() or self._over.done():
            return
        self.was_carried_out = True
        self._task.cancel()
        self._work.cancel()


def _concerns_one_task(kind: type[BaseException]) -> bool:
    """Return whether an error is either a failure or a cancellation.

    SystemExit and its like would end the event loop, and an error that is both would be taken for a cancellation.
    """
    if issubclass(kind, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        return False
    return issubclass(kind, Exception) != issubclass(kind, asyncio.CancelledError)


def _has_traceback(error: BaseException) -> bool:
    """Return whether the error's traceback can be set, as `contextlib` does with errors that pass through it.

    Of a frozen dataclass, for example, it cannot: another error would take the place of the handler's own.
    """
    try:
        error.__traceback__ = vars(BaseException)["__traceback__"].__get__(error)
    except BaseException:  # noqa: BLE001 — `__setattr__` may raise anything
        return False
    return True


def _has_result(work: "asyncio.Task[Result]") -> bool:
    return work.done() and not work.cancelled() and work.exception() is None


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
