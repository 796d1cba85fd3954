"""The circuit breaker: open while notifications cannot be delivered, closed by the first that can."""

import asyncio
from typing import Any, cast

import pytest

from services.common.momento.errors import MomentoKeyRefused, MomentoRefused, MomentoUnavailable
from services.processor.notify.circuit_breaker import PROBE_PAUSE_CAP_SECONDS, PROBE_TOPIC, CircuitBreaker
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
        self.pauses: list[float] = []
        """The longest pause after each failed probe."""
        self.breaker = CircuitBreaker(cast("Any", self.topics), self._closed, stores=False, uniform=self._pause)

    def _pause(self, _low: float, high: float) -> float:
        self.pauses.append(high)
        return 0.001

    async def confirm_outage(self, error: Exception | None) -> bool:
        self.topics.error = error
        return await self.breaker.confirm_outage(MomentoUnavailable("down"))

    def _closed(self) -> None:
        self.closings += 1


@pytest.fixture
def world() -> World:
    return World()


async def test_it_is_open_until_a_first_probe_and_opens_when_a_probe_fails(world: World) -> None:
    paused = Counted("receiving_paused")
    seen = [(world.breaker.is_open, paused(), world.closings)]
    await world.breaker.probe()
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert not await world.confirm_outage(None)
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert await world.confirm_outage(MomentoUnavailable("down"))
    seen.append((world.breaker.is_open, paused(), world.closings))
    world.breaker.record_success()
    seen.append((world.breaker.is_open, paused(), world.closings))
    assert seen == [(True, 0, 0), (False, 0, 1), (False, 0, 1), (True, 1, 1), (False, 0, 2)]


async def test_many_that_fail_at_once_share_the_probe_that_finds_the_outage(world: World) -> None:
    await world.breaker.probe()
    world.topics.published.clear()
    assert all(await asyncio.gather(*(world.confirm_outage(MomentoUnavailable("down")) for _ in range(20))))
    assert world.topics.published == [PROBE_TOPIC]


async def test_a_delivered_notification_does_not_close_a_closed_breaker_again(world: World) -> None:
    await world.breaker.probe()
    world.breaker.record_success()
    assert world.closings == 1


async def test_it_probes_ever_less_often_until_a_probe_succeeds(world: World) -> None:
    running = asyncio.create_task(world.breaker.run())
    await wait_until(lambda: not world.breaker.is_open)
    assert (world.topics.published, world.pauses) == ([PROBE_TOPIC], [])  # the first at once
    assert await world.confirm_outage(MomentoRefused("may not"))
    await wait_until(lambda: len(world.pauses) > 7)
    world.topics.error = None
    await wait_until(lambda: not world.breaker.is_open)
    running.cancel()
    assert world.pauses[:6] == [
        1.0,
        2.0,
        4.0,
        PROBE_PAUSE_CAP_SECONDS,
        PROBE_PAUSE_CAP_SECONDS,
        PROBE_PAUSE_CAP_SECONDS,
    ]
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
async def test_a_probe_that_fails_opens_it(world: World, error: Exception) -> None:
    await world.breaker.probe()
    world.topics.error = error
    with pytest.raises(type(error)):
        await world.breaker.probe()
    assert world.breaker.is_open
    waiting = asyncio.create_task(world.breaker.wait_until_available())
    await asyncio.sleep(0)
    world.topics.error = None
    await asyncio.sleep(0)
    assert not waiting.done()
    await world.breaker.probe()
    await waiting
    assert not world.breaker.is_open


async def test_while_it_is_open_in_an_outage_it_says_why(world: World) -> None:
    said = [world.breaker.pause_reason()]
    await world.breaker.probe()
    assert await world.confirm_outage(MomentoKeyRefused("publish: AUTHENTICATION_ERROR"))
    said.append(world.breaker.pause_reason())
    world.breaker.record_success()
    said.append(world.breaker.pause_reason())
    assert said == [None, "Momento refuses the API key (publish: AUTHENTICATION_ERROR)", None]
