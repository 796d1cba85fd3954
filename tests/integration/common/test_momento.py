"""The gateway to Momento against the emulator, through the unmodified SDK."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from notification_api import TransientError
from services.common.aws.ssm_parameter import SsmParameter
from services.common.background import Background
from services.common.momento import calls as momento_calls
from services.common.momento.app_context import api_key_parameter
from services.common.momento.errors import (
    MomentoKeyRefused,
    MomentoQuotaExceeded,
    MomentoRefused,
    MomentoUnavailable,
)
from services.common.momento.gateway import DisposableToken, Momento
from services.common.settings import MomentoSettings
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.stream import momento_stream
from tests.support.processes.momento import MomentoApiKey, MomentoEmulator

NAME = "/notification-api/test/momento-api-key"
ONCE = {"calls": 1}


@pytest.fixture(autouse=True)
def _healed(momento_emulator: MomentoEmulator) -> Iterator[None]:
    yield
    momento_emulator.change(faults=[], down=False)


@pytest.fixture
def key(momento_emulator: MomentoEmulator) -> MomentoApiKey:
    return momento_emulator.make_key()


@pytest.fixture
async def momento_sdk(momento_emulator: MomentoEmulator, key: MomentoApiKey) -> AsyncIterator[MomentoSdk]:
    async with open_momento_sdk(momento_emulator, key.v2) as momento_sdk:
        yield momento_sdk


@pytest.fixture
async def cache(momento_emulator: MomentoEmulator) -> AsyncIterator[str]:
    async with open_momento_sdk(momento_emulator, momento_emulator.make_key().v2) as momento_sdk:
        yield await momento_sdk.new_cache()


class FakeSsm:
    """A parameter store with one value; counts its reads."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0
        self.delay_seconds = 0.0

    async def get_parameter(self, **_request: Any) -> dict[str, Any]:
        self.reads += 1
        await asyncio.sleep(self.delay_seconds)
        return {"Parameter": {"Value": self.value}}


@dataclass
class Gateway:
    momento: Momento
    ssm: FakeSsm
    parameter: SsmParameter
    stops: list[str]


@asynccontextmanager
async def gateway_of(momento_emulator: MomentoEmulator, cache: str, key: str) -> AsyncIterator[Gateway]:
    ssm, stops = FakeSsm(key), list[str]()
    background = Background(lambda: stops.append("stop"))
    settings = MomentoSettings(api_key_param_name=NAME, cache_name=cache, endpoint=momento_emulator.endpoint)
    parameter = api_key_parameter(cast("Any", ssm), settings)
    await parameter._refresh()
    try:
        async with Momento(settings, parameter, background).running() as momento:
            yield Gateway(momento, ssm, parameter, stops)
    finally:
        await background.close()
    assert stops == []


@pytest.fixture
async def gateway(momento_emulator: MomentoEmulator, cache: str, key: MomentoApiKey) -> AsyncIterator[Gateway]:
    async with gateway_of(momento_emulator, cache, key.v1) as gateway:
        yield gateway


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short deadlines for tests."""
    monkeypatch.setattr(momento_calls, "ATTEMPT_SECONDS", 0.2)


CALLS: dict[str, tuple[str, Callable[[Momento], Awaitable[object]]]] = {
    "publish": ("Publish", lambda momento: momento.publish("topic", "x")),
    "vend": (
        "GenerateDisposableToken",
        lambda momento: momento.vend_subscriber_token("topic", valid_for_seconds=60, token_id="alice"),
    ),
    "get": ("Get", lambda momento: momento.get("key")),
    "set": ("Set", lambda momento: momento.set("key", b"x", ttl_seconds=60)),
    "set-if-absent": ("SetIfNotExists", lambda momento: momento.set_if_absent("key", b"x", ttl_seconds=60)),
    "delete": ("Delete", lambda momento: momento.delete("key")),
    "dictionary-set": ("DictionarySet", lambda momento: momento.dictionary_set("d", "f", b"x", ttl_seconds=60)),
    "dictionary-get": ("DictionaryGet", lambda momento: momento.dictionary_get("d", "f")),
    "dictionary-fetch": ("DictionaryFetch", lambda momento: momento.dictionary_fetch("d")),
    "dictionary-remove": ("DictionaryDelete", lambda momento: momento.dictionary_remove("d", ["f"])),
}
every_call_but_vending = pytest.mark.parametrize("operation", [name for name in CALLS if name != "vend"])


def counted(operation: str, outcome: str) -> float:
    labels = {"operation": operation, "outcome": outcome}
    return REGISTRY.get_sample_value("notification_api_momento_calls_total", labels) or 0.0


async def test_a_published_notification_is_received(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    async with momento_stream(momento_emulator, key.v2, gateway.momento.cache_name, "alice") as stream:
        assert await stream.next_kind() == "heartbeat"
        await gateway.momento.publish("alice", "größer 👍🏽")
        assert (await stream.item()).value.text == "größer 👍🏽"


async def test_a_vended_token_can_subscribe_to_its_topic_until_it_expires(
    momento_emulator: MomentoEmulator, gateway: Gateway
) -> None:
    before = int(time.time())
    token = await gateway.momento.vend_subscriber_token("alice", valid_for_seconds=600, token_id="alice")
    assert isinstance(token, DisposableToken)
    assert before + 599 <= token.expires_at <= time.time() + 601
    assert token.endpoint


async def test_values_are_set_read_and_removed(gateway: Gateway) -> None:
    momento = gateway.momento
    assert await momento.get("key") is None
    await momento.set("key", b"\x00\xff", ttl_seconds=60)
    assert await momento.get("key") == b"\x00\xff"
    await momento.delete("key")
    await momento.delete("key")
    assert await momento.get("key") is None


async def test_only_the_first_conditional_set_succeeds(gateway: Gateway) -> None:
    assert await gateway.momento.set_if_absent("claim", b"a", ttl_seconds=60)
    assert not await gateway.momento.set_if_absent("claim", b"b", ttl_seconds=60)
    assert await gateway.momento.get("claim") == b"a"


async def test_dictionaries_are_set_read_and_removed_by_field(gateway: Gateway) -> None:
    momento = gateway.momento
    assert await momento.dictionary_fetch("d") == {}
    assert await momento.dictionary_get("d", "one") is None
    await momento.dictionary_set("d", "one", b"1", ttl_seconds=60)
    await momento.dictionary_set("d", "two", b"2", ttl_seconds=60)
    assert await momento.dictionary_get("d", "one") == b"1"
    assert await momento.dictionary_get("d", "three") is None
    assert await momento.dictionary_fetch("d") == {"one": b"1", "two": b"2"}
    await momento.dictionary_remove("d", ["one", "three"])
    assert await momento.dictionary_fetch("d") == {"two": b"2"}


@every_call_but_vending
async def test_a_call_that_fails_once_is_retried(
    momento_emulator: MomentoEmulator, gateway: Gateway, operation: str
) -> None:
    method, call = CALLS[operation]
    errors, oks = counted(operation, "error"), counted(operation, "ok")
    momento_emulator.change(faults=[{"method": method, "status": "UNAVAILABLE", **ONCE}])
    await call(gateway.momento)
    assert (counted(operation, "error"), counted(operation, "ok")) == (errors + 1, oks + 1)


@every_call_but_vending
@pytest.mark.usefixtures("short")
async def test_a_call_that_hangs_is_aborted_and_retried(
    momento_emulator: MomentoEmulator, gateway: Gateway, operation: str
) -> None:
    method, call = CALLS[operation]
    momento_emulator.change(faults=[{"method": method, "neverAnswer": True, **ONCE}])
    async with asyncio.timeout(5):
        await call(gateway.momento)


async def test_vending_has_one_attempt_since_retries_are_queued(
    momento_emulator: MomentoEmulator, gateway: Gateway
) -> None:
    method, vend = CALLS["vend"]
    errors = counted("vend", "error")
    momento_emulator.change(faults=[{"method": method, "status": "RESOURCE_EXHAUSTED", **ONCE}])
    with pytest.raises(MomentoQuotaExceeded):
        await vend(gateway.momento)
    assert counted("vend", "error") == errors + 1
    await vend(gateway.momento)


@pytest.mark.usefixtures("short")
async def test_a_vending_that_hangs_is_aborted(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    method, vend = CALLS["vend"]
    momento_emulator.change(faults=[{"method": method, "neverAnswer": True, **ONCE}])
    async with asyncio.timeout(5):
        with pytest.raises(MomentoUnavailable, match="no response"):
            await vend(gateway.momento)


@pytest.mark.usefixtures("short")
async def test_a_call_ends_at_its_deadline_in_any_case(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    momento_emulator.change(faults=[{"method": "Publish", "neverAnswer": True}])
    started = time.perf_counter()
    with pytest.raises(MomentoUnavailable):
        await gateway.momento.publish("alice", "x", deadline_seconds=0.5)
    assert 0.3 < time.perf_counter() - started < 1.0


async def test_an_attempt_may_not_outlast_the_deadline(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    momento_emulator.change(faults=[{"method": "Publish", "neverAnswer": True}])
    with pytest.raises(MomentoUnavailable, match=r"no success within 0\.1 s"):
        await gateway.momento.publish("alice", "x", deadline_seconds=0.1)


async def test_calls_are_unavailable_during_an_outage_only(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    momento_emulator.change(down=True)
    with pytest.raises(MomentoUnavailable):
        await gateway.momento.publish("alice", "x", deadline_seconds=0.3)
    momento_emulator.change(down=False)
    await gateway.momento.publish("alice", "x")


async def test_a_short_outage_within_the_deadline_is_not_noticed(
    momento_emulator: MomentoEmulator, gateway: Gateway
) -> None:
    momento_emulator.change(faults=[{"method": "Publish", "status": "UNAVAILABLE", "calls": 4}])
    await gateway.momento.publish("alice", "x")


async def test_an_exceeded_quota_has_its_own_error(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    momento_emulator.change(
        faults=[{"method": "Publish", "status": "RESOURCE_EXHAUSTED", "err": "operations_rate_limit_exceeded"}]
    )
    with pytest.raises(MomentoQuotaExceeded):
        await gateway.momento.publish("alice", "x", deadline_seconds=1.0)


async def test_a_deadline_during_a_later_attempt_reports_why_the_earlier_one_failed(
    momento_emulator: MomentoEmulator, gateway: Gateway
) -> None:
    exceeded = {"method": "Publish", "status": "RESOURCE_EXHAUSTED", "err": "operations_rate_limit_exceeded"}
    momento_emulator.change(faults=[{**exceeded, "calls": 1}, {"method": "Publish", "neverAnswer": True}])
    with pytest.raises(MomentoQuotaExceeded):
        await gateway.momento.publish("alice", "x", deadline_seconds=1.0)


async def test_a_call_that_can_never_succeed_is_tried_once(momento_emulator: MomentoEmulator, gateway: Gateway) -> None:
    before = counted("publish", "error")
    momento_emulator.change(faults=[{"method": "Publish", "status": "INVALID_ARGUMENT"}])
    with pytest.raises(MomentoRefused):
        await gateway.momento.publish("alice", "x")
    assert counted("publish", "error") == before + 1


async def test_a_missing_cache_is_waited_for(momento_emulator: MomentoEmulator, key: MomentoApiKey) -> None:
    async with gateway_of(momento_emulator, "not-there", key.v1) as gateway:
        with pytest.raises(MomentoUnavailable, match="NOT_FOUND"):
            await gateway.momento.publish("alice", "x", deadline_seconds=1.0)


@pytest.mark.parametrize("kind", ["v1", "v2"])
async def test_both_kinds_of_key_work(
    momento_emulator: MomentoEmulator, cache: str, key: MomentoApiKey, kind: str
) -> None:
    async with gateway_of(momento_emulator, cache, getattr(key, kind)) as gateway:
        assert gateway.momento.readiness_problem() is None
        assert gateway.momento.api_key() == getattr(key, kind)
        await gateway.momento.publish("alice", "x")
        await gateway.momento.vend_subscriber_token("alice", valid_for_seconds=60, token_id="alice")


async def test_an_invalid_key_is_reported_and_not_quoted() -> None:
    settings = MomentoSettings(api_key_param_name=NAME, cache_name="c", endpoint=None)
    parameter = api_key_parameter(cast("Any", FakeSsm("s3cr3t-but-no-key")), settings)
    momento = Momento(settings, parameter, Background(lambda: None))
    assert "cannot be read" in str(momento.readiness_problem())
    await parameter._refresh()
    with pytest.raises(TransientError) as caught:
        await momento.publish("alice", "x", deadline_seconds=0.2)
    for said in (str(momento.readiness_problem()), str(caught.value)):
        assert NAME in said
        assert "neither a v1 nor a v2" in said
        assert "s3cr3t" not in said


@pytest.mark.parametrize("typed", ["s3cr3t-but-no-key", "eyJhbGciOiJIUzI1NiJ9.e30.x", "<html>", " "])
async def test_a_typing_error_in_the_parameter_leaves_the_key_in_use(gateway: Gateway, typed: str) -> None:
    await gateway.momento.publish("alice", "before")
    gateway.ssm.value = typed
    assert not await gateway.parameter._refresh()
    await gateway.momento.publish("alice", "during the vending", deadline_seconds=1.0)
    assert gateway.momento.readiness_problem() is None


async def test_a_corrected_key_is_read_after_the_first_call_that_fails_with_the_old_one(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    gateway.ssm.value = "s3cr3t-but-no-key"
    await gateway.parameter._refresh()
    gateway.ssm.value = momento_emulator.make_key().v1
    momento_emulator.revoke_key(key.key_id)
    await gateway.momento.publish("alice", "after")


async def test_a_key_without_permission_is_read_again_and_the_call_succeeds(
    momento_emulator: MomentoEmulator, gateway: Gateway
) -> None:
    gateway.ssm.value = momento_emulator.make_key().v1
    momento_emulator.change(faults=[{"method": "Publish", "status": "PERMISSION_DENIED", **ONCE}])
    await gateway.momento.publish("alice", "x")
    assert gateway.momento.api_key() == gateway.ssm.value
    assert gateway.ssm.reads == 2


async def test_a_revoked_key_is_read_again_and_the_call_succeeds(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    await gateway.momento.publish("alice", "before")
    gateway.ssm.value = momento_emulator.make_key().v2
    momento_emulator.revoke_key(key.key_id)
    await gateway.momento.publish("alice", "after")
    assert gateway.ssm.reads == 2


async def test_a_hundred_calls_with_a_revoked_key_read_the_parameter_once(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    gateway.ssm.value = momento_emulator.make_key().v1
    momento_emulator.revoke_key(key.key_id)
    await asyncio.gather(*(gateway.momento.publish("alice", str(number)) for number in range(100)))
    assert gateway.ssm.reads == 2


async def test_a_revoked_key_without_a_successor_is_unavailable(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    momento_emulator.revoke_key(key.key_id)
    with pytest.raises(MomentoKeyRefused):
        await gateway.momento.publish("alice", "x", deadline_seconds=2.0)
    assert gateway.ssm.reads == 2


async def test_a_caller_with_a_short_deadline_does_not_abort_the_shared_read(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey
) -> None:
    gateway.ssm.value = momento_emulator.make_key().v1
    gateway.ssm.delay_seconds = 0.3
    momento_emulator.revoke_key(key.key_id)
    with pytest.raises(MomentoUnavailable):
        await gateway.momento.get("key", deadline_seconds=0.1)
    await gateway.momento.publish("alice", "x")
    assert gateway.ssm.reads == 2


async def test_a_key_rotation_under_load_loses_no_publish(
    momento_emulator: MomentoEmulator, gateway: Gateway, key: MomentoApiKey, cache: str
) -> None:
    reader = momento_emulator.make_key().v2
    swaps = REGISTRY.get_sample_value("notification_api_momento_client_swaps_total") or 0.0
    # Delayed responses, so that calls with the old key are in progress when the key changes.
    momento_emulator.change(faults=[{"method": "Publish", "delayMs": 20, "ratio": 0.5}])
    async with momento_stream(momento_emulator, reader, cache, "alice") as stream:
        assert await stream.next_kind() == "heartbeat"
        publishing = [asyncio.create_task(publish_many(gateway.momento, worker)) for worker in range(10)]
        heard = [await heard_text(stream) for _ in range(50)]
        gateway.ssm.value = momento_emulator.make_key().v1
        momento_emulator.revoke_key(key.key_id)
        await asyncio.gather(*publishing)
        heard += [await heard_text(stream) for _ in range(200 - len(heard))]
    assert sorted(heard) == sorted(f"{worker}-{number}" for worker in range(10) for number in range(20))
    assert REGISTRY.get_sample_value("notification_api_momento_client_swaps_total") == swaps + 1


async def publish_many(momento: Momento, worker: int) -> None:
    for number in range(20):
        await momento.publish("alice", f"{worker}-{number}")


async def heard_text(stream: Any) -> str:
    item = await stream.item()
    return str(item.value.text)
