"""Faults on demand, as tests of the services use them."""

import asyncio
import time

import grpc
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.errors import MomentoErrorCode as Code
from momento.responses import CacheGet
from momento.utilities import ExpiresIn

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.errors import error_code, trailer
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import MomentoEmulator
from tests.support.waiting import wait_until


async def test_the_next_calls_fail_and_those_after_do_not(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    with momento_emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 2}]):
        codes = [error_code(await momento_sdk.topics.publish(cache, "t", "text")) for _ in range(4)]
    assert codes == [Code.SERVER_UNAVAILABLE, Code.SERVER_UNAVAILABLE, None, None]


async def test_only_the_named_method_fails(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    with momento_emulator.changed(faults=[{"method": "Publish", "status": "INTERNAL"}]):
        assert error_code(await momento_sdk.caches.set(cache, "key", "value")) is None
        assert error_code(await momento_sdk.topics.publish(cache, "t", "text")) is Code.INTERNAL_SERVER_ERROR


async def test_a_share_of_all_calls_fails(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    with momento_emulator.changed(faults=[{"status": "ABORTED", "ratio": 0.5}]):
        codes = [error_code(await momento_sdk.topics.publish(cache, "t", "text")) for _ in range(100)]
    # At a ratio of 0.5, fewer than 20 or more than 80 of 100 occur once in a billion runs.
    assert 20 <= codes.count(None) <= 80


async def test_a_fault_has_the_configured_status_text_and_trailer(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    fault = {
        "method": "Publish",
        "status": "RESOURCE_EXHAUSTED",
        "message": "as asked",
        "err": "operations_rate_limit_exceeded",
    }
    with momento_emulator.changed(faults=[fault]):
        refused = await momento_sdk.topics.publish(cache, "t", "text")
    assert error_code(refused) is Code.LIMIT_EXCEEDED_ERROR
    assert trailer(refused, "err") == "operations_rate_limit_exceeded"
    assert "as asked" in str(refused)


async def test_a_delayed_answer_is_correct(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    await momento_sdk.caches.set(cache, "key", "value")
    with momento_emulator.changed(faults=[{"method": "Get", "delayMs": 200}]):
        asked_at = time.monotonic()
        answer = await momento_sdk.caches.get(cache, "key")
    assert isinstance(answer, CacheGet.Hit)
    assert time.monotonic() - asked_at >= 0.2


async def test_a_delay_and_a_failure_add_up(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    faults = [{"method": "*", "delayMs": 100}, {"method": "Publish", "status": "UNAVAILABLE", "delayMs": 100}]
    with momento_emulator.changed(faults=faults):
        asked_at = time.monotonic()
        answer = await momento_sdk.topics.publish(cache, "t", "text")
    assert error_code(answer) is Code.SERVER_UNAVAILABLE
    assert time.monotonic() - asked_at >= 0.2


async def test_a_call_that_is_never_answered_ends_with_its_deadline(
    momento_emulator: MomentoEmulator, cache: str
) -> None:
    key = momento_emulator.make_key().v2
    with momento_emulator.changed(faults=[{"method": "Get", "neverAnswer": True}]):
        async with open_momento_sdk(momento_emulator, key, timeout_seconds=0.2) as hasty:
            assert error_code(await hasty.caches.get(cache, "key")) is Code.TIMEOUT_ERROR
    await wait_until(lambda: momento_emulator.stats()["calls"]["Get"].get("CANCELLED", 0) >= 1)


async def test_vending_has_no_deadline_of_its_own(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    """The services need a deadline: an SDK timeout does not end the RPC, which the retry interceptor keeps open."""
    scope = DisposableTokenScopes.topic_subscribe_only("c", "t")
    with momento_emulator.changed(faults=[{"method": "GenerateDisposableToken", "neverAnswer": True}]):
        vending = asyncio.create_task(momento_sdk.auth.generate_disposable_token(scope, ExpiresIn.minutes(1)))
        await wait_until(lambda: momento_emulator.admin("GET", "settings")["faults"][0]["hits"] == 1)
        assert not vending.done()
        vending.cancel()
        await asyncio.wait({vending})
    assert "GenerateDisposableToken" not in momento_emulator.stats()["calls"]


async def test_an_answer_may_be_lost_after_the_effect(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    key = momento_emulator.make_key().v2
    async with momento_stream(momento_emulator, key, cache, "t") as stream:
        assert await stream.next_kind() == "heartbeat"
        with momento_emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "afterEffect": True}]):
            assert error_code(await momento_sdk.topics.publish(cache, "t", "text")) is Code.SERVER_UNAVAILABLE
        assert (await stream.item()).value.text == "text"


async def test_a_subscription_can_be_rejected(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    with momento_emulator.changed(faults=[{"method": "Subscribe", "status": "UNAUTHENTICATED"}]):
        assert error_code(await momento_sdk.subscriber.subscribe(cache, "t")) is Code.AUTHENTICATION_ERROR


async def test_down_rejects_calls_and_aborts_streams_until_it_is_up_again(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    key = momento_emulator.make_key().v2
    async with momento_stream(momento_emulator, key, cache, "t") as stream:
        assert await stream.next_kind() == "heartbeat"
        with momento_emulator.changed(down=True):
            assert (await stream.refusal()).code() is grpc.StatusCode.UNAVAILABLE
            answers = [
                await momento_sdk.topics.publish(cache, "t", "text"),
                await momento_sdk.subscriber.subscribe(cache, "t"),
                await momento_sdk.caches.set(cache, "key", "value"),
                await momento_sdk.caches.list_caches(),
            ]
            assert {error_code(answer) for answer in answers} == {Code.SERVER_UNAVAILABLE}
    assert error_code(await momento_sdk.topics.publish(cache, "t", "text")) is None


async def test_a_fault_counts_its_hits(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str) -> None:
    with momento_emulator.changed(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 5}]):
        for _ in range(3):
            await momento_sdk.topics.publish(cache, "t", "text")
        assert [fault["hits"] for fault in momento_emulator.admin("GET", "settings")["faults"]] == [3]
