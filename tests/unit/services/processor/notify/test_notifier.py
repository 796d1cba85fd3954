"""Progress only as far as the topic quota permits; notifications are stored and published, whichever is out."""

import asyncio
import itertools
import random
import zlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from services.common.lifecycle import Lifecycle
from services.common.messages.notification import MAX_BYTES, Format, Notification, finished
from services.common.messages.task_details import NO_DETAILS
from services.common.momento.errors import MomentoRefused, MomentoUnavailable
from services.common.momento.history import HistoryEntry, NotificationHistory
from services.common.momento.results import Results
from services.processor.cache_guard import PAUSE_SECONDS, CacheGuard
from services.processor.notify.circuit_breaker import CircuitBreaker
from services.processor.notify.notifier import Notifier, ProgressPublisher
from services.processor.notify.pending import PendingNotification, PendingNotifications
from services.processor.notify.resilient_history import ResilientHistory
from services.processor.notify.status_writer import StatusWriter
from tests.support.clock import ManualClock
from tests.support.fakes.momento import FakeMomento
from tests.support.processor.in_process import Counted
from tests.support.waiting import wait_until


class Topic:
    """What is published; `error` is what every publishing fails with."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.error: Exception | None = None
        self.tries = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def publish(self, topic: str, text: str, *, deadline_seconds: float) -> None:
        self.tries += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        self.published.append(f"{topic} {text}")


class Cache(FakeMomento):
    """The cache of histories, which may be out."""

    @property
    def stored(self) -> list[str]:
        return list(self.dictionaries.get("history:user", {}))


OUT = MomentoUnavailable("out")


def done(task_id: str = "1", text: str = "done") -> PendingNotification:
    return PendingNotification("user", HistoryEntry(notification=finished(task_id, text, 0)))


def history_in(cache: FakeMomento, clock: ManualClock, chance: Callable[[], float] = random.random) -> ResilientHistory:
    entries, results = NotificationHistory(cache.as_momento(), 86_400), Results(cache.as_momento(), 86_400)
    return ResilientHistory(entries, results, CacheGuard(clock=clock), clock=clock, chance=chance)


def nothing() -> None:
    pass


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


class Answers:
    """A breaker that says in turn whether there is an outage, and False after that."""

    is_open = False

    def __init__(self, *answers: bool) -> None:
        self._answers = iter(answers)

    async def confirm_outage(self, error: Exception) -> bool:
        assert isinstance(error, MomentoUnavailable)
        return next(self._answers, False)

    def record_success(self) -> None:
        pass


def notifier(
    topic: Topic,
    clock: ManualClock,
    history: ResilientHistory | None = None,
    per_second: float = 2.0,
    notify_seconds: float = 5,
    pending: PendingNotifications | None = None,
    form: Format = Format.TEXT,
    breaker: Answers | None = None,
) -> Notifier:
    gateway = cast("Any", topic)
    return Notifier(
        gateway,
        history or ResilientHistory(None, None, CacheGuard(clock=clock), clock=clock),
        pending or PendingNotifications(),
        cast("Any", breaker) or CircuitBreaker(gateway, on_closed=lambda: None, stores=False),
        Lifecycle().background,
        form,
        notify_seconds=notify_seconds,
        progress_per_second=per_second,
        clock=clock,
    )


def publisher(of: Notifier, task_id: str) -> ProgressPublisher:
    statuses = StatusWriter(None, CacheGuard(), Lifecycle().background, per_second=0)
    with statuses.running(("user", task_id), NO_DETAILS) as status:
        return ProgressPublisher(of, status, ("user", task_id), NO_DETAILS)


async def test_a_task_publishes_its_progress_once_a_second(topic: Topic, clock: ManualClock) -> None:
    publish = publisher(notifier(topic, clock, per_second=100), "1")
    answers = []
    for _ in range(21):
        answers.append(await publish("going on"))
        clock.advance(0.125)
    assert len(topic.published) == sum(answers) == 3


class TextOfAHandler(str):
    __slots__ = ()
    __getitem__ = None  # type: ignore[assignment]


async def test_progress_is_cut_before_it_is_encoded(
    topic: Topic, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To encode all of a text of many megabytes would block the event loop."""
    given: list[str] = []

    async def take(_notifier: Notifier, _user_id: str, notification: Notification) -> bool:
        given.append(notification.message)
        return True

    monkeypatch.setattr(Notifier, "publish_progress", take)
    assert await publisher(notifier(topic, clock), "1")(TextOfAHandler("x" * 20_000_000))
    assert [(type(text), len(text)) for text in given] == [(str, MAX_BYTES + 1)]


async def test_all_tasks_together_keep_to_the_progress_rate_of_the_process(topic: Topic, clock: ManualClock) -> None:
    each = notifier(topic, clock, per_second=2)
    for number in range(10):
        await publisher(each, str(number))("going on")
        clock.advance(0.1)
    assert len(topic.published) == 2


async def test_a_rate_of_zero_publishes_none(topic: Topic, clock: ManualClock) -> None:
    assert not await publisher(notifier(topic, clock, per_second=0), "1")("going on")
    assert topic.published == []


@pytest.mark.parametrize("error", [MomentoUnavailable("busy"), MomentoRefused("never")])
async def test_progress_that_cannot_be_published_does_not_fail_the_task(
    topic: Topic, clock: ManualClock, error: Exception
) -> None:
    topic.error = error
    assert not await publisher(notifier(topic, clock), "1")("going on")


async def test_a_result_that_could_not_be_published_is_kept_until_it_is(topic: Topic, clock: ManualClock) -> None:
    pending, result = PendingNotifications(), done()
    notifying = notifier(topic, clock, pending=pending, breaker=Answers())
    topic.error = OUT
    with pytest.raises(MomentoUnavailable):
        await notifying.deliver(result, nothing)
    assert pending.get("user", "1") is result
    topic.error = None
    await notifying.deliver(result, nothing)
    assert pending.get("user", "1") is None
    assert topic.published == ["user Finished task: done"]


async def test_a_result_whose_delivery_is_aborted_is_kept(topic: Topic, clock: ManualClock) -> None:
    """By a lost lease, or a drain."""
    cache, pending = Cache(), PendingNotifications()
    history = history_in(cache, clock)
    topic.answers.clear()
    delivering = asyncio.create_task(notifier(topic, clock, history, pending=pending).deliver(done(), nothing))
    await wait_until(lambda: topic.tries == 1)
    delivering.cancel()
    await asyncio.wait({delivering})
    assert pending.get("user", "1") is not None
    assert cache.stored == ["1"]


async def test_it_is_stored_before_it_is_published(topic: Topic, clock: ManualClock) -> None:
    cache = Cache()
    history = history_in(cache, clock)
    topic.answers.clear()
    delivering = asyncio.create_task(notifier(topic, clock, history).deliver(done(), nothing))
    await wait_until(lambda: topic.tries == 1)
    assert cache.stored == ["1"]
    topic.answers.set()
    await delivering


async def test_during_a_cache_outage_the_user_is_notified_at_once_and_the_slot_is_free(
    topic: Topic, clock: ManualClock
) -> None:
    cache, freed = Cache(), asyncio.Event()
    cache.error = OUT
    history, pending, result = history_in(cache, clock), PendingNotifications(), done()
    delivering = asyncio.create_task(notifier(topic, clock, history, pending=pending).deliver(result, freed.set))
    await wait_until(freed.is_set)
    assert topic.published == ["user Finished task: done"]
    assert pending.get("user", "1") is result
    assert not delivering.done()
    cache.error = None
    await delivering
    assert (cache.stored, pending.get("user", "1")) == (["1"], None)


@pytest.mark.parametrize(("form", "copies"), [(Format.JSON, 2), (Format.TEXT, 1)])
async def test_a_late_stored_notification_is_published_again_where_clients_can_drop_the_copy(
    topic: Topic, clock: ManualClock, form: Format, copies: int
) -> None:
    """A page that asked for its history between the publishing and the storing has missed both."""
    cache, freed, republished = Cache(), asyncio.Event(), Counted("notifications_republished_total")
    cache.error = OUT
    history = history_in(cache, clock)
    delivering = asyncio.create_task(notifier(topic, clock, history, form=form).deliver(done(), freed.set))
    await wait_until(freed.is_set)
    cache.error = None
    await delivering
    assert (len(topic.published), republished()) == (copies, copies - 1)
    assert len(set(topic.published)) == 1


async def test_after_a_long_cache_outage_the_result_is_kept_and_later_only_stored(
    topic: Topic, clock: ManualClock
) -> None:
    cache = Cache()
    cache.error = OUT
    history, pending, result = history_in(cache, clock), PendingNotifications(), done()
    notifying = notifier(topic, clock, history, pending=pending, notify_seconds=0.3, breaker=Answers())
    for _ in range(2):
        with pytest.raises(MomentoUnavailable, match="not stored"):
            await notifying.deliver(result, nothing)
    assert (len(topic.published), pending.get("user", "1")) == (1, result)
    cache.error = None
    clock.advance(PAUSE_SECONDS)
    await notifying.deliver(result, nothing)
    assert (len(topic.published), cache.stored, pending.get("user", "1")) == (1, ["1"], None)


async def test_a_failure_replaced_by_a_redrive_does_not_overwrite_its_result(topic: Topic, clock: ManualClock) -> None:
    cache, pending = Cache(), PendingNotifications()
    cache.error = OUT
    history = history_in(cache, clock)
    notifying = notifier(topic, clock, history, pending=pending, form=Format.JSON)
    earlier, later = (done(text=text) for text in ("earlier", "later"))
    delivering = [asyncio.create_task(notifying.deliver(earlier, nothing))]
    await wait_until(lambda: topic.tries == 1)
    delivering.append(asyncio.create_task(notifying.deliver(later, nothing)))
    await wait_until(lambda: topic.tries == 2)
    cache.error = None
    await asyncio.gather(*delivering)
    (stored,) = cache.dictionaries["history:user"].values()
    assert b"later" in stored
    assert ["later" in text for text in topic.published] == [False, True, True]


async def test_a_notification_that_was_superseded_while_it_waited_is_not_delivered(
    topic: Topic, clock: ManualClock
) -> None:
    """Its dead letter could not be sent for a while."""
    cache, pending = Cache(), PendingNotifications()
    history = history_in(cache, clock)
    notifying = notifier(topic, clock, history, pending=pending)
    earlier, later = (done(text=text) for text in ("earlier", "later"))
    pending.add(earlier)
    for result in (later, earlier):
        await notifying.deliver(result, nothing)
    (stored,) = cache.dictionaries["history:user"].values()
    assert b"later" in stored
    assert topic.published == ["user Finished task: later"]
    assert pending.get("user", "1") is None


async def test_a_notification_is_retried_in_an_outage_and_otherwise_its_message_is_requeued(
    topic: Topic, clock: ManualClock
) -> None:
    topic.error = OUT
    notifying = notifier(topic, clock, breaker=Answers(True, True, False))
    with pytest.raises(MomentoUnavailable):
        await notifying.deliver(done(), nothing)
    assert topic.tries == 3


async def test_a_round_that_began_in_an_outage_is_followed_by_one_more(topic: Topic, clock: ManualClock) -> None:
    """The outage may have ended too late for a success in the round."""
    topic.error, breaker = OUT, Answers()
    topic.answers.clear()
    breaker.is_open = True
    delivering = asyncio.create_task(notifier(topic, clock, breaker=breaker).deliver(done(), nothing))
    await wait_until(lambda: topic.tries == 1)
    breaker.is_open = False
    topic.answers.set()
    with pytest.raises(MomentoUnavailable):
        await delivering
    assert topic.tries == 2


async def test_while_the_cache_is_down_one_caller_tries_for_all(topic: Topic, clock: ManualClock) -> None:
    """Otherwise a thousand that wait would call it a thousand times a second."""
    cache = Cache()
    cache.error = OUT
    history = history_in(cache, clock)
    notifying = notifier(topic, clock, history, notify_seconds=30)
    delivering = [asyncio.create_task(notifying.deliver(done(str(number)), nothing)) for number in range(100)]
    await wait_until(lambda: len(topic.published) == 100)
    so_far = len(cache.calls)
    await wait_until(lambda: len(cache.calls) >= so_far + 2)
    assert len(cache.calls) <= 103
    cache.error = None
    await asyncio.gather(*delivering)
    assert sorted(cache.stored) == sorted(map(str, range(100)))


@pytest.mark.parametrize("form", list(Format))
async def test_a_permanently_refused_notification_is_tried_once_and_occupies_no_slot(
    topic: Topic, clock: ManualClock, form: Format
) -> None:
    """A key that may not publish is no such case: `Momento` tries for as long as it is refused."""
    refused, pending = Counted("notifications_refused_total"), PendingNotifications()
    topic.error = MomentoRefused("no such topic")
    async with asyncio.timeout(5):
        await notifier(topic, clock, notify_seconds=60, pending=pending, form=form).deliver(done(), nothing)
    assert (topic.tries, refused(), pending.get("user", "1")) == (1, 1, None)


async def test_a_notification_that_can_never_be_stored_is_still_published(topic: Topic, clock: ManualClock) -> None:
    cache, refused = Cache(), Counted("history_unavailable_total", operation="refused")
    cache.error = MomentoRefused("no such thing")
    history = history_in(cache, clock)
    async with asyncio.timeout(5):
        await notifier(topic, clock, history, notify_seconds=60).deliver(done(), nothing)
    assert (len(topic.published), refused()) == (1, 1)


async def test_about_one_write_in_a_hundred_trims_for_any_user(topic: Topic, clock: ManualClock) -> None:
    """Writes are not counted: there may be any number of users, and replicas share them."""
    momento = FakeMomento()
    chances = itertools.cycle(number / 100 for number in range(100))
    history = history_in(momento, clock, lambda: next(chances))
    notifying = notifier(topic, clock, history)
    for number in range(1_000):
        entry = HistoryEntry(notification=finished(str(number), "done", 0))
        await notifying.deliver(PendingNotification(f"user-{number}", entry), nothing)
        if history.is_trim_due():
            await history.trim(f"user-{number}")
    assert momento.calls.count("dictionary-set") == 1_000
    assert momento.calls.count("dictionary-fetch") == 10


def with_result(task_id: str = "1") -> PendingNotification:
    pending = done(task_id)
    pending.result = b'{"message": "done", "data": 1}'
    return pending


async def test_a_whole_result_is_stored_before_the_notification_is_stored_and_published(
    topic: Topic, clock: ManualClock
) -> None:
    cache = Cache()
    await notifier(topic, clock, history_in(cache, clock)).deliver(with_result(), nothing)
    assert cache.calls == ["set", "dictionary-set"]
    assert zlib.decompress(cache.items["result:user 1"]) == b'{"message": "done", "data": 1}'
    assert topic.published == ["user Finished task: done"]


async def test_during_a_cache_outage_a_notification_that_refers_to_a_result_waits_with_its_slot(
    topic: Topic, clock: ManualClock
) -> None:
    """The user could not read the result, and the result is in memory."""
    cache, freed = Cache(), asyncio.Event()
    cache.error = OUT
    delivering = asyncio.create_task(notifier(topic, clock, history_in(cache, clock)).deliver(with_result(), freed.set))
    await wait_until(lambda: len(cache.calls) >= 3)
    assert (topic.published, freed.is_set()) == ([], False)
    cache.error = None
    await delivering
    assert (cache.stored, len(topic.published)) == (["1"], 1)


async def test_a_result_whose_lease_is_lost_replaces_no_final_state_of_another_process(clock: ManualClock) -> None:
    cache = Cache()
    history = history_in(cache, clock)
    await history.store_before_end(done(text="elsewhere"), is_late=False)
    late = done(text="late")
    await history.store_before_end(late, is_late=True)
    (stored,) = cache.dictionaries["history:user"].values()
    assert b"elsewhere" in stored
    assert not late.stored
    await history.store_before_end(late, is_late=False)
    (stored,) = cache.dictionaries["history:user"].values()
    assert b"late" in stored


async def test_a_final_state_is_stored_although_its_result_is_refused(topic: Topic, clock: ManualClock) -> None:
    class RefusesItems(Cache):
        async def set(self, key: str, value: bytes, *, ttl_seconds: float, deadline_seconds: float = 5.0) -> None:
            raise MomentoRefused("too large")

    cache = RefusesItems()
    await notifier(topic, clock, history_in(cache, clock)).deliver(with_result(), nothing)
    assert (cache.stored, len(topic.published)) == (["1"], 1)


@pytest.mark.parametrize(("form", "published"), [(Format.JSON, 1), (Format.TEXT, 0)])
async def test_a_retry_is_announced_unless_clients_would_take_it_for_a_result(
    topic: Topic, clock: ManualClock, form: Format, published: int
) -> None:
    one = notifier(topic, clock, form=form)
    one.announce_retry(("user", "1"), NO_DETAILS, 7)
    if published:
        await wait_until(lambda: len(topic.published) == 1)
    else:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(topic.published) == published
