"""Faults on demand, as tests of the services will ask for them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.errors import MomentoErrorCode as Code
from momento.responses import CacheGet
from momento.utilities import ExpiresIn

from tests.support.momento.clients import MomentoSdk, momento_sdk
from tests.support.momento.errors import error_code, trailer
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def emulator() -> Iterator[MomentoEmulator]:
    with momento_emulator_process() as running:
        yield running


@pytest.fixture
async def sdk(emulator: MomentoEmulator) -> AsyncIterator[MomentoSdk]:
    async with momento_sdk(emulator, emulator.make_key().v2) as clients:
        yield clients


@pytest.fixture
async def cache(sdk: MomentoSdk) -> str:
    return await sdk.new_cache()


async def test_the_next_calls_fail_and_those_after_do_not(
    emulator: MomentoEmulator, sdk: MomentoSdk, cache: str
) -> None:
    with emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 2}]):
        codes = [error_code(await sdk.topics.publish(cache, "t", "text")) for _ in range(4)]
    assert codes == [Code.SERVER_UNAVAILABLE, Code.SERVER_UNAVAILABLE, None, None]


async def test_only_the_named_method_fails(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    with emulator.changed(faults=[{"method": "Publish", "status": "INTERNAL"}]):
        assert error_code(await sdk.caches.set(cache, "key", "value")) is None
        assert error_code(await sdk.topics.publish(cache, "t", "text")) is Code.INTERNAL_SERVER_ERROR


async def test_a_share_of_all_calls_fails(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    with emulator.changed(faults=[{"status": "ABORTED", "ratio": 0.5}]):
        codes = [error_code(await sdk.topics.publish(cache, "t", "text")) for _ in range(100)]
    # With a fair coin, fewer than 20 or more than 80 of 100 come once in a billion runs.
    assert 20 <= codes.count(None) <= 80


async def test_a_fault_has_the_configured_status_text_and_trailer(
    emulator: MomentoEmulator, sdk: MomentoSdk, cache: str
) -> None:
    fault = {
        "method": "Publish",
        "status": "RESOURCE_EXHAUSTED",
        "message": "as asked",
        "err": "operations_rate_limit_exceeded",
    }
    with emulator.changed(faults=[fault]):
        refused = await sdk.topics.publish(cache, "t", "text")
    assert error_code(refused) is Code.LIMIT_EXCEEDED_ERROR
    assert trailer(refused, "err") == "operations_rate_limit_exceeded"
    assert "as asked" in str(refused)


async def test_a_delayed_answer_is_correct(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    await sdk.caches.set(cache, "key", "value")
    with emulator.changed(faults=[{"method": "Get", "delayMs": 200}]):
        asked_at = time.monotonic()
        answer = await sdk.caches.get(cache, "key")
    assert isinstance(answer, CacheGet.Hit)
    assert time.monotonic() - asked_at >= 0.2


async def test_a_delay_and_a_failure_add_up(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    faults = [{"method": "*", "delayMs": 100}, {"method": "Publish", "status": "UNAVAILABLE", "delayMs": 100}]
    with emulator.changed(faults=faults):
        asked_at = time.monotonic()
        answer = await sdk.topics.publish(cache, "t", "text")
    assert error_code(answer) is Code.SERVER_UNAVAILABLE
    assert time.monotonic() - asked_at >= 0.2


async def test_a_call_that_is_never_answered_ends_with_its_deadline(emulator: MomentoEmulator, cache: str) -> None:
    key = emulator.make_key().v2
    with emulator.changed(faults=[{"method": "Get", "neverAnswer": True}]):
        async with momento_sdk(emulator, key, timeout_seconds=0.2) as hasty:
            assert error_code(await hasty.caches.get(cache, "key")) is Code.TIMEOUT_ERROR
    await wait_until(lambda: emulator.stats()["calls"]["Get"].get("CANCELLED", 0) >= 1)


async def test_vending_has_no_deadline_of_its_own(emulator: MomentoEmulator, sdk: MomentoSdk) -> None:
    """What the services' own deadline is for. Giving up does not end the RPC: the SDK's retry interceptor holds it."""
    scope = DisposableTokenScopes.topic_subscribe_only("c", "t")
    with emulator.changed(faults=[{"method": "GenerateDisposableToken", "neverAnswer": True}]):
        vending = asyncio.create_task(sdk.auth.generate_disposable_token(scope, ExpiresIn.minutes(1)))
        await wait_until(lambda: emulator.admin("GET", "settings")["faults"][0]["hits"] == 1)
        assert not vending.done()
        vending.cancel()
        await asyncio.wait({vending})
    assert "GenerateDisposableToken" not in emulator.stats()["calls"]


async def test_an_answer_may_be_lost_after_the_effect(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    key = emulator.make_key().v2
    async with momento_stream(emulator, key, cache, "t") as stream:
        assert await stream.next_kind() == "heartbeat"
        with emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "afterEffect": True}]):
            assert error_code(await sdk.topics.publish(cache, "t", "text")) is Code.SERVER_UNAVAILABLE
        assert (await stream.item()).value.text == "text"


async def test_a_subscription_can_be_rejected(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    with emulator.changed(faults=[{"method": "Subscribe", "status": "UNAUTHENTICATED"}]):
        assert error_code(await sdk.subscriber.subscribe(cache, "t")) is Code.AUTHENTICATION_ERROR


async def test_down_rejects_calls_and_aborts_streams_until_it_is_up_again(
    emulator: MomentoEmulator, sdk: MomentoSdk, cache: str
) -> None:
    key = emulator.make_key().v2
    async with momento_stream(emulator, key, cache, "t") as stream:
        assert await stream.next_kind() == "heartbeat"
        with emulator.changed(down=True):
            assert (await stream.refusal()).code() is grpc.StatusCode.UNAVAILABLE
            answers = [
                await sdk.topics.publish(cache, "t", "text"),
                await sdk.subscriber.subscribe(cache, "t"),
                await sdk.caches.set(cache, "key", "value"),
                await sdk.caches.list_caches(),
            ]
            assert {error_code(answer) for answer in answers} == {Code.SERVER_UNAVAILABLE}
    assert error_code(await sdk.topics.publish(cache, "t", "text")) is None


async def test_a_fault_counts_its_hits(emulator: MomentoEmulator, sdk: MomentoSdk, cache: str) -> None:
    with emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 5}]):
        for _ in range(3):
            await sdk.topics.publish(cache, "t", "text")
        assert [fault["hits"] for fault in emulator.admin("GET", "settings")["faults"]] == [3]
