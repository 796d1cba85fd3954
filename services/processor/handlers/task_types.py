"""The task types that a processor serves: what runs a task of each, and with which limits."""

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from notification_api import Handlers
from notification_api.handlers import Registration
from services.processor.handlers.calls import Call, asynchronous_call, threaded_call
from services.processor.handlers.instances import opened_handlers
from services.processor.settings import ProcessorSettings

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskType:
    """A task type, with every limit resolved."""

    name: str
    call: Call
    """Runs a task and returns its checked result."""
    timeout_seconds: float
    max_attempts: int
    backoff_base_seconds: float
    backoff_cap_seconds: float
    concurrency: int | None
    """Tasks of this type that the replica runs at once; None if only its slots limit them."""
    threads: int | None = None
    """Threads of a plain function."""


TaskTypes = Mapping[str, TaskType]
"""The task types of a replica by name; others are unknown to it."""


@asynccontextmanager
async def open_task_types(handlers: Handlers, settings: ProcessorSettings) -> AsyncIterator[TaskTypes]:
    """Provide the task types for the length of the block; handlers that are objects are set up before.

    :raises SettingsError: when a handler cannot be set up.
    """
    async with opened_handlers(handlers.values()) as functions:
        with ExitStack() as stack:
            yield {name: _task_type(each, functions[name], settings, stack) for name, each in handlers.items()}


def concurrency(registration: Registration, settings: ProcessorSettings) -> int | None:
    """Return how many tasks of a type run at once: for a plain function no more than it has threads."""
    if registration.is_asynchronous:
        return registration.concurrency
    return min(registration.concurrency or settings.handler_threads, settings.handler_threads)


def _task_type(
    registration: Registration, function: Callable[..., Any], settings: ProcessorSettings, stack: ExitStack
) -> TaskType:
    limit = concurrency(registration, settings)
    if registration.is_asynchronous:
        call = asynchronous_call(function)
    else:
        pool = ThreadPoolExecutor(limit, thread_name_prefix="handler")
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        call = threaded_call(function, pool)
    return TaskType(
        name=registration.type,
        call=call,
        timeout_seconds=_given(registration.timeout_seconds, settings.max_task_seconds),
        max_attempts=_given(registration.max_attempts, settings.max_attempts),
        backoff_base_seconds=_given(registration.backoff_base_seconds, settings.backoff_base_seconds),
        backoff_cap_seconds=_given(registration.backoff_cap_seconds, settings.backoff_cap_seconds),
        concurrency=limit,
        threads=None if registration.is_asynchronous else limit,
    )


def _given(value: N | None, default: N) -> N:
    return default if value is None else value
