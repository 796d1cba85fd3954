"""API keys and disposable tokens: what the emulator vends, and which calls it refuses."""

import asyncio
import base64
import json
import time

import grpc
import pytest
from momento import CredentialProvider
from momento.auth.access_control.disposable_token_scope import DisposableTokenProps
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes as Scopes
from momento.auth.access_control.permission_scope import AllCaches, AllTopics
from momento.errors import MomentoErrorCode as Code
from momento.responses import CreateCache, DeleteCache, GenerateDisposableToken, ListCaches
from momento.utilities import ExpiresIn

from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.errors import error_code
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process
from tests.support.waiting import wait_until


async def test_the_answer_has_the_endpoint_and_the_expiry(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    asked_at = time.time()
    vended = await momento_sdk.auth.generate_disposable_token(
        Scopes.topic_subscribe_only("c", "t"), ExpiresIn.minutes(30)
    )
    assert isinstance(vended, GenerateDisposableToken.Success)
    assert vended.endpoint == f"127.0.0.1:{momento_emulator.grpc_port}"
    assert abs(vended.expires_at.epoch() - (asked_at + 1800)) <= 2


async def test_both_forms_of_a_key_work(momento_emulator: MomentoEmulator) -> None:
    key = momento_emulator.make_key()
    outer = json.loads(base64.b64decode(key.v1))
    assert outer["endpoint"] == f"127.0.0.1:{momento_emulator.grpc_port}"
    assert CredentialProvider.from_api_key_v2(key.v2, "host").auth_token == key.v2
    for token in (outer["api_key"], key.v2):
        async with open_momento_sdk(momento_emulator, token) as momento_sdk:
            assert await momento_sdk.new_cache()
            assert await momento_sdk.vend(Scopes.topic_subscribe_only("c", "t"))


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_missing_or_malformed_credential_is_unauthenticated(
    momento_emulator: MomentoEmulator, token: str
) -> None:
    async with momento_stream(momento_emulator, token, "c", "t") as stream:
        assert (await stream.refusal()).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_tampered_token_is_unauthenticated(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    header, claims, signature = (await momento_sdk.vend(Scopes.topic_subscribe_only("c", "t"))).split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(decoded | {"kind": "key"}).encode()).rstrip(b"=").decode()
    async with open_momento_sdk(momento_emulator, f"{header}.{forged}.{signature}") as forger:
        assert error_code(await forger.caches.list_caches()) is Code.AUTHENTICATION_ERROR


async def test_another_emulators_key_is_unauthenticated(key: str) -> None:
    with momento_emulator_process() as other:
        async with open_momento_sdk(other, key) as stranger:
            assert error_code(await stranger.caches.list_caches()) is Code.AUTHENTICATION_ERROR


async def test_a_revoked_key_is_rejected_at_once_by_every_call(momento_emulator: MomentoEmulator) -> None:
    key = momento_emulator.make_key()
    async with open_momento_sdk(momento_emulator, key.v2) as momento_sdk:
        cache = await momento_sdk.new_cache()
        momento_emulator.revoke_key(key.key_id)
        answers = [
            await momento_sdk.topics.publish(cache, "t", "text"),
            await momento_sdk.caches.get(cache, "key"),
            await momento_sdk.caches.list_caches(),
            await momento_sdk.auth.generate_disposable_token(
                Scopes.topic_subscribe_only(cache, "t"), ExpiresIn.minutes(1)
            ),
            await momento_sdk.subscriber.subscribe(cache, "t"),
        ]
    assert [error_code(answer) for answer in answers] == [Code.AUTHENTICATION_ERROR] * 5


async def test_an_expired_token_is_unauthenticated_and_its_stream_ends(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(Scopes.topic_publish_subscribe(cache, "t"), seconds=2)
    async with (
        open_momento_sdk(momento_emulator, token) as user,
        momento_stream(momento_emulator, token, cache, "t") as stream,
    ):
        assert await stream.next_kind() == "heartbeat"
        assert error_code(await user.topics.publish(cache, "t", "in time")) is None
        assert (await stream.refusal()).code() is grpc.StatusCode.UNAUTHENTICATED
        assert error_code(await user.topics.publish(cache, "t", "late")) is Code.AUTHENTICATION_ERROR


async def test_a_stream_outlives_its_token_if_configured(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(Scopes.topic_publish_subscribe(cache, "t"), seconds=1)
    with momento_emulator.changed(endStreamsAtExpiry=False):
        async with (
            open_momento_sdk(momento_emulator, token) as user,
            momento_stream(momento_emulator, token, cache, "t") as stream,
        ):
            assert await stream.next_kind() == "heartbeat"
            expired = False
            async with asyncio.timeout(10):
                while not expired:
                    expired = error_code(await user.topics.publish(cache, "t", "in time")) is not None
            await momento_sdk.topics.publish(cache, "t", "after the expiry")
            while (await stream.item()).value.text != "after the expiry":
                pass


@pytest.mark.parametrize(
    ("seconds", "token_id"),
    [(25 * 3600 + 1, None), (0, None), (60, "x" * 65)],
    ids=["over 25 h", "no time at all", "token id over 64 characters"],
)
async def test_a_token_beyond_the_bounds_is_an_invalid_argument(
    momento_sdk: MomentoSdk, seconds: int, token_id: str | None
) -> None:
    answer = await momento_sdk.auth.generate_disposable_token(
        Scopes.topic_subscribe_only("c", "t"), ExpiresIn.seconds(seconds), DisposableTokenProps(token_id)
    )
    assert error_code(answer) is Code.INVALID_ARGUMENT_ERROR


async def test_a_token_at_the_bounds_is_vended(momento_sdk: MomentoSdk) -> None:
    assert await momento_sdk.vend(Scopes.topic_subscribe_only("c", "t"), seconds=25 * 3600, token_id="x" * 64)


async def test_a_disposable_token_neither_vends_nor_manages_caches(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(Scopes.topic_publish_subscribe(AllCaches(), AllTopics()))
    async with open_momento_sdk(momento_emulator, token) as user:
        vended = await user.auth.generate_disposable_token(Scopes.topic_subscribe_only("c", "t"), ExpiresIn.minutes(1))
        assert error_code(vended) is Code.AUTHENTICATION_ERROR
        refused = [
            await user.caches.create_cache("another"),
            await user.caches.delete_cache(cache),
            await user.caches.list_caches(),
        ]
    assert [type(answer) for answer in refused] == [CreateCache.Error, DeleteCache.Error, ListCaches.Error]
    assert {error_code(answer) for answer in refused} == {Code.PERMISSION_ERROR}


async def test_vended_tokens_are_counted(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    before = momento_emulator.stats()["vendedTokens"]
    await momento_sdk.vend(Scopes.topic_subscribe_only("c", "t"))
    await wait_until(lambda: momento_emulator.stats()["vendedTokens"] == before + 1)


async def test_every_api_key_is_refused_and_disposable_tokens_are_not(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, cache: str
) -> None:
    token = await momento_sdk.vend(Scopes.topic_publish_subscribe(cache, "t"))
    async with open_momento_sdk(momento_emulator, token) as user:
        with momento_emulator.changed(keysRefused=True):
            refused = await momento_sdk.topics.publish(cache, "t", "text")
            assert error_code(await user.topics.publish(cache, "t", "text")) is None
    assert error_code(refused) is Code.AUTHENTICATION_ERROR
    assert error_code(await momento_sdk.topics.publish(cache, "t", "text")) is None
