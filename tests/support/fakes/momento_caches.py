"""A small fake of `momento.CacheClientAsync`, for creating, listing and deleting caches."""

from collections.abc import Callable

from momento.errors import MomentoErrorCode, SdkException
from momento.internal.services import Service
from momento.responses import CreateCache, DeleteCache, ListCaches
from momento.responses.control.cache.create import CreateCacheResponse
from momento.responses.control.cache.delete import DeleteCacheResponse
from momento.responses.control.cache.list import CacheInfo, ListCachesResponse


def sdk_error(code: MomentoErrorCode) -> SdkException:
    """An error as the SDK returns it."""
    return SdkException("it went wrong", code, Service.CACHE, message_wrapper="Momento says")


class FakeCaches:
    """Caches in memory; answers as the SDK does, errors as values. `after_call` is called after every call."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.after_call: Callable[[str], None] = lambda action: None
        self.failing: MomentoErrorCode | None = None
        self.made_elsewhere: str | None = None
        """A cache that another client creates right after the next listing."""

    async def list_caches(self) -> ListCachesResponse:
        caches = [CacheInfo(name) for name in sorted(self.names)]
        if self.made_elsewhere:
            self.names.add(self.made_elsewhere)
        self.after_call("ListCaches")
        return ListCaches.Error(sdk_error(self.failing)) if self.failing else ListCaches.Success(caches)

    async def create_cache(self, cache_name: str) -> CreateCacheResponse:
        exists = cache_name in self.names
        self.names.add(cache_name)
        self.after_call("CreateCache")
        return CreateCache.CacheAlreadyExists() if exists else CreateCache.Success()

    async def delete_cache(self, cache_name: str) -> DeleteCacheResponse:
        exists = cache_name in self.names
        self.names.discard(cache_name)
        self.after_call("DeleteCache")
        if exists:
            return DeleteCache.Success()
        return DeleteCache.Error(sdk_error(MomentoErrorCode.NOT_FOUND_ERROR))
