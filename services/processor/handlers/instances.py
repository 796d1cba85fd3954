"""Opens and closes handlers that are objects: `setup` and `teardown`, or an asynchronous context manager."""

import asyncio
import concurrent.futures
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from notification_api.handlers import Registration
from services.common.error_text import describe_error, describe_traceback
from services.processor.handlers.loader import unusable

logger = logging.getLogger(__name__)

SETUP_SECONDS = 60.0
TEARDOWN_SECONDS = 5.0
ABANDON_SECONDS = 0.5
"""How long a teardown that was cancelled may take to end."""


@asynccontextmanager
async def opened_handlers(registrations: Iterable[Registration]) -> AsyncIterator[dict[str, Callable[..., Any]]]:
    """Provide the function of each type, and keep those that are objects open for the length of the block.

    All are set up at the same time, within `SETUP_SECONDS`, and torn down at the same time, within `TEARDOWN_SECONDS`.

    :raises SettingsError: when one cannot be set up.
    """
    functions: dict[str, Callable[..., Any]] = {}
    owners: dict[str, _Owner] = {}
    for registration in registrations:
        if _needs_opening(registration.handler):
            owners[registration.type] = _Owner(registration)
        else:
            functions[registration.type] = registration.handler
    try:
        yield functions | await _set_up(owners)
    finally:
        await _tear_down(owners)


class _Owner:
    """Sets up one handler and tears it down, both in one task, as task groups and the like require."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration
        self._may_close = asyncio.Event()
        self._is_abandoned = False
        self.function: asyncio.Future[Callable[..., Any]] = asyncio.get_running_loop().create_future()
        """Done when the handler is set up, or cannot be."""
        self.task = asyncio.create_task(self._run(), name="handler-instance")

    def close(self) -> None:
        """Start the teardown, or end the setup."""
        self._may_close.set()
        if not self.function.done():
            self.task.cancel()

    def abandon(self) -> None:
        """Cancel the teardown, because it takes too long."""
        self._is_abandoned = True
        self.task.cancel()
        _log_teardown(self._registration.type, f"it takes more than {TEARDOWN_SECONDS:g} s")

    async def _run(self) -> None:
        try:
            async with _opened(self._registration) as function:
                self.function.set_result(function)
                await self._may_close.wait()
        except BaseException as error:  # noqa: BLE001 — SystemExit would end the event loop
            if not self.function.done():
                self.function.set_exception(_SetupError(error))
                self.function.exception()  # retrieved, so that asyncio does not log it
            elif not self._is_abandoned:
                _log_teardown(self._registration.type, describe_traceback(error))


class _SetupError(Exception):
    def __init__(self, error: BaseException) -> None:
        self.__cause__ = error
        super().__init__(describe_error(error))


async def _set_up(owners: dict[str, _Owner]) -> dict[str, Callable[..., Any]]:
    if not owners:
        return {}
    waiting = {owner.function for owner in owners.values()}
    await asyncio.wait(waiting, timeout=SETUP_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
    for name, owner in owners.items():
        error = owner.function.exception() if owner.function.done() else None
        if error is not None:
            logger.error(
                "a handler cannot be set up", extra={"action": "start", "exception": describe_traceback(error)}
            )
            raise unusable(f"the handler of the type {name!r} cannot be set up: {error}")
    late = [name for name, owner in owners.items() if not owner.function.done()]
    if late:
        raise unusable(f"the handler of the type {late[0]!r} is not set up after {SETUP_SECONDS:g} s")
    return {name: owner.function.result() for name, owner in owners.items()}


async def _tear_down(owners: dict[str, _Owner]) -> None:
    by_task = {owner.task: owner for owner in owners.values()}
    if not by_task:
        return
    for owner in by_task.values():
        owner.close()
    _, late = await asyncio.wait(by_task, timeout=TEARDOWN_SECONDS)
    for task in late:
        by_task[task].abandon()
    if late:
        await asyncio.wait(late, timeout=ABANDON_SECONDS)


def _log_teardown(task_type: str, exception: str) -> None:
    logger.error("a handler's teardown failed", extra={"action": "stop", "taskType": task_type, "exception": exception})


def _needs_opening(handler: Callable[..., Any]) -> bool:
    if inspect.isclass(handler):
        return True
    return not inspect.isroutine(handler) and any(
        hasattr(handler, name) for name in ("setup", "teardown", "__aenter__")
    )


@asynccontextmanager
async def _opened(registration: Registration) -> AsyncIterator[Callable[..., Any]]:
    function: Any = registration.create()
    async with AsyncExitStack() as stack:
        if hasattr(function, "__aenter__"):
            await stack.enter_async_context(function)
        if hasattr(function, "setup"):
            await _call(function.setup)
        if hasattr(function, "teardown"):
            stack.push_async_callback(_call, function.teardown)
        yield function


async def _call(function: Callable[[], Any]) -> None:
    """Call it, in a thread if it is plain, because it may block."""
    result = function() if inspect.iscoroutinefunction(function) else await _in_thread(function)
    if inspect.isawaitable(result):
        await result


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Call it in a thread that does not keep the process alive if it never returns."""
    result: concurrent.futures.Future[Any] = concurrent.futures.Future()
    result.set_running_or_notify_cancel()  # it can be left, but not cancelled

    def call() -> None:
        try:
            result.set_result(function())
        except BaseException as error:  # noqa: BLE001 — raised where the result is awaited
            result.set_exception(error)

    threading.Thread(target=call, name="handler-instance", daemon=True).start()
    return await asyncio.wrap_future(result)
