"""Gives every kind of function the form that is awaited: plain functions run in threads."""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from notification_api import Result, Task
from services.common.error_text import describe_error
from services.processor.handlers.errors import HandlerAborted
from services.processor.handlers.results import checked_result

Call = Callable[[Task], Awaitable[Result]]


def asynchronous_call(function: Callable[[Task], Awaitable[Any]]) -> Call:
    """Return a call of an asynchronous function."""

    async def call(task: Task) -> Result:
        return checked_result(await function(task))

    return call


def threaded_call(function: Callable[[Task], Any], pool: ThreadPoolExecutor) -> Call:
    """Return a call of a plain function in a thread of the pool."""

    async def call(task: Task) -> Result:
        task.bind_loop(asyncio.get_running_loop())
        result = await _in_thread(pool, task, contextvars.copy_context().run, _plain, function, task)
        if _is_awaitable(result):
            result = await result  # a plain function that returns a coroutine, such as a lambda
        return checked_result(result)

    return call


async def _in_thread(pool: ThreadPoolExecutor, task: Task, function: Callable[..., Any], *arguments: object) -> Any:
    """Call in a thread. When this is cancelled, it waits for a call that has begun, because a thread cannot be stopped.

    What the call then returns counts, unless the handler has seen that it is cancelled.
    """
    call = pool.submit(function, *arguments)
    result = asyncio.wrap_future(call)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        if not call.cancel():
            await _wait_until_done(result)
            if not result.cancelled() and result.exception() is None and not task.saw_cancellation:
                return result.result()
        raise


async def _wait_until_done(result: "asyncio.Future[Any]") -> None:
    """Wait also if this is cancelled again: the thread runs on, so its slot is not free."""
    while not result.done():
        try:
            await asyncio.wait({result})
        except asyncio.CancelledError:
            continue


def _plain(function: Callable[[Task], Any], task: Task) -> Any:
    try:
        return function(task)
    except StopIteration as error:  # a future refuses it, so the task would hang until its time limit
        raise RuntimeError("the handler raised StopIteration") from error
    except GeneratorExit as error:  # raised into the coroutine that awaits the thread, it would close that coroutine
        raise HandlerAborted(f"the handler raised {describe_error(error)}") from error


def _is_awaitable(result: object) -> bool:
    try:
        return inspect.isawaitable(result)
    except BaseException:  # noqa: BLE001 — its `__class__` raised; a coroutine's does not
        return False
