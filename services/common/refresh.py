"""The loop that keeps something fetched from elsewhere fresh in the background."""

import asyncio
import random
from collections.abc import Awaitable, Callable

FIRST_RETRY_SECONDS = 0.25
MAX_RETRY_SECONDS = 5.0
JITTER = 0.1


async def keep_fresh(
    refresh: Callable[[], Awaitable[bool]],
    *,
    every_seconds: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `refresh` for ever: after a success every `every_seconds`, after a failure with backoff.

    `refresh` returns whether it worked, and has a deadline of its own. Runs until cancelled.
    """
    failures = 0
    while True:
        failures = 0 if await refresh() else failures + 1
        await sleep(pause_seconds(failures, every_seconds))


def pause_seconds(failures: int, every_seconds: float) -> float:
    """How long to wait after so many failures in a row; jittered, so that replicas do not ask in step."""
    if failures == 0:
        return every_seconds * random.uniform(1 - JITTER, 1 + JITTER)
    # The exponent is capped as well: 2.0 ** 1100 would overflow after a long outage.
    ceiling = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
    return random.uniform(ceiling / 2, ceiling)
