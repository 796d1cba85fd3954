"""The admin calls: closed to web pages, with clear errors."""

import asyncio
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.support.momento.clients import MomentoSdk
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import PAGE_ORIGIN, MomentoEmulator, MomentoEmulatorError
from tests.support.waiting import wait_until


def status_of(
    momento_emulator: MomentoEmulator, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> int:
    connection = HTTPConnection("127.0.0.1", momento_emulator.web_port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        assert answer.getheader("access-control-allow-origin") is None
        return answer.status
    finally:
        connection.close()


def test_health_needs_no_header(momento_emulator: MomentoEmulator) -> None:
    assert status_of(momento_emulator, "GET", "/_emulator/health", {}) == 200


GUARDED = [
    ("POST", "/_emulator/keys"),
    ("DELETE", "/_emulator/keys/abc"),
    ("GET", "/_emulator/settings"),
    ("PATCH", "/_emulator/settings"),
    ("POST", "/_emulator/streams/abort"),
    ("GET", "/_emulator/stats"),
    ("GET", "/_emulator/caches/cache"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_web_page_cannot_make_admin_calls(momento_emulator: MomentoEmulator, method: str, path: str) -> None:
    rebound = {"x-emulator-admin": "1", "host": f"attacker.example:{momento_emulator.web_port}"}
    preflight = {"origin": "http://attacker.example", "access-control-request-headers": "x-emulator-admin"}
    assert status_of(momento_emulator, method, path, {}) == 403
    assert status_of(momento_emulator, method, path, {"x-emulator-admin": "0"}) == 403
    assert status_of(momento_emulator, method, path, rebound) == 421
    for page in ({"origin": PAGE_ORIGIN}, {"sec-fetch-site": "same-origin"}):
        assert status_of(momento_emulator, method, path, {"x-emulator-admin": "1", **page}) == 403
    assert status_of(momento_emulator, "OPTIONS", path, preflight | {"x-emulator-admin": "1"}) == 403


def test_each_key_is_different(momento_emulator: MomentoEmulator) -> None:
    first, second = momento_emulator.make_key(), momento_emulator.make_key()
    assert len({first.key_id, second.key_id}) == len({first.v1, second.v1, first.v2, second.v2}) / 2 == 2


def test_an_unknown_key_cannot_be_revoked(momento_emulator: MomentoEmulator) -> None:
    key = momento_emulator.make_key()
    momento_emulator.revoke_key(key.key_id)
    with pytest.raises(MomentoEmulatorError, match="404"):
        momento_emulator.revoke_key(key.key_id)


BAD_SETTINGS: list[tuple[dict[str, Any], list[str]]] = [
    ({"noSuch": 1}, ["noSuch: no such setting"]),
    ({"down": 1}, ["down: must be true or false"]),
    ({"subscriptions": 1.5}, ["subscriptions: must be a whole number"]),
    ({"subscriptions": True}, ["subscriptions: must be a number"]),
    ({"subscriptions": "9"}, ["subscriptions: must be a number"]),
    ({"heartbeatSeconds": 0}, ["heartbeatSeconds: must be between 0.01 and"]),
    ({"heartbeatSeconds": float("nan")}, ["heartbeatSeconds: must be a number"]),
    ({"down": None, "maxTtlSeconds": -1}, ["down: must be", "maxTtlSeconds: must be"]),
    ({"faults": {}}, ["faults: must be a list"]),
    ({"faults": [1]}, ["must be an object"]),
    ({"faults": [{"method": "Fly"}]}, ["faults[0].method: must be a method"]),
    ({"faults": [{"method": ["Get"]}]}, ["faults[0].method: must be a method"]),
    ({"faults": [{"status": "OK"}]}, ["faults[0].status: must be a gRPC status"]),
    ({"faults": [{"ratio": 2}, {"calls": -1}]}, ["faults[0].ratio: must be", "faults[1].calls: must be"]),
    ({"faults": [{"delayMs": 1e9}]}, ["faults[0].delayMs: must be"]),
    ({"faults": [{"httpStatus": 200}]}, ["faults[0].httpStatus: must be"]),
    ({"faults": [{"err": "a\r\nb"}]}, ["faults[0].err: must be"]),
    ({"faults": [{"oops": 1}]}, ["faults[0].oops: no such field"]),
]


@pytest.mark.parametrize(("settings", "problems"), BAD_SETTINGS)
def test_invalid_settings_are_rejected_with_all_problems(
    momento_emulator: MomentoEmulator, settings: dict[str, Any], problems: list[str]
) -> None:
    before = momento_emulator.admin("GET", "settings")
    with pytest.raises(MomentoEmulatorError, match="400: ") as refused:
        momento_emulator.change(**settings)
    for problem in problems:
        assert problem in str(refused.value).replace('\\"', '"')
    assert momento_emulator.admin("GET", "settings") == before


def test_one_invalid_setting_rejects_all(momento_emulator: MomentoEmulator) -> None:
    before = momento_emulator.admin("GET", "settings")
    with pytest.raises(MomentoEmulatorError):
        momento_emulator.change(subscriptions=7, faults=[{"method": "Get", "delayMs": 1}], down="yes")
    assert momento_emulator.admin("GET", "settings") == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff"])
def test_a_body_that_is_not_an_object_is_rejected(momento_emulator: MomentoEmulator, body: bytes) -> None:
    assert status_of(momento_emulator, "PATCH", "/_emulator/settings", {"x-emulator-admin": "1"}, body) == 400


async def test_the_items_of_a_cache_are_listed(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    await momento_sdk.caches.set(cache, "key", "größer")
    await momento_sdk.caches.set(cache, "large", "x" * 10_000)
    await momento_sdk.caches.dictionary_set_fields(cache, "dictionary", {"a": "1", "b": "2"})
    await momento_sdk.caches.set(cache, "expired", "value", timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    listed = momento_emulator.admin("GET", f"caches/{cache}")["items"]
    assert sorted(listed, key=lambda item: str(item["key"])) == [
        {"key": "dictionary", "fields": ["a", "b"]},
        {"key": "key", "value": "größer"},
        {"key": "large", "value": None},
    ]
    with pytest.raises(MomentoEmulatorError, match="404"):
        momento_emulator.admin("GET", "caches/no-such-cache")


async def test_statistics_count_calls_and_deliveries(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    before = momento_emulator.stats()
    async with momento_stream(momento_emulator, momento_emulator.make_key().v2, cache, "t") as stream:
        assert await stream.next_kind() == "heartbeat"
        await momento_sdk.topics.publish(cache, "t", "text")
        await momento_sdk.topics.publish("no-such-cache", "t", "text")
        await momento_sdk.caches.set(cache, "key", "value")
        after = momento_emulator.stats()
        assert after["liveStreamsByTopic"][cache] == {"t": 1}
    assert after["publishes"] - before["publishes"] == 1
    assert after["deliveries"] - before["deliveries"] == 1
    assert after["calls"]["Publish"] == {"OK": 1, "NOT_FOUND": 1}
    assert after["calls"]["Subscribe"] == {"OK": 1}
    assert after["caches"][cache] == {"items": 1, "bytes": 8}
    await wait_until(lambda: momento_emulator.stats()["liveStreams"] == 0)
