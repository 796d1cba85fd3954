"""The history of topics of the Momento emulator is bounded."""

import asyncio

from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.store.subscription import Subscription
from local.momento.store.topics import Topics


def topics(settings: Settings | None = None) -> Topics:
    return Topics(settings or Settings(), RateLimiter(lambda: 1e9))


def publish(topics: Topics, name: str, text: str = "text") -> int:
    return topics.publish(name, pb._TopicValue(text=text), "", 1)


async def waiting(subscription: Subscription) -> list[pb._SubscriptionItem]:
    async with asyncio.timeout(5):
        batch = await anext(subscription.batches())
    return [pb._SubscriptionItem.FromString(event) for event in batch]


async def texts(subscription: Subscription) -> list[str]:
    return [event.item.value.text for event in await waiting(subscription) if event.HasField("item")]


async def test_a_message_goes_to_each_subscriber_of_its_topic() -> None:
    held = topics()
    first, second, other = held.subscribe("a", 0, 0), held.subscribe("a", 0, 0), held.subscribe("b", 0, 0)
    assert publish(held, "a", "hello") == 2
    assert [await texts(each) for each in (first, second, other)] == [["hello"], ["hello"], []]


async def test_a_topic_keeps_the_newest_messages_only() -> None:
    held = topics(Settings(history_messages=3))
    for number in range(10):
        publish(held, "a", str(number))
    assert await texts(held.subscribe("a", 1, 0)) == ["7", "8", "9"]


async def test_without_history_nothing_is_replayed() -> None:
    held = topics(Settings(history_messages=0))
    publish(held, "a")
    kinds = [event.WhichOneof("kind") for event in await waiting(held.subscribe("a", 1, 0))]
    assert kinds == ["heartbeat", "discontinuity"]


async def test_all_histories_together_are_bounded() -> None:
    held = topics(Settings(max_history_bytes=10_000))
    for number in range(100):
        publish(held, f"topic-{number}", "x" * 1000)
    kept = [topic.history_bytes for _, topic in held]
    assert sum(kept) <= 10_000
    assert await texts(held.subscribe("topic-99", 1, 0)) == ["x" * 1000]


async def test_topics_without_subscribers_are_bounded_in_number() -> None:
    held = topics(Settings(max_topics=10))
    listened = held.subscribe("listened", 0, 0)
    for number in range(100):
        publish(held, f"topic-{number}")
    assert len(list(held)) <= 10
    publish(held, "listened", "still here")
    assert await texts(listened) == ["still here"]


async def test_a_recreated_topic_has_another_page() -> None:
    held = topics(Settings(max_topics=1))
    publish(held, "a")
    before = next(topic.page for _, topic in held)
    publish(held, "b")
    publish(held, "a")
    pages = {name: topic.page for name, topic in held}
    assert pages["a"] > before


async def test_a_topic_without_messages_is_removed_with_its_last_subscriber() -> None:
    held = topics()
    subscription = held.subscribe("a", 0, 0)
    held.unsubscribe("a", subscription)
    assert list(held) == []


async def test_replayed_messages_count_against_the_quota() -> None:
    limiter = RateLimiter(lambda: 10)
    held = Topics(Settings(), limiter)
    for number in range(8):
        publish(held, "a", str(number))
    held.subscribe("a", 1, 0)
    assert not limiter.try_acquire(4)
