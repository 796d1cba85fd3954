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


class BreakerHarness:
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
def harness() -> BreakerHarness:
    return BreakerHarness()


async def test_it_is_open_until_a_first_probe_and_opens_when_a_probe_fails(harness: BreakerHarness) -> None:
    paused = Counted("receiving_paused")
    seen = [(harness.breaker.is_open, paused(), harness.closings)]
    await harness.breaker.probe()
    seen.append((harness.breaker.is_open, paused(), harness.closings))
    assert not await harness.confirm_outage(None)
    seen.append((harness.breaker.is_open, paused(), harness.closings))
    assert await harness.confirm_outage(MomentoUnavailable("down"))
    seen.append((harness.breaker.is_open, paused(), harness.closings))
    harness.breaker.record_success()
    seen.append((harness.breaker.is_open, paused(), harness.closings))
    assert seen == [(True, 0, 0), (False, 0, 1), (False, 0, 1), (True, 1, 1), (False, 0, 2)]


async def test_many_that_fail_at_once_share_the_probe_that_finds_the_outage(harness: BreakerHarness) -> None:
    await harness.breaker.probe()
    harness.topics.published.clear()
    assert all(await asyncio.gather(*(harness.confirm_outage(MomentoUnavailable("down")) for _ in range(20))))
    assert harness.topics.published == [PROBE_TOPIC]


async def test_a_delivered_notification_does_not_close_a_closed_breaker_again(harness: BreakerHarness) -> None:
    await harness.breaker.probe()
    harness.breaker.record_success()
    assert harness.closings == 1


async def test_it_probes_less_and_less_often_until_a_probe_succeeds(harness: BreakerHarness) -> None:
    running = asyncio.create_task(harness.breaker.run())
    await wait_until(lambda: not harness.breaker.is_open)
    assert (harness.topics.published, harness.pauses) == ([PROBE_TOPIC], [])  # the first at once
    assert await harness.confirm_outage(MomentoRefused("may not"))
    await wait_until(lambda: len(harness.pauses) > 7)
    harness.topics.error = None
    await wait_until(lambda: not harness.breaker.is_open)
    running.cancel()
    assert harness.pauses[:6] == [
        1.0,
        2.0,
        4.0,
        PROBE_PAUSE_CAP_SECONDS,
        PROBE_PAUSE_CAP_SECONDS,
        PROBE_PAUSE_CAP_SECONDS,
    ]
    assert set(harness.topics.published) == {PROBE_TOPIC}
    assert harness.closings == 2


async def test_it_waits_for_the_api_key_before_the_first_probe(harness: BreakerHarness) -> None:
    harness.topics.reason = "the key is not read yet"
    running = asyncio.create_task(harness.breaker.run())
    await asyncio.sleep(0.25)
    assert harness.topics.published == []
    harness.topics.reason = None
    await wait_until(lambda: not harness.breaker.is_open)
    running.cancel()


@pytest.mark.parametrize("error", [MomentoUnavailable("down"), MomentoRefused("may not")])
async def test_a_probe_that_fails_opens_it(harness: BreakerHarness, error: Exception) -> None:
    await harness.breaker.probe()
    harness.topics.error = error
    with pytest.raises(type(error)):
        await harness.breaker.probe()
    assert harness.breaker.is_open
    waiting = asyncio.create_task(harness.breaker.wait_until_available())
    await asyncio.sleep(0)
    harness.topics.error = None
    await asyncio.sleep(0)
    assert not waiting.done()
    await harness.breaker.probe()
    await waiting
    assert not harness.breaker.is_open


async def test_while_open_in_an_outage_it_reports_the_cause(harness: BreakerHarness) -> None:
    said = [harness.breaker.pause_reason()]
    await harness.breaker.probe()
    assert await harness.confirm_outage(MomentoKeyRefused("publish: AUTHENTICATION_ERROR"))
    said.append(harness.breaker.pause_reason())
    harness.breaker.record_success()
    said.append(harness.breaker.pause_reason())
    assert said == [None, "Momento refuses the API key (publish: AUTHENTICATION_ERROR)", None]
