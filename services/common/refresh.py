"""The loop that refreshes a value from elsewhere in the background."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from services.common.backoff import Backoff

FIRST_RETRY_SECONDS = 0.25
MAX_RETRY_SECONDS = 5.0
JITTER = 0.1


async def refresh_periodically(
    refresh: Callable[[], Awaitable[bool]],
    *,
    every_seconds: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `refresh` until cancelled: after a success in `every_seconds`, after a failure with backoff.

    The interval has jitter, so that replicas do not call at the same time.

    :param refresh: returns whether it succeeded; has a deadline of its own.
    """
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    while True:
        if await refresh():
            backoff.reset()
            await sleep(every_seconds * random.uniform(1 - JITTER, 1 + JITTER))
        else:
            await sleep(backoff.next_seconds())
