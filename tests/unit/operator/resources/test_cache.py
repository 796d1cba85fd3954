"""The Momento cache: whose it is, and what the SDK's answers mean."""

import asyncio
from collections.abc import Mapping
from typing import NoReturn

import pytest
from momento.errors import MomentoErrorCode

from k8s.operator.resources import cache
from k8s.operator.resources.cache import cache_exists, claim_cache, remove_cache
from k8s.operator.resources.errors import NotFound, NotOurs, Permanent, ResourceUnavailable
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.ownership_tags import Carrier, Ledger
from k8s.operator.resources.reconcile_log import Pass
from tests.support.fakes.momento_caches import FakeCaches

NAME = "notification-api-dev"
RECORD = {"notification-api.io/made-cache": NAME}
IDENTITY = Identity("notification-api", "dev", "cluster", "owner")


class Tags(Carrier):
    """A carrier in memory."""

    def __init__(self, tags: Mapping[str, str] | None = None) -> None:
        self.stored = dict(tags or {})
        self.writes = 0
        super().__init__(dict(self.stored), self._tag, self._untag)

    async def _tag(self, tags: Mapping[str, str]) -> None:
        self.stored.update(tags)
        self.writes += 1

    async def _untag(self, key: str) -> None:
        del self.stored[key]
        self.writes += 1


async def test_the_record_is_written_before_the_cache_is_made() -> None:
    caches, tags = FakeCaches(), Tags()
    recorded_at: dict[str, bool] = {}
    caches.after_call = lambda action: recorded_at.update({action: tags.stored == RECORD})

    assert await claim_cache(caches, Ledger([tags]), Pass(IDENTITY)) == NAME

    assert recorded_at == {"ListCaches": False, "CreateCache": True}
    assert caches.names == {NAME}


async def test_a_recorded_cache_is_ours_and_costs_no_write() -> None:
    caches, tags, one_pass = FakeCaches(NAME), Tags(RECORD), Pass(IDENTITY)

    await claim_cache(caches, Ledger([tags]), one_pass)

    assert (tags.writes, one_pass.changes) == (0, [])


async def test_a_recorded_cache_that_is_not_there_is_made() -> None:
    caches = FakeCaches()

    await claim_cache(caches, Ledger([Tags(RECORD)]), Pass(IDENTITY))

    assert caches.names == {NAME}


async def test_an_unrecorded_cache_is_foreign() -> None:
    caches, tags = FakeCaches(NAME), Tags({"notification-api.io/made-cache": "another-name"})

    with pytest.raises(NotOurs):
        await claim_cache(caches, Ledger([tags]), Pass(IDENTITY))

    assert tags.writes == 0


async def test_adoption_records_the_cache() -> None:
    caches, tags = FakeCaches(NAME), Tags()

    await claim_cache(caches, Ledger([tags]), Pass(IDENTITY, adopt=True))

    assert tags.stored == RECORD


async def test_a_cache_made_by_somebody_in_the_gap_is_foreign_and_the_record_withdrawn() -> None:
    caches, tags = FakeCaches(), Tags()
    caches.made_elsewhere = NAME

    with pytest.raises(NotOurs):
        await claim_cache(caches, Ledger([tags]), Pass(IDENTITY))

    assert tags.stored == {}
    assert caches.names == {NAME}


async def test_a_cache_of_ours_that_the_listing_does_not_show_is_still_ours() -> None:
    caches, tags = FakeCaches(), Tags(RECORD)
    caches.made_elsewhere = NAME

    assert await claim_cache(caches, Ledger([tags]), Pass(IDENTITY)) == NAME

    assert tags.stored == RECORD


async def test_the_record_reaches_every_carrier_that_lacks_it() -> None:
    has, lacks = Tags(RECORD), Tags()

    await claim_cache(FakeCaches(NAME), Ledger([has, lacks]), Pass(IDENTITY))

    assert (has.writes, lacks.stored) == (0, RECORD)


async def test_removal_deletes_the_cache_then_the_record() -> None:
    caches, tags = FakeCaches(NAME, "other"), Tags(RECORD)
    recorded: list[bool] = []
    caches.after_call = lambda action: recorded.append(tags.stored == RECORD)

    await remove_cache(caches, Ledger([tags]), Pass(IDENTITY))

    assert caches.names == {"other"}
    assert recorded == [True]
    assert tags.stored == {}


async def test_removal_leaves_an_unrecorded_cache() -> None:
    caches = FakeCaches(NAME)

    await remove_cache(caches, Ledger([Tags()]), Pass(IDENTITY))

    assert caches.names == {NAME}


async def test_removing_a_cache_that_is_gone_is_no_error() -> None:
    tags, one_pass = Tags(RECORD), Pass(IDENTITY)

    await remove_cache(FakeCaches(), Ledger([tags]), one_pass)

    assert (tags.stored, one_pass.changes) == ({}, [])


@pytest.mark.parametrize("code", list(MomentoErrorCode))
async def test_an_error_answer_is_never_taken_for_success(code: MomentoErrorCode) -> None:
    caches = FakeCaches(NAME)
    caches.failing = code

    with pytest.raises((ResourceUnavailable, Permanent), match="Momento, list caches"):
        await cache_exists(caches, NAME)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (MomentoErrorCode.TIMEOUT_ERROR, ResourceUnavailable),
        (MomentoErrorCode.SERVER_UNAVAILABLE, ResourceUnavailable),
        (MomentoErrorCode.INTERNAL_SERVER_ERROR, ResourceUnavailable),
        (MomentoErrorCode.LIMIT_EXCEEDED_ERROR, ResourceUnavailable),
        (MomentoErrorCode.CONNECTION_ERROR, ResourceUnavailable),
        (MomentoErrorCode.AUTHENTICATION_ERROR, Permanent),
        (MomentoErrorCode.PERMISSION_ERROR, Permanent),
        (MomentoErrorCode.INVALID_ARGUMENT_ERROR, Permanent),
        (MomentoErrorCode.NOT_FOUND_ERROR, NotFound),
    ],
)
async def test_each_error_says_what_to_do(code: MomentoErrorCode, error: type[Exception]) -> None:
    caches = FakeCaches()
    caches.failing = code

    with pytest.raises(error) as caught:
        await cache_exists(caches, NAME)

    assert type(caught.value) is error


async def test_a_call_without_an_answer_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CALL_SECONDS", 0.01)

    class Silent(FakeCaches):
        async def list_caches(self) -> NoReturn:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ResourceUnavailable, match="no answer within"):
        await cache_exists(Silent(), NAME)


async def test_without_a_carrier_nothing_is_made() -> None:
    caches = FakeCaches()

    with pytest.raises(Permanent, match="Give the cache too"):
        await claim_cache(caches, Ledger(), Pass(IDENTITY))

    assert caches.names == set()
