"""Handlers: found by name, plain functions run in threads, every answer is text."""

import asyncio
import contextvars
import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from services.common.errors import PermanentError
from services.common.settings import SettingsError
from services.processor.task import Task

Handler = Callable[[Task], Awaitable[str]]


class NotText(PermanentError):
    """A handler answered something else than text."""


def find_handler(name: str) -> Callable[[Task], Any]:
    """Import ``module:function``.

    :raises SettingsError: when it cannot be used; the sentence names the cause.
    """
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ImportError as error:
        raise _unusable(f"{module_name} cannot be imported: {error}") from error
    if not callable(function):
        raise _unusable(f"{module_name} has no function {function_name}")
    return _checked(function, name)


def _checked(function: Callable[[Task], Any], name: str) -> Callable[[Task], Any]:
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise _unusable(f"{name} must take one argument, the task") from None
    return function


def _unusable(reason: str) -> SettingsError:
    return SettingsError({"TASK_HANDLER": [reason]})


@contextmanager
def runnable(function: Callable[[Task], Any], threads: int) -> Iterator[Handler]:
    """Give `function` one form, whether it is asynchronous or not."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004

        async def run(task: Task) -> str:
            return _text(await function(task))

        yield run
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="handler")

    async def run_in_thread(task: Task) -> str:
        context = contextvars.copy_context()
        result = await asyncio.get_running_loop().run_in_executor(pool, context.run, function, task)
        if inspect.isawaitable(result):
            result = await result  # a plain function that returns a coroutine, such as a partial or a lambda
        return _text(result)

    try:
        yield run_in_thread
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _text(result: object) -> str:
    if not isinstance(result, str):
        raise NotText(f"the handler answered {type(result).__name__}, not text")
    return result
