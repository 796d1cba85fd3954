"""Waiting for a condition of the test's own process; it is asked in the event loop itself, unlike `eventually`'s."""

import asyncio
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.01


async def soon(condition: Callable[[], bool | Awaitable[bool]], *, seconds: float = 10.0) -> None:
    """Return once `condition()` holds; fails the test if it does not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await _holds(condition):  # noqa: ASYNC110 — a condition over many things signals nothing
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"the condition did not hold within {seconds} s") from None


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = condition()
    return answer if isinstance(answer, bool) else await answer
