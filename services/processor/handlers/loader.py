"""Loads handlers by name, runs plain functions in threads, and checks that every result is text."""

import asyncio
import contextvars
import importlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

from notification_api import PermanentError, Task
from services.common.error_text import describe_error, describe_traceback, type_name
from services.common.messages.notification import MAX_BYTES
from services.common.settings import SettingsError

logger = logging.getLogger(__name__)

Handler = Callable[[Task], Awaitable[str]]


class HandlerAborted(RuntimeError):
    """A handler raised an error that would end the event loop, such as SystemExit; that error is its cause."""


class NotTextError(PermanentError):
    """A handler returned something else than text."""


def find_handler(name: str) -> Callable[[Task], Any]:
    """Import ``module:function``.

    :raises SettingsError: when it cannot be used; the message names the cause.
    """
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ImportError as error:
        raise _unusable(f"{module_name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # an adopter's module may do anything when it is imported
        logger.error(  # noqa: TRY400 — logging may fail to format the error itself
            "the handler's module fails", extra={"action": "start", "exception": describe_traceback(error)}
        )
        raise _unusable(f"{module_name} cannot be imported: {describe_error(error)}") from error
    if not callable(function):
        raise _unusable(f"{module_name} has no function {function_name}")
    return _checked(function, name)


def _checked(function: Callable[[Task], Any], name: str) -> Callable[[Task], Any]:
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise _unusable(f"{name} must take one argument, the task") from None
    except ValueError:
        return function  # written in C, without a signature
    return function


def is_asynchronous(function: Callable[[Task], Any]) -> bool:
    """Return whether `function` runs in the event loop, not in a thread."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _unusable(reason: str) -> SettingsError:
    return SettingsError({"TASK_HANDLER": [reason]})


@contextmanager
def runnable(function: Callable[[Task], Any], threads: int) -> Iterator[Handler]:
    """Wrap `function` so that it can be awaited, whether it is asynchronous or not."""
    if is_asynchronous(function):

        async def run(task: Task) -> str:
            return _text(await function(task))

        yield run
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="handler")

    async def run_in_thread(task: Task) -> str:
        result = await _in_thread(pool, task, contextvars.copy_context().run, _plain, function, task)
        if _is_awaitable(result):
            result = await result  # a plain function that returns a coroutine, such as a partial or a lambda
        return _text(result)

    try:
        yield run_in_thread
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
            await asyncio.wait({result})
            if not result.cancelled() and result.exception() is None and not task.saw_cancellation:
                return result.result()
        raise


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


def _text(result: object) -> str:
    # By its type, because an object can pretend to be of another class.
    if not issubclass(type(result), str):
        raise NotTextError(f"the handler returned {type_name(result)}, not text")
    # A plain string, without the methods of the handler's own class, and no longer than can be published.
    return str.__getitem__(cast("str", result), slice(MAX_BYTES + 1))
