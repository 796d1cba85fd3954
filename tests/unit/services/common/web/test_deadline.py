"""A deadline that can be set and cancelled."""

import asyncio

from services.common.web.deadline import Deadline


async def test_it_expires_once_after_the_time_it_was_first_set_for_and_can_be_set_again() -> None:
    expired: asyncio.Queue[None] = asyncio.Queue()
    deadline = Deadline(lambda: expired.put_nowait(None))
    deadline.cancel()
    for _ in range(2):
        deadline.set(0.001)
        deadline.set(1_000)
        async with asyncio.timeout(10):
            await expired.get()
    assert expired.empty()


async def test_a_cancelled_timer_does_not_expire() -> None:
    expired: list[str] = []
    cancelled, other = Deadline(lambda: expired.append("cancelled")), asyncio.Event()
    cancelled.set(0.001)
    cancelled.cancel()
    Deadline(other.set).set(0.01)
    async with asyncio.timeout(10):
        await other.wait()
    assert expired == []
