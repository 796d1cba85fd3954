"""`control_client.ScsControl`: create, delete and list caches."""

from momento_wire_types import controlclient_pb2 as pb

from local.momento.calls.call import Method
from local.momento.credentials import Credential
from local.momento.errors import invalid_argument, permission_denied, rate_limit_exceeded
from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.store.caches import Caches

# The SDKs accept any name that is not empty; the limit bounds the memory of names and statistics.
MAX_NAME_CHARACTERS = 256


class ControlCalls:
    """For API keys only: a disposable token "allows access to data operations only" (API reference)."""

    def __init__(self, settings: Settings, caches: Caches) -> None:
        self._caches = caches
        self._limiter = RateLimiter(lambda: settings.control_operations_per_second)

    def methods(self) -> list[Method]:
        service = "/control_client.ScsControl"
        return [
            Method(f"{service}/CreateCache", pb._CreateCacheRequest, self._create),
            Method(f"{service}/DeleteCache", pb._DeleteCacheRequest, self._delete),
            Method(f"{service}/ListCaches", pb._ListCachesRequest, self._list),
        ]

    def _create(self, request: pb._CreateCacheRequest, credential: Credential, _cache: str) -> pb._CreateCacheResponse:
        self._check(credential)
        if not 1 <= len(request.cache_name.strip()) <= MAX_NAME_CHARACTERS:
            raise invalid_argument(f"A cache name has 1 to {MAX_NAME_CHARACTERS} characters")
        self._caches.create(request.cache_name)
        return pb._CreateCacheResponse()

    def _delete(self, request: pb._DeleteCacheRequest, credential: Credential, _cache: str) -> pb._DeleteCacheResponse:
        self._check(credential)
        self._caches.delete(request.cache_name)
        return pb._DeleteCacheResponse()

    def _list(self, _request: pb._ListCachesRequest, credential: Credential, _cache: str) -> pb._ListCachesResponse:
        self._check(credential)
        return pb._ListCachesResponse(cache=[pb._Cache(cache_name=name) for name, _ in self._caches])

    def _check(self, credential: Credential) -> None:
        if not credential.access.everything:
            raise permission_denied()
        if not self._limiter.try_acquire():
            raise rate_limit_exceeded("control operations")
