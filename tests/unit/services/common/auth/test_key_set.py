"""The cached key set, against a real HTTP server that misbehaves in every way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.common.auth import key_set
from services.common.auth.key_set import KeySet, KeySetUnavailable, UnknownKey
from tests.support.clock import ManualClock
from tests.support.identity import KID, JwksServer, jwk, jwks_server, rsa_key


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with jwks_server() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(server: JwksServer, session: aiohttp.ClientSession, clock: ManualClock) -> KeySet:
    return KeySet(server.url, session, clock=clock, sleep=clock.sleep)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_key_is_fetched_when_it_is_needed_and_then_kept(keys: KeySet, server: JwksServer) -> None:
    first = await keys.key(KID)
    second = await keys.key(KID)
    assert first is second
    assert first.key.public_numbers() == rsa_key().public_key().public_numbers()
    assert first.algorithm_name == "RS256"
    assert server.requests == 1


async def test_keys_are_loaded_ahead_of_need(keys: KeySet, server: JwksServer, clock: ManualClock) -> None:
    async with running(keys.run()):
        await clock.wait_for_sleep(1)
        assert server.requests == 1
        await keys.key(KID)
    assert server.requests == 1


async def test_the_background_task_refreshes_about_every_hour(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    async with running(keys.run()):
        assert 3200 < await clock.wait_for_sleep(1) < 4000
        server.keys = [jwk("next", rsa_key("second"))]
        clock.advance(4000)
        await clock.wait_for_sleep(2)
        await keys.key("next")
        assert server.requests == 2


async def test_loading_is_retried_with_growing_pauses_until_it_works(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    server.fail(503)
    async with running(keys.run()):
        for number in range(1, 15):
            clock.advance(await clock.wait_for_sleep(number))
        assert clock.sleeps[0] <= 0.25
        assert 2.5 <= clock.sleeps[10] <= 5
        server.heal()
        clock.advance(await clock.wait_for_sleep(15))
        assert await clock.wait_for_sleep(16) > 3000
    assert keys.readiness_problem() is None


async def test_a_rotated_key_is_found_with_the_first_token_that_needs_it(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    await keys.key(KID)
    server.keys = [jwk("next", rsa_key("second"))]
    clock.advance(10)
    found = await keys.key("next")
    assert found.key.public_numbers() == rsa_key("second").public_key().public_numbers()
    with pytest.raises(UnknownKey):
        await keys.key(KID)


async def test_unknown_key_ids_cost_one_fetch_in_ten_seconds(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    for number in range(50):
        with pytest.raises(UnknownKey):
            await keys.key(f"made-up-{number}")
    assert server.requests == 1
    clock.advance(9.9)
    with pytest.raises(UnknownKey):
        await keys.key("made-up")
    assert server.requests == 1
    clock.advance(0.1)
    with pytest.raises(UnknownKey):
        await keys.key("made-up")
    assert server.requests == 2


async def test_concurrent_callers_share_one_fetch(keys: KeySet, server: JwksServer) -> None:
    gate = server.hold()
    callers = [asyncio.create_task(keys.key(KID)) for _ in range(20)]
    strangers = [asyncio.create_task(keys.key("made-up")) for _ in range(20)]
    await server.asked.wait()
    gate.set()
    assert len({id(key) for key in await asyncio.gather(*callers)}) == 1
    refused = await asyncio.gather(*strangers, return_exceptions=True)
    assert all(isinstance(error, UnknownKey) for error in refused)
    assert server.requests == 1


async def test_known_keys_are_served_while_a_fetch_hangs(keys: KeySet, server: JwksServer, clock: ManualClock) -> None:
    await keys.key(KID)
    server.hold()
    server.asked.clear()
    clock.advance(10)
    async with running(_ignore(keys.key("made-up"))):
        await server.asked.wait()
        async with asyncio.timeout(0.5):
            await keys.key(KID)


async def test_stale_keys_are_kept_when_a_refresh_fails(keys: KeySet, server: JwksServer, clock: ManualClock) -> None:
    async with running(keys.run()):
        await clock.wait_for_sleep(1)
        server.fail()
        clock.advance(4000)
        assert await clock.wait_for_sleep(2) <= 0.25
        await keys.key(KID)
    assert keys.readiness_problem() is None
    assert server.requests == 2


async def test_an_unknown_key_is_no_refusal_while_the_key_set_cannot_be_read(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    await keys.key(KID)
    server.fail()
    clock.advance(10)
    for _ in range(2):
        with pytest.raises(KeySetUnavailable, match="500"):
            await keys.key("next")
    assert server.requests == 2


async def test_a_cancelled_fetch_leaves_no_result_and_no_lock(
    keys: KeySet, server: JwksServer, clock: ManualClock
) -> None:
    await keys.key(KID)
    server.keys.append(jwk("next", rsa_key("second")))
    gate = server.hold()
    server.asked.clear()
    clock.advance(10)
    caller = asyncio.create_task(keys.key("next"))
    await server.asked.wait()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    with pytest.raises(KeySetUnavailable):
        await keys.key("next")
    gate.set()
    clock.advance(10)
    await keys.key("next")


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" " * 65_536)
    return response


async def _gzip_bomb(request: web.Request) -> web.StreamResponse:
    response = web.Response(body=b" " * 5_000_000, content_type="application/json")
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def _cut_off(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys":')
    request.transport.close()
    return response


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_redirect, "it responded 302"),
        (_endless, "larger than 65536 bytes"),
        (_gzip_bomb, "larger than 65536 bytes"),
        (_cut_off, "payload"),
    ],
)
async def test_an_answer_that_is_no_key_set_is_an_outage(
    keys: KeySet, server: JwksServer, answer: Any, said: str
) -> None:
    server.answer = answer
    with pytest.raises(KeySetUnavailable, match=said):
        await keys.key(KID)
    assert server.requests == 1


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)
    return response


@pytest.mark.parametrize(
    ("answer", "limits"),
    [
        (_silent, aiohttp.ClientTimeout(total=30, sock_read=0.05)),
        (_dripping, aiohttp.ClientTimeout(total=0.2, sock_read=30)),
    ],
    ids=["silent: idle time", "dripping: time in all"],
)
async def test_a_slow_server_is_an_outage(
    keys: KeySet,
    server: JwksServer,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    limits: aiohttp.ClientTimeout,
) -> None:
    monkeypatch.setattr(key_set, "FETCH_TIMEOUT", limits)
    server.answer = answer
    with pytest.raises(KeySetUnavailable, match="did not respond in time"):
        await keys.key(KID)


def test_a_fetch_ends_after_three_seconds_and_after_one_and_a_half_without_data() -> None:
    assert key_set.FETCH_TIMEOUT.total == 3.0
    assert key_set.FETCH_TIMEOUT.sock_read == key_set.FETCH_TIMEOUT.sock_connect == 1.5


async def test_an_unreachable_server_is_an_outage(session: aiohttp.ClientSession) -> None:
    async with jwks_server() as gone:
        url = gone.url
    keys = KeySet(url, session)
    with pytest.raises(KeySetUnavailable, match="Cannot connect"):
        await keys.key(KID)
    assert url in str(keys.readiness_problem())


async def test_an_unusable_address_is_an_outage_that_names_it(session: aiohttp.ClientSession) -> None:
    keys = KeySet("not a url", session)
    with pytest.raises(KeySetUnavailable):
        await keys.key(KID)
    assert "not a url" in str(keys.readiness_problem())


async def test_the_reason_for_not_being_ready_names_the_url_and_the_last_error(
    keys: KeySet, server: JwksServer
) -> None:
    assert "not been fetched yet" in str(keys.readiness_problem())
    server.fail(404)
    with pytest.raises(KeySetUnavailable):
        await keys.key(KID)
    assert keys.readiness_problem() == f"No signing keys from {server.url}: it responded 404."


async def test_an_empty_set_never_replaces_a_good_one(keys: KeySet, server: JwksServer, clock: ManualClock) -> None:
    await keys.key(KID)
    server.keys = []
    clock.advance(10)
    with pytest.raises(KeySetUnavailable, match="no valid key"):
        await keys.key("next")
    await keys.key(KID)


async def test_failures_are_logged_with_the_number_of_keys_kept(
    keys: KeySet, server: JwksServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail()
    with caplog.at_level(logging.WARNING), pytest.raises(KeySetUnavailable):
        await keys.key(KID)
    [record] = caplog.records
    assert record.__dict__["action"] == "key_set"
    assert record.__dict__["kept"] == 0


async def _ignore(work: Coroutine[Any, Any, Any]) -> None:
    with suppress(KeySetUnavailable, UnknownKey):
        await work
