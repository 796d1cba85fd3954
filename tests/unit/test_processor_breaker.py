"""The circuit breaker: open while news cannot be told, closed by whatever can be published again."""

import asyncio
from typing import Any, cast

import pytest

from services.common.momento_errors import MomentoRefused, MomentoUnavailable
from services.processor.breaker import FAILURES, PROBE_PAUSE_CAP_SECONDS, PROBE_TOPIC, Breaker
from tests.support.processor_here import Counted
from tests.support.soon import soon


class Topics:
    def __init__(self) -> None:
        self.published: list[str] = []
        self.error: Exception | None = None

    async def publish(self, topic: str, text: str) -> None:
        self.published.append(topic)
        if self.error is not None:
            raise self.error


class World:
    def __init__(self) -> None:
        self.topics = Topics()
        self.closings = 0
        self.breaker = Breaker(cast("Any", self.topics), self._closed, stores=False)

    def open(self) -> None:
        for _ in range(FAILURES):
            self.breaker.failed(MomentoUnavailable("down"))

    def _closed(self) -> None:
        self.closings += 1


@pytest.fixture
def world() -> World:
    return World()


def test_it_opens_at_failures_in_a_row_and_says_so(world: World) -> None:
    paused = Counted("receiving_paused")
    for _ in range(FAILURES - 1):
        world.breaker.failed(MomentoUnavailable("down"))
    world.breaker.told()
    for _ in range(FAILURES - 1):
        world.breaker.failed(MomentoUnavailable("down"))
    seen = [(world.breaker.is_open, paused())]
    world.breaker.failed(MomentoUnavailable("down"))
    seen.append((world.breaker.is_open, paused()))
    world.breaker.told()
    seen.append((world.breaker.is_open, paused()))
    assert seen == [(False, 0), (True, 1), (False, 0)]
    assert world.closings == 1


def test_news_that_is_told_closes_nothing_that_is_closed(world: World) -> None:
    world.breaker.told()
    assert world.closings == 0


async def test_it_publishes_to_nobody_ever_less_often_until_that_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def longest(low: float, high: float) -> float:
        pauses.append(high)
        return 0.001

    monkeypatch.setattr("services.processor.breaker.random.uniform", longest)
    running = asyncio.create_task(world.breaker.run())
    await asyncio.sleep(0)
    assert world.topics.published == []
    world.topics.error = MomentoRefused("may not")
    world.open()
    await soon(lambda: len(pauses) > 7)
    world.topics.error = None
    await soon(lambda: not world.breaker.is_open)
    running.cancel()
    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, PROBE_PAUSE_CAP_SECONDS, PROBE_PAUSE_CAP_SECONDS]
    assert set(world.topics.published) == {PROBE_TOPIC}
    assert world.closings == 1


@pytest.mark.parametrize("error", [MomentoUnavailable("down"), MomentoRefused("may not")])
async def test_a_check_that_fails_counts(world: World, error: Exception) -> None:
    world.topics.error = error
    for _ in range(FAILURES):
        with pytest.raises(type(error)):
            await world.breaker.check()
    assert world.breaker.is_open
    world.topics.error = None
    await world.breaker.check()
    assert not world.breaker.is_open
