"""The real service's quotas, with its error codes and trailers."""

import asyncio

from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.errors import MomentoErrorCode
from momento.utilities import ExpiresIn

from local.momento.settings import Settings
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.errors import error_code, trailer
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import MomentoEmulator


def refused_for(response: object) -> str | None:
    """The trailer that names the exceeded quota; None if the call was not refused for a quota."""
    exhausted = error_code(response) is MomentoErrorCode.LIMIT_EXCEEDED_ERROR
    return trailer(response, "err") if exhausted else None


def test_a_new_account_has_the_documented_quotas() -> None:
    settings = Settings().as_json()
    assert {
        name: settings[name]
        for name in (
            "topicOperationsPerSecond",
            "subscriptions",
            "maxPayloadBytes",
            "tokensPerSecond",
            "cacheOperationsPerSecond",
            "maxTokenSeconds",
            "maxTtlSeconds",
        )
    } == {
        "topicOperationsPerSecond": 10,
        "subscriptions": 100,
        "maxPayloadBytes": 4096,
        "tokensPerSecond": 5,
        "cacheOperationsPerSecond": 100,
        "maxTokenSeconds": 90_000,
        "maxTtlSeconds": 86_400,
    }


async def test_a_message_of_4096_bytes_is_accepted_and_one_more_is_not(momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    fits = "é" * 2048
    assert error_code(await momento_sdk.topics.publish(cache, "t", fits)) is None
    assert refused_for(await momento_sdk.topics.publish(cache, "t", fits + "x")) == "request_size_limit_exceeded"
    assert refused_for(await momento_sdk.topics.publish(cache, "t", b"x" * 4097)) == "request_size_limit_exceeded"


async def test_the_sixth_token_within_a_second_is_rejected(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    scope = DisposableTokenScopes.topic_subscribe_only("c", "t")
    with momento_emulator.changed(tokensPerSecond=Settings().tokens_per_second):
        answers = await asyncio.gather(
            *(momento_sdk.auth.generate_disposable_token(scope, ExpiresIn.minutes(1)) for _ in range(12))
        )
    refusals = [refused_for(answer) for answer in answers]
    # One more may have been refilled during the calls.
    assert refusals.count(None) in {5, 6}
    assert set(refusals) == {None, "operations_rate_limit_exceeded"}


async def test_a_revoked_key_does_not_use_the_quota(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    revoked = momento_emulator.make_key()
    momento_emulator.revoke_key(revoked.key_id)
    scope = DisposableTokenScopes.topic_subscribe_only("c", "t")
    with momento_emulator.changed(tokensPerSecond=0.01):
        async with open_momento_sdk(momento_emulator, revoked.v2) as stranger:
            for _ in range(10):
                refused = await stranger.auth.generate_disposable_token(scope, ExpiresIn.minutes(1))
                assert error_code(refused) is MomentoErrorCode.AUTHENTICATION_ERROR


async def test_a_publish_over_the_rate_is_rejected(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(topicOperationsPerSecond=10):
        refusals = [refused_for(await momento_sdk.topics.publish(cache, "t", "text")) for _ in range(30)]
    assert 10 <= refusals.count(None) < 30
    assert set(refusals) == {None, "operations_rate_limit_exceeded"}


async def test_each_started_kilobyte_counts(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(topicOperationsPerSecond=8):
        # The rate permits two of them a second, and all eight if each counted once; six more would take three seconds.
        answers = await asyncio.gather(*(momento_sdk.topics.publish(cache, "t", "x" * 4096) for _ in range(8)))
    assert 2 <= [refused_for(answer) for answer in answers].count(None) < 8


async def test_a_delivery_over_the_rate_is_skipped_and_reported(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    key = momento_emulator.make_key().v2
    async with (
        momento_stream(momento_emulator, key, cache, "t") as first,
        momento_stream(momento_emulator, key, cache, "t") as second,
    ):
        assert await first.next_kind() == await second.next_kind() == "heartbeat"
        with momento_emulator.changed(topicOperationsPerSecond=0.01):
            # Admits one operation: the publish is accepted, its deliveries are not.
            assert error_code(await momento_sdk.topics.publish(cache, "t", "lost")) is None
        assert error_code(await momento_sdk.topics.publish(cache, "t", "kept")) is None
        for stream in (first, second):
            gap = await stream.discontinuity()
            assert (gap.last_topic_sequence, gap.new_topic_sequence) == (0, 1)
            assert (await stream.item()).value.text == "kept"


async def test_a_subscription_over_the_quota_is_rejected_until_another_ends(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    key = momento_emulator.make_key().v2
    with momento_emulator.changed(subscriptions=1):
        async with momento_stream(momento_emulator, key, cache, "t") as stream:
            assert await stream.next_kind() == "heartbeat"
            refused = await momento_sdk.subscriber.subscribe(cache, "t")
            assert refused_for(refused) == "topic_subscriptions_limit_exceeded"
        async with asyncio.timeout(10):
            while refused_for(await momento_sdk.subscriber.subscribe(cache, "t")) is not None:
                pass


async def test_a_cache_call_over_the_rate_is_rejected(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(cacheOperationsPerSecond=10):
        refusals = [refused_for(await momento_sdk.caches.set(cache, "key", "value")) for _ in range(40)]
    assert 10 <= refusals.count(None) < 40
    assert set(refusals) == {None, "operations_rate_limit_exceeded"}


async def test_two_fields_of_a_dictionary_count_as_one_operation(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    fields = {f"field-{number}": "value" for number in range(20)}
    with momento_emulator.changed(cacheOperationsPerSecond=12):
        assert error_code(await momento_sdk.caches.dictionary_set_fields(cache, "d", fields)) is None
        refused = await momento_sdk.caches.dictionary_set_fields(cache, "d", fields)
    assert refused_for(refused) == "operations_rate_limit_exceeded"


async def test_an_item_or_element_that_is_too_big_is_rejected(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(maxItemBytes=1000):
        assert refused_for(await momento_sdk.caches.set(cache, "key", b"x" * 1000)) == "item_size_limit_exceeded"
    too_big = await momento_sdk.caches.dictionary_set_field(cache, "d", "field", b"x" * (128 * 1024 + 1))
    assert refused_for(too_big) == "element_size_limit_exceeded"


async def test_caches_over_the_quota_are_rejected(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    with momento_emulator.changed(maxCaches=0):
        refused = await momento_sdk.caches.create_cache("one-too-many")
    assert error_code(refused) is MomentoErrorCode.LIMIT_EXCEEDED_ERROR
