"""The circuit breaker: open while news cannot be told, closed by whatever can be published again."""

import asyncio
from typing import Any, cast

import pytest

from services.common.momento.errors import MomentoKeyRefused, MomentoRefused, MomentoUnavailable
from services.processor.notify.circuit_breaker import PROBE_PAUSE_CAP_SECONDS, PROBE_TOPIC, Breaker
from tests.support.processor.in_process import Counted
from tests.support.waiting import wait_until


class Topics:
    def __init__(self) -> None:
        self.published: list[str] = []
        self.error: Exception | None = None
        self.reason: str | None = None

    def readiness_problem(self) -> str | None:
        return self.reason

    async def publish(self, topic: str, text: str) -> None:
        self.published.append(topic)
        if self.error is not None:
            raise self.error


class World:
    def __init__(self) -> None:
        self.topics = Topics()
        self.closings = 0
        self.breaker = Breaker(cast("Any", self.topics), self._closed, stores=False)

    async def is_outage(self, error: Exception | None) -> bool:
        self.topics.error = error
        return await self.breaker.is_outage(MomentoUnavailable("down"))

    def _closed(self) -> None:
        self.closings += 1


@pytest.fixture
def world() -> World:
    return World()


async def test_it_is_open_until_a_first_probe_and_opens_when_a_probe_fails(world: World) -> None:
    paused = Counted("receiving_paused")
    seen = [(world.breaker.is_open, paused(), world.closings)]
    await world.breaker.check()
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert not await world.is_outage(None)
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert await world.is_outage(MomentoUnavailable("down"))
    seen.append((world.breaker.is_open, paused(), world.closings))
    world.breaker.told()
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert seen == [(True, 0, 0), (False, 0, 1), (False, 0, 1), (True, 1, 1), (False, 0, 2)]


async def test_many_that_fail_at_once_share_the_probe_that_finds_the_outage(world: World) -> None:
    await world.breaker.check()
    world.topics.published.clear()
    assert all(await asyncio.gather(*(world.is_outage(MomentoUnavailable("down")) for _ in range(20))))
    assert world.topics.published == [PROBE_TOPIC]


async def test_news_that_is_told_closes_nothing_that_is_closed(world: World) -> None:
    await world.breaker.check()
    world.breaker.told()
    assert world.closings == 1


async def test_it_publishes_to_nobody_ever_less_often_until_that_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def longest(low: float, high: float) -> float:
        pauses.append(high)
        return 0.001

    monkeypatch.setattr("services.processor.notify.circuit_breaker.random.uniform", longest)
    running = asyncio.create_task(world.breaker.run())
    await wait_until(lambda: not world.breaker.is_open)
    assert (world.topics.published, pauses) == ([PROBE_TOPIC], [])  # the first at once
    assert await world.is_outage(MomentoRefused("may not"))
    await wait_until(lambda: len(pauses) > 7)
    world.topics.error = None
    await wait_until(lambda: not world.breaker.is_open)
    running.cancel()
    assert pauses[:6] == [1.0, 2.0, 4.0, PROBE_PAUSE_CAP_SECONDS, PROBE_PAUSE_CAP_SECONDS, PROBE_PAUSE_CAP_SECONDS]
    assert set(world.topics.published) == {PROBE_TOPIC}
    assert world.closings == 2


async def test_it_waits_for_the_api_key_before_the_first_probe(world: World) -> None:
    world.topics.reason = "the key is not read yet"
    running = asyncio.create_task(world.breaker.run())
    await asyncio.sleep(0.25)
    assert world.topics.published == []
    world.topics.reason = None
    await wait_until(lambda: not world.breaker.is_open)
    running.cancel()


@pytest.mark.parametrize("error", [MomentoUnavailable("down"), MomentoRefused("may not")])
async def test_a_check_that_fails_opens_it(world: World, error: Exception) -> None:
    await world.breaker.check()
    world.topics.error = error
    with pytest.raises(type(error)):
        await world.breaker.check()
    assert world.breaker.is_open
    waiting = asyncio.create_task(world.breaker.until_works())
    await asyncio.sleep(0)
    world.topics.error = None
    await asyncio.sleep(0)
    assert not waiting.done()
    await world.breaker.check()
    await waiting
    assert not world.breaker.is_open


async def test_while_it_is_open_in_an_outage_it_says_why(world: World) -> None:
    said = [world.breaker.paused_because()]
    await world.breaker.check()
    assert await world.is_outage(MomentoKeyRefused("publish: AUTHENTICATION_ERROR"))
    said.append(world.breaker.paused_because())
    world.breaker.told()
    said.append(world.breaker.paused_because())
    assert said == [None, "Momento refuses the API key (publish: AUTHENTICATION_ERROR)", None]
