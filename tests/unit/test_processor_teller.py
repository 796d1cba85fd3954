"""Progress only as far as the topic quota permits; results on record before they are told."""

import asyncio
import itertools
from typing import Any, cast

import pytest

from services.common.momento_errors import MomentoRefused, MomentoUnavailable
from services.common.news_record import NewsRecord
from services.common.notification import Format, finished
from services.processor.breaker import Breaker
from services.processor.record import Record
from services.processor.teller import Teller
from tests.support.fake_momento import FakeMomento
from tests.support.hand_clock import HandClock
from tests.support.soon import soon


class Topic:
    """What is published; `error` is what every publishing fails with."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.error: Exception | None = None
        self.tries = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def publish(self, topic: str, text: str, *, deadline_seconds: float) -> None:
        self.tries += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        self.told.append(f"{topic} {text}")


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(100.0)


def teller(
    topic: Topic, clock: HandClock, record: Record | None = None, per_second: float = 2.0, notify_seconds: float = 5
) -> Teller:
    gateway = cast("Any", topic)
    return Teller(
        gateway,
        record or Record(None, clock=clock),
        Breaker(gateway, on_closed=lambda: None),
        Format.TEXT,
        notify_seconds=notify_seconds,
        progress_per_second=per_second,
        clock=clock,
    )


async def test_a_task_tells_its_progress_once_a_second(topic: Topic, clock: HandClock) -> None:
    tell = teller(topic, clock, per_second=100).progress_of("user", "1")
    answers = []
    for _ in range(21):
        answers.append(await tell("going on"))
        clock.advance(0.125)
    assert len(topic.told) == sum(answers) == 3


async def test_all_tasks_together_keep_within_what_the_process_may_tell(topic: Topic, clock: HandClock) -> None:
    each = teller(topic, clock, per_second=2)
    for number in range(10):
        await each.progress_of("user", str(number))("going on")
        clock.advance(0.1)
    assert len(topic.told) == 2


async def test_a_rate_of_zero_tells_none(topic: Topic, clock: HandClock) -> None:
    assert not await teller(topic, clock, per_second=0).progress_of("user", "1")("going on")
    assert topic.told == []


@pytest.mark.parametrize("error", [MomentoUnavailable("busy"), MomentoRefused("never")])
async def test_progress_that_cannot_be_told_does_not_fail_the_task(
    topic: Topic, clock: HandClock, error: Exception
) -> None:
    topic.error = error
    assert not await teller(topic, clock).progress_of("user", "1")("going on")


async def test_a_result_that_could_not_be_told_is_known_until_it_is(topic: Topic, clock: HandClock) -> None:
    record = Record(None, clock=clock)
    news, tells = finished("1", "done", 0), teller(topic, clock, record)
    topic.error = MomentoUnavailable("down")
    with pytest.raises(MomentoUnavailable):
        await tells.final("user", news)
    assert await record.find("user", "1") == news
    topic.error = None
    await tells.again("user", news)
    assert await record.find("user", "1") is None
    assert topic.told == ["user Finished task: done"]


async def test_a_result_whose_telling_is_cut_off_is_known(topic: Topic, clock: HandClock) -> None:
    """By a lost lease, or a drain."""
    record = Record(NewsRecord(FakeMomento().as_momento(), 86_400), clock=clock)
    news = finished("1", "done", 0)
    topic.answers.clear()
    telling = asyncio.create_task(teller(topic, clock, record).final("user", news))
    await soon(lambda: topic.tries == 1)
    telling.cancel()
    await asyncio.wait({telling})
    assert record.is_untold("1")


async def test_a_result_that_could_not_be_written_is_known_while_it_is_being_told(
    topic: Topic, clock: HandClock
) -> None:
    momento = FakeMomento()
    momento.error = MomentoUnavailable("the cache is out")
    record = Record(NewsRecord(momento.as_momento(), 86_400), clock=clock)
    news = finished("1", "done", 0)
    topic.answers.clear()
    telling = asyncio.create_task(teller(topic, clock, record).final("user", news))
    await soon(lambda: topic.tries == 1)
    assert await record.find("user", "1") == news
    topic.answers.set()
    await telling
    assert not record.is_untold("1")


async def test_news_that_can_never_be_told_is_tried_once_and_holds_no_slot(topic: Topic, clock: HandClock) -> None:
    """A key that may not publish is no such case: `Momento` tries for as long as it is refused."""
    topic.error = MomentoRefused("no such topic")
    async with asyncio.timeout(5):
        with pytest.raises(MomentoRefused):
            await teller(topic, clock, notify_seconds=60).final("user", finished("1", "done", 0))
    assert topic.tries == 1


async def test_news_that_is_refused_is_known_until_it_is_told(topic: Topic, clock: HandClock) -> None:
    record = Record(None, clock=clock)
    news, tells = finished("1", "done", 0), teller(topic, clock, record)
    topic.error = MomentoRefused("no such topic")
    with pytest.raises(MomentoRefused):
        await tells.final("user", news)
    assert await record.find("user", "1") == news


async def test_about_one_write_in_a_hundred_trims_whoever_the_user_is(clock: HandClock) -> None:
    """No count is kept of users, of whom there may be any number, nor of writes, which other replicas share."""
    momento = FakeMomento()
    chances = itertools.cycle(number / 100 for number in range(100))
    record = Record(NewsRecord(momento.as_momento(), 86_400), clock=clock, chance=lambda: next(chances))
    for number in range(1_000):
        await record.write(f"user-{number}", finished(str(number), "done", 0))
    assert momento.calls.count("dictionary-set") == 1_000
    assert momento.calls.count("dictionary-fetch") == 10


async def test_no_more_of_a_long_result_is_kept_than_can_be_told(topic: Topic, clock: HandClock) -> None:
    record = Record(None, clock=clock)
    long = finished("1", "ä" * 1_000_000, 0)
    await record.write("user", long)
    kept = await record.find("user", "1")
    assert kept is not None
    assert len(kept.message) < 5_000
    assert kept.encode(Format.JSON) == long.encode(Format.JSON)
    assert kept.encode(Format.TEXT) == long.encode(Format.TEXT)
