"""The Momento cache: who owns it, and what the SDK's answers mean."""

import asyncio
from collections.abc import Mapping
from typing import NoReturn

import pytest
from momento.errors import MomentoErrorCode

from k8s.operator.resources import cache
from k8s.operator.resources.cache import cache_exists, delete_cache, ensure_cache
from k8s.operator.resources.errors import NotFoundError, NotOwnedError, ResourceUnavailable
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.ownership_tags import OwnershipTags, TaggedResource
from k8s.operator.resources.reconcile_log import ReconcileLog
from notification_api import PermanentError
from tests.support.fakes.momento_caches import FakeCaches

NAME = "notification-api-dev"
TAG = {"notification-api.io/made-cache": NAME}
IDENTITY = Identity("notification-api", "dev", "cluster", "owner")


class Tags(TaggedResource):
    """A tagged resource in memory."""

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


async def test_the_tag_is_written_before_the_cache_is_created() -> None:
    caches, tags = FakeCaches(), Tags()
    tagged_at: dict[str, bool] = {}
    caches.after_call = lambda action: tagged_at.update({action: tags.stored == TAG})

    assert await ensure_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY)) == NAME

    assert tagged_at == {"ListCaches": False, "CreateCache": True}
    assert caches.names == {NAME}


async def test_a_tagged_cache_is_owned_and_costs_no_write() -> None:
    caches, tags, log = FakeCaches(NAME), Tags(TAG), ReconcileLog(IDENTITY)

    await ensure_cache(caches, OwnershipTags([tags]), log)

    assert (tags.writes, log.changes) == (0, [])


async def test_a_tagged_cache_that_does_not_exist_is_created() -> None:
    caches = FakeCaches()

    await ensure_cache(caches, OwnershipTags([Tags(TAG)]), ReconcileLog(IDENTITY))

    assert caches.names == {NAME}


async def test_an_untagged_cache_is_not_owned() -> None:
    caches, tags = FakeCaches(NAME), Tags({"notification-api.io/made-cache": "another-name"})

    with pytest.raises(NotOwnedError):
        await ensure_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY))

    assert tags.writes == 0


async def test_adoption_tags_the_cache() -> None:
    caches, tags = FakeCaches(NAME), Tags()

    await ensure_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY, adopt=True))

    assert tags.stored == TAG


async def test_a_cache_created_by_another_in_the_gap_is_not_owned_and_the_tag_removed() -> None:
    caches, tags = FakeCaches(), Tags()
    caches.made_elsewhere = NAME

    with pytest.raises(NotOwnedError):
        await ensure_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY))

    assert tags.stored == {}
    assert caches.names == {NAME}


async def test_an_owned_cache_that_the_list_lacks_is_still_owned() -> None:
    caches, tags = FakeCaches(), Tags(TAG)
    caches.made_elsewhere = NAME

    assert await ensure_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY)) == NAME

    assert tags.stored == TAG


async def test_every_owned_resource_gets_the_tag() -> None:
    has, lacks = Tags(TAG), Tags()

    await ensure_cache(FakeCaches(NAME), OwnershipTags([has, lacks]), ReconcileLog(IDENTITY))

    assert (has.writes, lacks.stored) == (0, TAG)


async def test_deletion_deletes_the_cache_then_the_tag() -> None:
    caches, tags = FakeCaches(NAME, "other"), Tags(TAG)
    tagged: list[bool] = []
    caches.after_call = lambda action: tagged.append(tags.stored == TAG)

    await delete_cache(caches, OwnershipTags([tags]), ReconcileLog(IDENTITY))

    assert caches.names == {"other"}
    assert tagged == [True]
    assert tags.stored == {}


async def test_deletion_leaves_an_untagged_cache() -> None:
    caches = FakeCaches(NAME)

    await delete_cache(caches, OwnershipTags([Tags()]), ReconcileLog(IDENTITY))

    assert caches.names == {NAME}


async def test_deleting_a_cache_that_does_not_exist_is_no_error() -> None:
    tags, log = Tags(TAG), ReconcileLog(IDENTITY)

    await delete_cache(FakeCaches(), OwnershipTags([tags]), log)

    assert (tags.stored, log.changes) == ({}, [])


@pytest.mark.parametrize("code", list(MomentoErrorCode))
async def test_an_error_answer_is_never_a_success(code: MomentoErrorCode) -> None:
    caches = FakeCaches(NAME)
    caches.failing = code

    with pytest.raises((ResourceUnavailable, PermanentError), match="Momento, list caches"):
        await cache_exists(caches, NAME)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (MomentoErrorCode.TIMEOUT_ERROR, ResourceUnavailable),
        (MomentoErrorCode.SERVER_UNAVAILABLE, ResourceUnavailable),
        (MomentoErrorCode.INTERNAL_SERVER_ERROR, ResourceUnavailable),
        (MomentoErrorCode.LIMIT_EXCEEDED_ERROR, ResourceUnavailable),
        (MomentoErrorCode.CONNECTION_ERROR, ResourceUnavailable),
        (MomentoErrorCode.AUTHENTICATION_ERROR, PermanentError),
        (MomentoErrorCode.PERMISSION_ERROR, PermanentError),
        (MomentoErrorCode.INVALID_ARGUMENT_ERROR, PermanentError),
        (MomentoErrorCode.NOT_FOUND_ERROR, NotFoundError),
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


async def test_without_a_resource_to_tag_nothing_is_created() -> None:
    caches = FakeCaches()

    with pytest.raises(PermanentError, match="Give the cache too"):
        await ensure_cache(caches, OwnershipTags(), ReconcileLog(IDENTITY))

    assert caches.names == set()
