"""Waiting for a condition with a deadline, instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.01
_MAX_POLL_SECONDS = 0.3
_POLL_SHARE = 0.05
"""A poll of another process costs CPU time: `wait_until_sync` pauses for this share of the time waited so far."""


async def wait_until(condition: Callable[[], object | Awaitable[object]], *, timeout_seconds: float = 10.0) -> None:
    """Return when `condition()`, or what it returns when awaited, is true.

    The condition is called in the event loop. One that may block belongs into `asyncio.to_thread`.

    :raises AssertionError: when it is not true within `timeout_seconds`.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            while not await _answer(condition):  # noqa: ASYNC110 — a condition has no event to wait for
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"the condition was not true within {timeout_seconds:g} s") from None


async def _answer(condition: Callable[[], object | Awaitable[object]]) -> object:
    answer = condition()
    return await answer if isinstance(answer, Awaitable) else answer


def wait_until_sync(
    condition: Callable[[], T | None], what: str | Callable[[], str], *, timeout_seconds: float = 30.0
) -> T:
    """Return the first true result of `condition()`.

    :param what: what is waited for, or a function that describes what was seen last; the error's text.
    :raises AssertionError: when it is not true within `timeout_seconds`.
    """
    started_at = time.monotonic()
    while not (answer := condition()):
        waited_seconds = time.monotonic() - started_at
        if waited_seconds > timeout_seconds:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(min(max(_POLL_SECONDS, waited_seconds * _POLL_SHARE), _MAX_POLL_SECONDS))
    return answer
