"""A subscriber's queue in the Momento emulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from grpc import StatusCode
from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.errors import CallError, StreamAborted
from local.momento.settings import Settings
from local.momento.store.subscription import HEARTBEAT, Subscription, discontinuity_event, item_event


def item(sequence: int) -> bytes:
    return item_event(sequence, 1, pb._TopicValue(text=str(sequence)), "")


def new(settings: Settings | None = None) -> Subscription:
    return Subscription(settings or Settings(), page=1, last_sequence=0)


def kinds(batch: list[bytes]) -> list[str]:
    return [pb._SubscriptionItem.FromString(event).WhichOneof("kind") for event in batch]


async def one_batch(subscription: Subscription) -> list[bytes]:
    async with asyncio.timeout(5), aclosing(subscription.batches()) as batches:
        return await anext(batches)


async def all_batches(batches: AsyncIterator[list[bytes]]) -> list[bytes]:
    async with asyncio.timeout(5):
        return [event async for batch in batches for event in batch]


async def test_waiting_events_come_in_one_batch_after_the_first_heartbeat() -> None:
    subscription = new()
    assert subscription.offer(1, item(1))
    assert subscription.offer(2, item(2))
    assert await one_batch(subscription) == [HEARTBEAT, item(1), item(2)]


async def test_heartbeats_do_not_accumulate() -> None:
    subscription = new()
    for _ in range(3):
        subscription.heartbeat()
    assert await one_batch(subscription) == [HEARTBEAT]
    subscription.heartbeat()
    subscription.heartbeat()
    assert await one_batch(subscription) == [HEARTBEAT]


async def test_the_queue_is_bounded_and_the_gap_is_a_discontinuity() -> None:
    subscription = new(Settings(stream_buffer_messages=3))
    assert [subscription.offer(number, item(number)) for number in range(1, 6)] == [True, True, False, False, False]
    assert kinds(await one_batch(subscription)) == ["heartbeat", "item", "item"]
    subscription.offer(6, item(6))
    gap, after = await one_batch(subscription)
    assert gap == discontinuity_event(last_sequence=2, new_sequence=5, page=1)
    assert after == item(6)


async def test_a_skipped_message_is_reported_with_the_next_heartbeat_at_the_latest() -> None:
    subscription = new()
    await one_batch(subscription)
    subscription.skip(1)
    subscription.skip(2)
    subscription.heartbeat()
    assert kinds(await one_batch(subscription)) == ["discontinuity", "heartbeat"]


async def test_waiting_events_are_written_before_the_end() -> None:
    subscription = new()
    subscription.offer(1, item(1))
    subscription.end()
    assert not subscription.offer(2, item(2))
    assert await all_batches(subscription.batches()) == [HEARTBEAT, item(1)]


async def test_an_error_ends_the_stream_and_the_first_one_counts() -> None:
    subscription = new()
    subscription.end(CallError(StatusCode.NOT_FOUND, "first"))
    subscription.end(CallError(StatusCode.INTERNAL, "second"))
    with pytest.raises(CallError, match="first"):
        await all_batches(subscription.batches())


async def test_an_aborted_stream_drops_waiting_events() -> None:
    subscription = new()
    subscription.offer(1, item(1))
    subscription.end(StreamAborted(StatusCode.UNAVAILABLE, "gone"))
    with pytest.raises(StreamAborted):
        await anext(subscription.batches())


async def test_a_waiting_front_is_woken() -> None:
    subscription = new()
    async with aclosing(subscription.batches()) as batches:
        assert await anext(batches) == [HEARTBEAT]
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        subscription.offer(1, item(1))
        assert await asyncio.wait_for(waiting, 5) == [item(1)]


async def test_a_frozen_stream_accepts_and_sends_nothing() -> None:
    settings = Settings()
    subscription = new(settings)
    await one_batch(subscription)
    settings.streams_frozen = True
    assert not subscription.offer(1, item(1))
    subscription.heartbeat()
    settings.streams_frozen = False
    subscription.offer(2, item(2))
    assert await one_batch(subscription) == [item(2)]


async def test_a_slow_subscriber_may_be_ended_instead() -> None:
    subscription = new(Settings(stream_buffer_messages=1, end_slow_streams=True))
    assert not subscription.offer(1, item(1))
    with pytest.raises(CallError) as refused:
        await all_batches(subscription.batches())
    assert refused.value.status is StatusCode.RESOURCE_EXHAUSTED
