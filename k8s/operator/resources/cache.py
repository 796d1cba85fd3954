"""A stage's Momento cache: find, create, adopt, delete. Who owns it, ownership tags say (`ownership_tags.py`)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from momento.errors import MomentoErrorCode
from momento.responses import CreateCache, DeleteCache, ListCaches
from momento.responses.mixins import ErrorResponseMixin

from k8s.operator.resources.clients import CacheControl
from k8s.operator.resources.errors import NotFoundError, NotOwnedError, ResourceUnavailable
from k8s.operator.resources.ownership_tags import CACHE_KIND, OwnershipTags, UntaggableResource
from k8s.operator.resources.reconcile_log import ReconcileLog
from notification_api import PermanentError

CACHE_SETTING = "momento.cacheName"
CALL_SECONDS = 10.0
_LIMIT_SECONDS = 10.0

_Answer = TypeVar("_Answer")

_REFUSED = {MomentoErrorCode.AUTHENTICATION_ERROR, MomentoErrorCode.PERMISSION_ERROR}
_INVALID = {
    MomentoErrorCode.BAD_REQUEST_ERROR,
    MomentoErrorCode.FAILED_PRECONDITION_ERROR,
    MomentoErrorCode.INVALID_ARGUMENT_ERROR,
}


async def cache_exists(caches: CacheControl, name: str) -> bool:
    """Whether Momento lists a cache with this name."""
    answer = await _with_deadline("list caches", name, caches.list_caches)
    if isinstance(answer, ListCaches.Success):
        return any(cache.name == name for cache in answer.caches)
    raise _translate("list caches", name, answer)


async def ensure_cache(caches: CacheControl, ownership: OwnershipTags, log: ReconcileLog) -> str:
    """The name of the stage's cache: created if there is none, adopted if the spec says so.

    :raises NotOwnedError:
    """
    cache = _cache_of(log)
    exists = await cache_exists(caches, cache.name)
    was_tagged = await ownership.claim(cache, log, exists=exists)
    if exists and not was_tagged:
        log.changed(f"adopted {cache.title}")
    if not exists:
        await _create(caches, cache, ownership, log, was_tagged=was_tagged)
    return cache.name


def _cache_of(log: ReconcileLog) -> UntaggableResource:
    name = log.identity.names.cache
    return UntaggableResource(CACHE_KIND, name, f"Momento cache {name}", CACHE_SETTING)


async def _create(
    caches: CacheControl, cache: UntaggableResource, ownership: OwnershipTags, log: ReconcileLog, *, was_tagged: bool
) -> None:
    answer = await _with_deadline("create", cache.name, lambda: caches.create_cache(cache.name))
    if isinstance(answer, CreateCache.Success):
        log.changed(f"created {cache.title}")
    elif not isinstance(answer, CreateCache.CacheAlreadyExists):
        raise _translate("create", cache.name, answer)
    elif not was_tagged:  # somebody else created it after it was listed
        await ownership.remove(CACHE_KIND)
        raise NotOwnedError(cache.title, CACHE_SETTING)


async def delete_cache(caches: CacheControl, ownership: OwnershipTags, log: ReconcileLog) -> None:
    """Delete the cache if this stage alone owns it, then its tag. A cache that no longer exists is no error."""
    cache = _cache_of(log)
    if not ownership.has(cache):
        return
    if other := ownership.other_owner(cache):
        log.notice(f"{cache.title} also belongs to {other} and stays")
    else:
        answer = await _with_deadline("delete", cache.name, lambda: caches.delete_cache(cache.name))
        if isinstance(answer, DeleteCache.Success):
            log.changed(f"deleted {cache.title}")
        else:
            error = _translate("delete", cache.name, answer)
            if not isinstance(error, NotFoundError):
                raise error
    await ownership.remove(CACHE_KIND)


async def _with_deadline(action: str, name: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    # The SDK sets deadlines of its own on most control calls, not on all.
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call()
    except TimeoutError as error:
        raise ResourceUnavailable(f"Momento, {action} {name}: no answer within {CALL_SECONDS:.0f} s") from error


def _translate(action: str, name: str, answer: object) -> ResourceUnavailable | PermanentError:
    """Translate an answer of the SDK that is no success."""
    if not isinstance(answer, ErrorResponseMixin):
        return PermanentError(f"Momento, {action} {name}: unknown answer {answer!r}")
    text = f"Momento, {action} {name}: {answer.message}"
    if answer.error_code is MomentoErrorCode.NOT_FOUND_ERROR:
        return NotFoundError(text)
    if answer.error_code in _REFUSED:
        return PermanentError(f"{text} (the API key must be valid and allow managing caches)")
    if answer.error_code in _INVALID:
        return PermanentError(text)
    is_limited = answer.error_code is MomentoErrorCode.LIMIT_EXCEEDED_ERROR
    return ResourceUnavailable(text, _LIMIT_SECONDS) if is_limited else ResourceUnavailable(text)
