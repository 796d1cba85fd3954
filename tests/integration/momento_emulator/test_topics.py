"""Publishing and subscribing through the emulator's gRPC front."""

import asyncio

import grpc
import pytest
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.errors import MomentoErrorCode
from momento.responses import TopicPublish, TopicSubscribe, TopicSubscriptionItem

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.stream import EndOfStreamError, momento_stream
from tests.support.processes.momento import MomentoEmulator
from tests.support.waiting import wait_until


def live_streams(momento_emulator: MomentoEmulator, cache: str) -> int:
    return sum(momento_emulator.stats()["liveStreamsByTopic"].get(cache, {}).values())


async def publish(momento_sdk: MomentoSdk, cache: str, topic: str, *texts: str | bytes) -> None:
    for text in texts:
        published = await momento_sdk.topics.publish(cache, topic, text)
        assert isinstance(published, TopicPublish.Success), published


async def test_a_subscriber_receives_messages_in_order(momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    subscription = await momento_sdk.subscriber.subscribe(cache, "topic")
    assert isinstance(subscription, TopicSubscribe.SubscriptionAsync), subscription
    await publish(momento_sdk, cache, "topic", "one", "two ✓", b"\x00\xff")
    async with asyncio.timeout(10):
        items = [await anext(subscription) for _ in range(3)]
    subscription.unsubscribe()
    assert isinstance(items[0], TopicSubscriptionItem.Text)
    assert isinstance(items[1], TopicSubscriptionItem.Text)
    assert isinstance(items[2], TopicSubscriptionItem.Binary)
    assert (items[0].value, items[1].value, items[2].value) == ("one", "two ✓", b"\x00\xff")


async def test_only_subscribers_of_the_topic_receive_a_message(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with (
        momento_stream(momento_emulator, key, cache, "topic") as first,
        momento_stream(momento_emulator, key, cache, "topic") as second,
        momento_stream(momento_emulator, key, cache, "other") as other,
    ):
        for stream in (first, second, other):
            assert await stream.next_kind() == "heartbeat"
        await publish(momento_sdk, cache, "topic", "hello")
        await publish(momento_sdk, cache, "other", "bye")
        assert [(await stream.item()).value.text for stream in (first, second, other)] == ["hello", "hello", "bye"]


async def test_the_same_topic_name_in_another_cache_is_another_topic(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache, other_cache = await momento_sdk.new_cache(), await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        await publish(momento_sdk, other_cache, "topic", "not for you")
        await publish(momento_sdk, cache, "topic", "for you")
        assert (await stream.item()).value.text == "for you"


async def test_the_first_event_is_a_heartbeat_and_more_follow(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(heartbeatSeconds=0.05):
        async with momento_stream(momento_emulator, key, cache, "quiet") as stream:
            assert [await stream.next_kind() for _ in range(3)] == ["heartbeat"] * 3


async def test_silenced_heartbeats_stop_but_items_do_not(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(heartbeatSeconds=0.02, heartbeatsSilenced=True):
        async with momento_stream(momento_emulator, key, cache, "quiet") as stream:
            assert await stream.next_kind() == "heartbeat"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await stream.next()
            # The read that timed out is cancelled, and with it the stream; a new one shows that items still flow.
        async with momento_stream(momento_emulator, key, cache, "quiet") as stream:
            assert await stream.next_kind() == "heartbeat"
            await publish(momento_sdk, cache, "quiet", "still here")
            assert await stream.next_kind() == "item"


async def test_a_frozen_stream_stays_open_and_transmits_nothing(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        with momento_emulator.changed(streamsFrozen=True, heartbeatSeconds=0.02):
            await publish(momento_sdk, cache, "topic", "lost")
            assert live_streams(momento_emulator, cache) == 1
        await publish(momento_sdk, cache, "topic", "after")
        assert (await stream.item()).value.text == "after"


async def test_the_publisher_id_is_the_token_id_of_the_publishing_token(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(DisposableTokenScopes.topic_publish_only(cache, "topic"), token_id="user-7")
    async with (
        momento_stream(momento_emulator, key, cache, "topic") as stream,
        open_momento_sdk(momento_emulator, token) as publisher,
    ):
        assert await stream.next_kind() == "heartbeat"
        await publish(publisher, cache, "topic", "from a user")
        await publish(momento_sdk, cache, "topic", "from the service")
        assert [(await stream.item()).publisher_id for _ in range(2)] == ["user-7", ""]


async def test_a_stream_resumes_where_it_was_interrupted(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        await publish(momento_sdk, cache, "topic", "one", "two")
        last = (await stream.item(), await stream.item())[-1]
    await publish(momento_sdk, cache, "topic", "three", "four")
    resumed = momento_stream(
        momento_emulator, key, cache, "topic", resume_at=last.topic_sequence_number + 1, page=last.sequence_page
    )
    async with resumed as stream:
        assert await stream.next_kind() == "heartbeat"
        assert [(await stream.item()).value.text for _ in range(2)] == ["three", "four"]
        await publish(momento_sdk, cache, "topic", "five")
        assert (await stream.item()).value.text == "five"


async def test_dropped_messages_are_reported_by_a_discontinuity(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(historyMessages=2):
        await publish(momento_sdk, cache, "topic", "1", "2", "3", "4")
        async with momento_stream(momento_emulator, key, cache, "topic", resume_at=2) as stream:
            gap = await stream.discontinuity()
            assert (gap.last_topic_sequence, gap.new_topic_sequence) == (1, 2)
            item = await stream.item()
            assert (item.value.text, item.sequence_page) == ("3", gap.new_sequence_page)


async def test_another_page_is_reported_by_a_discontinuity(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    await publish(momento_sdk, cache, "topic", "new life")
    async with momento_stream(momento_emulator, key, cache, "topic", resume_at=1, page=17) as stream:
        assert (await stream.discontinuity()).new_sequence_page > 17
        assert (await stream.item()).value.text == "new life"


async def test_the_first_discontinuity_can_be_disabled(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    await publish(momento_sdk, cache, "topic", "before")
    with momento_emulator.changed(firstDiscontinuity=True):
        async with momento_stream(momento_emulator, key, cache, "topic") as stream:
            assert await stream.next_kind() == "heartbeat"
            assert (await stream.discontinuity()).new_topic_sequence == 1
            await publish(momento_sdk, cache, "topic", "after")
            assert (await stream.item()).topic_sequence_number == 2


async def test_a_disconnected_subscriber_is_removed(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        assert live_streams(momento_emulator, cache) == 1
    await wait_until(lambda: live_streams(momento_emulator, cache) == 0)


async def test_deleting_the_cache_ends_its_streams_and_drops_its_topics(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache, neighbour = await momento_sdk.new_cache(), await momento_sdk.new_cache()
    await publish(momento_sdk, cache, "topic", "old")
    async with (
        momento_stream(momento_emulator, key, cache, "topic") as stream,
        momento_stream(momento_emulator, key, neighbour, "topic") as other,
    ):
        assert await stream.next_kind() == await other.next_kind() == "heartbeat"
        await momento_sdk.caches.delete_cache(cache)
        assert (await stream.refusal()).code() is grpc.StatusCode.NOT_FOUND
        await publish(momento_sdk, neighbour, "topic", "unharmed")
        assert (await other.item()).value.text == "unharmed"
    await momento_sdk.caches.create_cache(cache)
    async with momento_stream(momento_emulator, key, cache, "topic", resume_at=1) as stream:
        assert await stream.next_kind() == "heartbeat"
        await publish(momento_sdk, cache, "topic", "new")
        assert (await stream.item()).value.text == "new"


async def test_a_missing_cache_is_not_found(momento_sdk: MomentoSdk) -> None:
    published = await momento_sdk.topics.publish("no-such-cache", "topic", "text")
    subscribed = await momento_sdk.subscriber.subscribe("no-such-cache", "topic")
    assert isinstance(published, TopicPublish.Error)
    assert isinstance(subscribed, TopicSubscribe.Error)
    assert published.error_code is subscribed.error_code is MomentoErrorCode.NOT_FOUND_ERROR


async def test_live_streams_can_be_aborted(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        assert momento_emulator.abort_streams() == 1
        assert (await stream.refusal()).code() is grpc.StatusCode.UNAVAILABLE


async def test_live_streams_can_be_ended_cleanly(
    momento_emulator: MomentoEmulator, key: str, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_stream(momento_emulator, key, cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        assert momento_emulator.end_streams() == 1
        with pytest.raises(EndOfStreamError):
            await stream.next()
