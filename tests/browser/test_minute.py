"""A minute without a network. It passes beside the other tests, which would else wait for it."""

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.timeout(180)
async def test_all_news_is_there_and_none_twice_after_a_minute_away(minute_away: asyncio.Task[None]) -> None:
    await minute_away
