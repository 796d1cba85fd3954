"""A stage's Momento cache: find, make, adopt, remove. Whose it is, the ledger says (see `ledger.py`)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from momento.errors import MomentoErrorCode
from momento.responses import CreateCache, DeleteCache, ListCaches
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import ListCachesResponse
from momento.responses.mixins import ErrorResponseMixin

from k8s.operator.resources.errors import NotFound, NotOurs, Permanent, ResourceUnavailable
from k8s.operator.resources.other_owners import CACHE_KIND
from k8s.operator.resources.ownership_tags import Ledger, Thing
from k8s.operator.resources.reconcile_log import Pass

GIVE = "momento.cacheName"
CALL_SECONDS = 10.0
_LIMIT_SECONDS = 10.0

_Answer = TypeVar("_Answer")

_REFUSED = {MomentoErrorCode.AUTHENTICATION_ERROR, MomentoErrorCode.PERMISSION_ERROR}
_INVALID = {
    MomentoErrorCode.BAD_REQUEST_ERROR,
    MomentoErrorCode.FAILED_PRECONDITION_ERROR,
    MomentoErrorCode.INVALID_ARGUMENT_ERROR,
}


class CacheControl(Protocol):
    """What is used of `momento.CacheClientAsync`."""

    async def list_caches(self) -> ListCachesResponse: ...

    async def create_cache(self, cache_name: str) -> CreateCacheResponse: ...

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse: ...


async def cache_exists(caches: CacheControl, name: str) -> bool:
    """Whether Momento lists a cache of this name."""
    answer = await _within_deadline("list caches", name, caches.list_caches)
    if isinstance(answer, ListCaches.Success):
        return any(cache.name == name for cache in answer.caches)
    raise _translated("list caches", name, answer)


async def claim_cache(caches: CacheControl, ledger: Ledger, one_pass: Pass) -> str:
    """The name of our cache: made where there is none, adopted if that was asked for. Raises `NotOurs`."""
    thing = _thing(one_pass)
    exists = await cache_exists(caches, thing.name)
    recorded = await ledger.claim(thing, one_pass, exists=exists)
    if exists and not recorded:
        one_pass.changed(f"adopted {thing.title}")
    if not exists:
        await _create(caches, thing.name, ledger, one_pass, recorded=recorded)
    return thing.name


def _thing(one_pass: Pass) -> Thing:
    name = one_pass.identity.names.cache
    return Thing(CACHE_KIND, name, f"Momento cache {name}", GIVE)


async def _create(caches: CacheControl, name: str, ledger: Ledger, one_pass: Pass, *, recorded: bool) -> None:
    answer = await _within_deadline("create", name, lambda: caches.create_cache(name))
    if isinstance(answer, CreateCache.Success):
        one_pass.changed(f"created Momento cache {name}")
    elif not isinstance(answer, CreateCache.CacheAlreadyExists):
        raise _translated("create", name, answer)
    elif not recorded:  # somebody made it since we looked; our record is younger than our look
        await ledger.drop(CACHE_KIND)
        raise NotOurs(f"Momento cache {name}", GIVE)


async def remove_cache(caches: CacheControl, ledger: Ledger, one_pass: Pass) -> None:
    """Delete the cache if it is recorded as ours alone, then the record; it may be gone already."""
    thing = _thing(one_pass)
    if not ledger.has(CACHE_KIND, thing.name):
        return
    if other := ledger.other_owner(thing):
        one_pass.notice(f"{thing.title} also belongs to {other} and stays")
    else:
        answer = await _within_deadline("delete", thing.name, lambda: caches.delete_cache(thing.name))
        if isinstance(answer, DeleteCache.Success):
            one_pass.changed(f"deleted {thing.title}")
        else:
            error = _translated("delete", thing.name, answer)
            if not isinstance(error, NotFound):
                raise error
    await ledger.drop(CACHE_KIND)


async def _within_deadline(action: str, name: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    # The SDK sets deadlines of its own on most control calls; this one holds whatever it does.
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call()
    except TimeoutError as error:
        raise ResourceUnavailable(f"Momento, {action} {name}: no answer within {CALL_SECONDS:.0f} s") from error


def _translated(action: str, name: str, answer: object) -> ResourceUnavailable | Permanent:
    """An SDK answer that is no success, as an error of ours."""
    if not isinstance(answer, ErrorResponseMixin):
        return Permanent(f"Momento, {action} {name}: unknown answer {answer!r}")
    text = f"Momento, {action} {name}: {answer.message}"
    if answer.error_code is MomentoErrorCode.NOT_FOUND_ERROR:
        return NotFound(text)
    if answer.error_code in _REFUSED:
        return Permanent(f"{text} (the API key must be valid and allow managing caches)")
    if answer.error_code in _INVALID:
        return Permanent(text)
    limited = answer.error_code is MomentoErrorCode.LIMIT_EXCEEDED_ERROR
    return ResourceUnavailable(text, _LIMIT_SECONDS) if limited else ResourceUnavailable(text)
