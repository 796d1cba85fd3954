"""What stands before every cache call: permission, existence, quotas, sizes."""

from grpc import StatusCode

from local.momento.credentials import Credential
from local.momento.errors import CallError, invalid_argument, permission_denied, rate_limit_exceeded
from local.momento.permissions import Action
from local.momento.rate_limit import Rate
from local.momento.settings import Settings
from local.momento.store.caches import Caches
from local.momento.store.items import Items


class CacheGate:
    def __init__(self, settings: Settings, caches: Caches) -> None:
        self._settings = settings
        self._caches = caches
        self._rate = Rate(lambda: settings.cache_operations_per_second)

    def open(
        self, credential: Credential, action: Action, cache: str, key: bytes, elements: int | None = None
    ) -> Items:
        """The items of the cache, once the call may go on.

        Two `elements` of a dictionary count as one operation (docs.momentohq.com/cache/limits).
        """
        if not cache:
            raise invalid_argument("The cache name is missing in the metadata")
        if not key:
            raise invalid_argument("The key is empty")
        if not credential.access.allows(action, cache, key):
            raise permission_denied()
        items = self._caches.get(cache).items
        if not self._rate.take(max(1, (elements or 0) / 2)):
            raise rate_limit_exceeded("cache operations")
        return items

    def charge(self, elements: int) -> None:
        """For answers with many elements: what is beyond the one operation already counted."""
        self._rate.charge(max(0, elements / 2 - 1))

    def ttl_seconds(self, milliseconds: int) -> float:
        """Raises INVALID_ARGUMENT out of bounds; no source says which status the real service gives."""
        seconds = milliseconds / 1000
        if not 0 < seconds <= self._settings.max_ttl_seconds:
            raise invalid_argument(f"The time to live must be within {self._settings.max_ttl_seconds:g} seconds")
        return seconds

    def check_item_size(self, size_bytes: int) -> None:
        if size_bytes > self._settings.max_item_bytes:
            raise CallError(StatusCode.RESOURCE_EXHAUSTED, "Item size limit exceeded", "item_size_limit_exceeded")

    def check_element_size(self, size_bytes: int) -> None:
        if size_bytes > self._settings.max_element_bytes:
            raise CallError(StatusCode.RESOURCE_EXHAUSTED, "Element size limit exceeded", "element_size_limit_exceeded")
