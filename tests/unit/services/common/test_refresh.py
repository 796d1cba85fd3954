"""The pauses between two refreshes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.refresh import refresh_periodically


def pauses(every_seconds: float, successes: list[bool]) -> list[float]:
    """Return the pause after each refresh."""
    slept: list[float] = []
    remaining = iter(successes)

    async def refresh() -> bool:
        return next(remaining)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == len(successes):
            raise asyncio.CancelledError

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            await refresh_periodically(refresh, every_seconds=every_seconds, sleep=sleep)

    asyncio.run(run())
    return slept


@given(every=st.floats(1, 86_400))
def test_after_a_success_the_pause_is_the_usual_one_within_a_tenth(every: float) -> None:
    assert all(every * 0.9 <= pause <= every * 1.1 for pause in pauses(every, [True, False, True])[::2])


def test_after_failures_the_pause_is_short_doubles_and_is_capped() -> None:
    for _ in range(20):
        for pause, at_most in zip(pauses(3_600, [False] * 8), (0.25, 0.5, 1, 2, 4, 5, 5, 5), strict=True):
            assert at_most / 2 <= pause <= at_most


def test_a_success_resets_the_backoff() -> None:
    assert pauses(3_600, [False, False, False, True, False])[-1] <= 0.25


def test_replicas_do_not_refresh_at_the_same_time() -> None:
    assert len({pauses(300, [True])[0] for _ in range(20)}) > 15
    assert len({pauses(300, [False] * 5)[-1] for _ in range(20)}) > 15
