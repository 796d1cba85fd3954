"""When a call that failed is made again. The decisions are pure functions."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from notification_api.client.errors import NotificationApiError, UnreachableError

T = TypeVar("T")

MAX_TRIES = 8
TOTAL_SECONDS = 60.0
LONGEST_ASKED_SECONDS = 300.0
"""A proxy that asks for more is not obeyed: a subscription would receive nothing for hours."""
SPREAD_SECONDS = 1.0
"""Clients that were refused together do not all come back at the second that `Retry-After` names."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each failure."""

    base_seconds: float
    cap_seconds: float

    def pause(self, failures: int, retry_after_seconds: float | None, jitter: float) -> float:
        """Return the seconds to wait: a random part of the longest pause, but not less than the service asks for,
        up to five minutes.

        :param failures: in a row, from 1.
        :param jitter: 0 to 1.
        """
        longest = min(self.cap_seconds, self.base_seconds * 2.0 ** min(failures - 1, 30))
        if retry_after_seconds is None:
            return jitter * longest
        asked = min(LONGEST_ASKED_SECONDS, retry_after_seconds) + jitter * SPREAD_SECONDS
        return max(jitter * longest, asked)


CALL_BACKOFF = Backoff(0.5, 15.0)


def pause_before_retry(error: NotificationApiError, tries: int, left_seconds: float, jitter: float) -> float | None:
    """Return the seconds to wait before the next try; None when there is none.

    :param tries: made so far.
    :param left_seconds: until the call must have succeeded.
    """
    if not error.retryable or tries >= MAX_TRIES:
        return None
    pause = CALL_BACKOFF.pause(tries, error.retry_after_seconds, jitter)
    return pause if pause < left_seconds else None


async def with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated without harm, up to 8 times within 60 seconds.

    :raises NotificationApiError: that of the last try.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + TOTAL_SECONDS
    for tries in count(1):
        try:
            async with asyncio.timeout_at(deadline):
                return await call()
        except TimeoutError:
            raise UnreachableError(f"There was no answer within {TOTAL_SECONDS:g} s") from None
        except NotificationApiError as error:
            pause = pause_before_retry(error, tries, deadline - clock(), random.random())
            if pause is None:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("the loop ends by returning or raising")
