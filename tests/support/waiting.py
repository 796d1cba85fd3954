"""Waiting for a condition, instead of for a while."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

_POLL_SECONDS = 0.02


async def eventually(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Return once `condition()` holds; fails the test if it does not within `seconds`.

    The condition is asked in a thread, so it may block for a moment.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 -- another process's state signals nothing
                await asyncio.sleep(_POLL_SECONDS)
            return
    raise AssertionError(f"the condition did not hold within {seconds} s")
