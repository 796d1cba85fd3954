"""Momento clients by the parameter of their key: opened when needed, bounded, never closed during a call."""

import asyncio
from types import TracebackType
from typing import Any

import pytest
from momento.errors import MomentoErrorCode
from momento.responses import ListCaches
from momento.responses.control.cache.list import ListCachesResponse

from k8s.operator.resources import momento_caches as module
from k8s.operator.resources.momento_caches import KEY_SECONDS, LISTING_SECONDS, MAX_CLIENTS, MomentoCaches
from notification_api import PermanentError
from services.common.momento.api_key import InvalidApiKey
from tests.support.clock import ManualClock
from tests.support.fakes.momento_caches import FakeCaches


class Parameters:
    """SSM: a parameter's value is its name, unless set otherwise."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.values: dict[str, str] = {}
        self.silent: set[str] = set()

    async def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 -- the SDK's
        self.reads.append(Name)
        if Name in self.silent:
            await asyncio.Event().wait()
        return {"Parameter": {"Value": self.values.get(Name, Name)}}


class Client(FakeCaches):
    """A client of the SDK; `key` is what it was opened with."""

    all: list["Client"]

    def __init__(self, _configuration: object, key: str, **_: object) -> None:
        super().__init__()
        self.key = key
        self.closed = 0
        self.listing: asyncio.Event | None = None
        Client.all.append(self)

    async def list_caches(self) -> ListCachesResponse:
        if self.listing:
            await self.listing.wait()
        return await super().list_caches()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def credentials(key: str, _endpoint: str | None) -> str:
        if key == "bad":
            raise InvalidApiKey("The Momento API key is malformed")
        return key

    Client.all = []
    monkeypatch.setattr(module, "CacheClientAsync", Client)
    monkeypatch.setattr(module, "credential_provider", credentials)
    monkeypatch.setattr(module, "CALL_INTERVAL_SECONDS", 0.0)


def pool_of(parameters: Parameters, clock: ManualClock | None = None) -> MomentoCaches:
    ssm: Any = parameters
    return MomentoCaches(ssm, None, clock or ManualClock())


async def names(pool: MomentoCaches, parameter: str) -> list[str]:
    answer = await pool.with_key(parameter).list_caches()
    assert isinstance(answer, ListCaches.Success)
    return [cache.name for cache in answer.caches]


async def test_a_key_is_read_at_the_first_call_and_again_when_it_is_old() -> None:
    parameters, clock = Parameters(), ManualClock()
    pool = pool_of(parameters, clock)
    caches = pool.with_key("/a")
    assert parameters.reads == []
    await caches.create_cache("one")
    await caches.create_cache("two")
    assert parameters.reads == ["/a"]
    clock.advance(KEY_SECONDS)
    await caches.create_cache("three")
    assert parameters.reads == ["/a", "/a"]
    assert len(Client.all) == 1


async def test_keys_of_deleted_stages_are_dropped() -> None:
    parameters, clock = Parameters(), ManualClock()
    pool = pool_of(parameters, clock)
    for number in range(100):
        await pool.with_key(f"/gone-{number}").create_cache("c")
    clock.advance(KEY_SECONDS)
    await pool.with_key("/there").create_cache("c")
    assert list(pool._keys) == ["/there"]


async def test_a_slow_key_does_not_delay_other_stages() -> None:
    parameters = Parameters()
    parameters.silent.add("/slow")
    pool = pool_of(parameters)
    slow = asyncio.create_task(names(pool, "/slow"))
    async with asyncio.timeout(5):
        assert await names(pool, "/other") == []
    slow.cancel()
    await asyncio.wait([slow])


async def test_stages_with_one_key_share_a_recent_list() -> None:
    clock = ManualClock()
    pool = pool_of(Parameters(), clock)
    assert await names(pool, "/a") == []
    Client.all[0].names.add("new")
    assert await names(pool, "/a") == []
    clock.advance(LISTING_SECONDS)
    assert await names(pool, "/a") == ["new"]


async def test_created_and_deleted_caches_show_in_the_list_at_once() -> None:
    pool = pool_of(Parameters())
    assert await names(pool, "/a") == []
    await pool.with_key("/a").create_cache("mine")
    assert await names(pool, "/a") == ["mine"]
    await pool.with_key("/a").delete_cache("mine")
    assert await names(pool, "/a") == []


async def test_a_refused_key_is_read_again() -> None:
    parameters = Parameters()
    parameters.values["/a"] = "revoked"
    pool = pool_of(parameters)
    await names(pool, "/a")
    Client.all[0].failing = MomentoErrorCode.AUTHENTICATION_ERROR
    pool.state("/a").cache_names = None
    assert isinstance(await pool.with_key("/a").list_caches(), ListCaches.Error)
    parameters.values["/a"] = "new"
    assert await names(pool, "/a") == []
    assert [client.key for client in Client.all] == ["revoked", "new"]


async def test_clients_are_bounded_and_none_is_closed_during_a_call() -> None:
    pool = pool_of(Parameters())
    await pool.with_key("/busy").create_cache("c")
    busy = Client.all[0]
    busy.listing = asyncio.Event()
    call = asyncio.create_task(names(pool, "/busy"))
    for number in range(MAX_CLIENTS + 1):
        await pool.with_key(f"/{number}").create_cache("c")
    assert sum(not client.closed for client in Client.all) == MAX_CLIENTS + 1
    assert busy.closed == 0
    busy.listing.set()
    assert await call == ["c"]
    assert busy.closed == 1
    async with pool:
        pass
    assert [client.closed for client in Client.all] == [1] * len(Client.all)


async def test_a_malformed_key_is_a_permanent_error() -> None:
    parameters = Parameters()
    parameters.values["/a"] = "bad"
    with pytest.raises(PermanentError, match="malformed"):
        await names(pool_of(parameters), "/a")
