"""Runs a handler as the processor would, in a test: one attempt of one task, without a queue and without a network."""

import asyncio
import contextvars
import inspect
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, cast

from notification_api.errors import PermanentError
from notification_api.handlers import Handlers, Registration
from notification_api.json_rules import NotJsonError, TooLargeError, as_stored
from notification_api.result import Result
from notification_api.task import DEFAULT_TYPE, Task

STOP_SECONDS = 3.0
"""How long a handler may take to stop at its time limit."""
MAX_TASK_SECONDS = 900.0
MAX_ATTEMPTS = 5

Status = Literal["finished", "failed", "retried", "cancelled"]


@dataclass(slots=True)
class TaskRun:
    """What became of a task."""

    status: Status
    """`retried`: the attempt failed, and another one is permitted."""
    result: Result | None = None
    """Of a finished task, as it is stored."""
    progress: list[tuple[str, float | None]] = field(default_factory=list)
    """Text and percentage of each call of `task.progress`. The processor publishes at most one a second."""
    error: BaseException | None = None
    """What the handler raised."""


def run(
    handler: Callable[..., Any] | Handlers,
    data: Any = "",
    *,
    type: str | None = None,  # noqa: A002 — the word that users of the API know
    fields: Mapping[str, Any] | None = None,
    user_id: str = "user",
    attempt: int = 1,
    max_attempts: int | None = None,
    timeout_seconds: float | None = None,
    cancel_after_progress: int | None = None,
) -> TaskRun:
    """Run one attempt of a task and return what became of it. `setup` and `teardown` of the handler are run, too.

    :param handler: a handler as it can be registered, or a `Handlers`.
    :param data: `data` of the request body.
    :param type: the task type; it may be left out if the `Handlers` has `default` or only one.
    :param fields: other fields of the request body.
    :param attempt: the number of the attempt; `max_attempts` is the last.
    :param max_attempts: by default the type's own, or 5.
    :param timeout_seconds: the time limit; by default the type's own, or 900.
    :param cancel_after_progress: the user cancels the task after so many calls of `task.progress`.
    :raises ValueError: when the handler or the type cannot be used.
    :raises Exception: what `setup` or `teardown` raises.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            "run() cannot be called in an `async def`: use `await run_async(...)` with the same arguments"
        )
    return asyncio.run(
        run_async(
            handler,
            data,
            type=type,
            fields=fields,
            user_id=user_id,
            attempt=attempt,
            max_attempts=max_attempts,
            timeout_seconds=timeout_seconds,
            cancel_after_progress=cancel_after_progress,
        )
    )


async def run_async(
    handler: Callable[..., Any] | Handlers,
    data: Any = "",
    *,
    type: str | None = None,  # noqa: A002
    fields: Mapping[str, Any] | None = None,
    user_id: str = "user",
    attempt: int = 1,
    max_attempts: int | None = None,
    timeout_seconds: float | None = None,
    cancel_after_progress: int | None = None,
) -> TaskRun:
    """Do what `run` does, in an `async def`."""
    registration = _registration(handler, type)
    limit_seconds = _first(timeout_seconds, registration.timeout_seconds, MAX_TASK_SECONDS)
    task = Task(
        id="task-1",
        user_id=user_id,
        type=registration.type,
        data=data,
        fields={**(fields or {}), "data": data},
        attempt=attempt,
        max_attempts=_first(max_attempts, registration.max_attempts, MAX_ATTEMPTS),
        deadline=time.time() + limit_seconds,
    )
    task.bind_loop(asyncio.get_running_loop())
    async with _opened(registration) as function:
        attempted = _Attempt(registration, function, task, cancel_after_progress)
        return await attempted.run(limit_seconds)


class _Attempt:
    """One run of a handler."""

    def __init__(
        self, registration: Registration, function: Callable[..., Any], task: Task, cancel_after_progress: int | None
    ) -> None:
        self._is_asynchronous = registration.is_asynchronous
        self._function = function
        self._task = replace(task, publish_progress=self._publish)
        self._cancel_after = cancel_after_progress
        self._progress: list[tuple[str, float | None]] = []
        self._is_cancelled = False
        self._work: asyncio.Task[Result] | None = None

    async def run(self, limit_seconds: float) -> TaskRun:
        self._work = asyncio.create_task(self._guarded())
        _, late = await asyncio.wait({self._work}, timeout=limit_seconds)
        if late:
            self._task.cancel()
            self._work.cancel()
            await asyncio.wait({self._work}, timeout=STOP_SECONDS)
            return self._failed(TimeoutError(f"the handler took more than {limit_seconds:g} s"))
        if self._work.cancelled():
            return self._failed(asyncio.CancelledError())
        error = self._work.exception()
        if error is not None:
            return self._failed(error.__cause__ if isinstance(error, _Aborted) and error.__cause__ else error)
        return TaskRun("finished", self._work.result(), self._progress)

    def _failed(self, error: BaseException) -> TaskRun:
        if self._is_cancelled:
            return TaskRun("cancelled", progress=self._progress, error=error)
        is_final = _is_permanent(error) or self._task.attempt >= self._task.max_attempts
        return TaskRun("failed" if is_final else "retried", progress=self._progress, error=error)

    async def _guarded(self) -> Result:
        """Run the handler. SystemExit and its like would end the event loop."""
        try:
            return _checked(await self._called())
        except BaseException as error:
            if _concerns_one_task(error):
                raise
            raise _Aborted from error

    async def _called(self) -> Any:
        if self._is_asynchronous:
            return await self._function(self._task)
        pool = ThreadPoolExecutor(1, thread_name_prefix="handler")
        call = partial(contextvars.copy_context().run, _called_plainly, self._function, self._task)
        try:
            result = await asyncio.get_running_loop().run_in_executor(pool, call)
        finally:
            pool.shutdown(wait=False)  # at its time limit the function still runs
        if self._is_cancelled and self._task.saw_cancellation:
            raise asyncio.CancelledError
        return await result if inspect.isawaitable(result) else result

    async def _publish(self, text: str, percent: float | None) -> bool:
        self._progress.append((text, percent))
        if len(self._progress) == self._cancel_after:
            self._is_cancelled = True
            self._task.cancel()
            if self._is_asynchronous and self._work is not None:
                self._work.cancel()
                await asyncio.sleep(0)  # the cancellation is raised here, and the handler's `await` raises it
        return True


class _Aborted(Exception):
    """A handler raised what would end the event loop: the cause of this."""


def _concerns_one_task(error: BaseException) -> bool:
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        return False
    return isinstance(error, Exception) != isinstance(error, asyncio.CancelledError)


def _called_plainly(function: Callable[[Task], Any], task: Task) -> Any:
    try:
        return function(task)
    except (StopIteration, GeneratorExit) as error:  # no future can have it, or it would close a coroutine
        raise _Aborted from error


def _checked(value: object) -> Result:
    # By their types, as in the processor, because an object can pretend to be of another class.
    if issubclass(type(value), str):
        value = Result(cast("str", value))
    if not issubclass(type(value), Result):
        raise PermanentError(f"the handler returned {type(value).__name__}, not text or a Result")
    result = cast("Result", value)
    if not issubclass(type(result.message), str):
        raise PermanentError(f"the message of the handler's result is {type(result.message).__name__}, not text")
    try:
        return as_stored(result)
    except NotJsonError as error:
        raise PermanentError(f"the data of the handler's result is not JSON: {error}") from error
    except TooLargeError as error:
        raise PermanentError(str(error), public=str(error)) from error


def _is_permanent(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_permanent(each) for each in error.exceptions)
    return issubclass(type(error), PermanentError)


@asynccontextmanager
async def _opened(registration: Registration) -> AsyncIterator[Callable[..., Any]]:
    if inspect.isroutine(registration.handler):
        yield registration.handler
        return
    function: Any = registration.create()
    async with AsyncExitStack() as stack:
        if hasattr(function, "__aenter__"):
            await stack.enter_async_context(function)
        if hasattr(function, "setup"):
            await _awaited(function.setup)
        if hasattr(function, "teardown"):
            stack.push_async_callback(_awaited, function.teardown)
        yield function


async def _awaited(function: Callable[[], Any]) -> None:
    """Call it, in a thread if it is plain, as the processor does."""
    result = function() if inspect.iscoroutinefunction(function) else await asyncio.to_thread(function)
    if inspect.isawaitable(result):
        await result


def _registration(handler: Callable[..., Any] | Handlers, name: str | None) -> Registration:
    if not isinstance(handler, Handlers):
        handlers = Handlers()
        handlers.register(name or DEFAULT_TYPE)(handler)
        return next(iter(handlers.values()))
    if name is None:
        name = next(iter(handler)) if len(handler) == 1 else DEFAULT_TYPE
    if name not in handler:
        raise ValueError(f"no handler has the type {name!r}: pass one of {', '.join(handler) or '(none)'} as `type`")
    return handler[name]


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
