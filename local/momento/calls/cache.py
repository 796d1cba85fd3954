"""`cache_client.Scs`: values and dictionaries, and the checks before every call of them."""

from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb

from local.momento.calls.call import Method
from local.momento.credentials import Credential
from local.momento.errors import CallError, invalid_argument, permission_denied, rate_limit_exceeded
from local.momento.permissions import Action
from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.store.caches import Caches
from local.momento.store.items import Condition, Items


class CacheGate:
    """Checks every cache call: permission, existence, quotas, sizes."""

    def __init__(self, settings: Settings, caches: Caches) -> None:
        self._settings = settings
        self._caches = caches
        self._limiter = RateLimiter(lambda: settings.cache_operations_per_second)

    def authorize(
        self, credential: Credential, action: Action, cache: str, key: bytes, elements: int | None = None
    ) -> Items:
        """Return the items of the cache if the call is permitted; raises `CallError` otherwise.

        Two `elements` of a dictionary count as one operation (docs.momentohq.com/cache/limits).
        """
        if not cache:
            raise invalid_argument("The cache name is missing in the metadata")
        if not key:
            raise invalid_argument("The key is empty")
        if not credential.access.allows(action, cache, key):
            raise permission_denied()
        items = self._caches.get(cache).items
        if not self._limiter.try_acquire(max(1, (elements or 0) / 2)):
            raise rate_limit_exceeded("cache operations")
        return items

    def consume(self, elements: int) -> None:
        """Count a response of many elements, beyond the one operation already counted."""
        self._limiter.consume(max(0, elements / 2 - 1))

    def ttl_seconds(self, milliseconds: int) -> float:
        """Convert a time to live; raises INVALID_ARGUMENT out of bounds, as no source documents the real status."""
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


SERVICE = "/cache_client.Scs"


class ValueCalls:
    """Calls for single values."""

    def __init__(self, gate: CacheGate) -> None:
        self._gate = gate

    def methods(self) -> list[Method]:
        return [
            Method(f"{SERVICE}/Get", pb._GetRequest, self._get),
            Method(f"{SERVICE}/Set", pb._SetRequest, self._set),
            Method(f"{SERVICE}/SetIfNotExists", pb._SetIfNotExistsRequest, self._set_if_not_exists),
            Method(f"{SERVICE}/SetIf", pb._SetIfRequest, self._set_if),
            Method(f"{SERVICE}/Delete", pb._DeleteRequest, self._delete),
        ]

    def _get(self, request: pb._GetRequest, credential: Credential, cache: str) -> pb._GetResponse:
        body = self._gate.authorize(credential, Action.READ, cache, request.cache_key).get(request.cache_key)
        if body is None:
            return pb._GetResponse(result=pb.Miss)
        return pb._GetResponse(result=pb.Hit, cache_body=body)

    def _set(self, request: pb._SetRequest, credential: Credential, cache: str) -> pb._SetResponse:
        items = self._gate.authorize(credential, Action.WRITE, cache, request.cache_key)
        items.set(request.cache_key, self._body(request), self._gate.ttl_seconds(request.ttl_milliseconds))
        return pb._SetResponse(result=pb.Ok)

    def _set_if_not_exists(
        self, request: pb._SetIfNotExistsRequest, credential: Credential, cache: str
    ) -> pb._SetIfNotExistsResponse:
        """Set if absent; the Python SDK calls this."""
        response = pb._SetIfNotExistsResponse
        if self._store_if(request, credential, cache, lambda current: current is None):
            return response(stored=response._Stored())
        return response(not_stored=response._NotStored())

    def _set_if(self, request: pb._SetIfRequest, credential: Credential, cache: str) -> pb._SetIfResponse:
        """Set on a condition; the web SDK calls this for all conditional writes."""
        response = pb._SetIfResponse
        if self._store_if(request, credential, cache, condition_of(request)):
            return response(stored=response._Stored())
        return response(not_stored=response._NotStored())

    def _store_if(
        self,
        request: pb._SetIfNotExistsRequest | pb._SetIfRequest,
        credential: Credential,
        cache: str,
        condition: Condition,
    ) -> bool:
        items = self._gate.authorize(credential, Action.CONDITIONAL_WRITE, cache, request.cache_key)
        ttl_seconds = self._gate.ttl_seconds(request.ttl_milliseconds)
        return items.set_if(request.cache_key, self._body(request), ttl_seconds, condition)

    def _delete(self, request: pb._DeleteRequest, credential: Credential, cache: str) -> pb._DeleteResponse:
        self._gate.authorize(credential, Action.WRITE, cache, request.cache_key).delete(request.cache_key)
        return pb._DeleteResponse()

    def _body(self, request: pb._SetRequest | pb._SetIfNotExistsRequest | pb._SetIfRequest) -> bytes:
        self._gate.check_item_size(len(request.cache_key) + len(request.cache_body))
        return request.cache_body


def condition_of(request: pb._SetIfRequest) -> Condition:
    """Return the condition of the request; raises INVALID_ARGUMENT if it has none."""
    expected = request.equal.value_to_check or request.absent_or_equal.value_to_check
    other = request.not_equal.value_to_check or request.present_and_not_equal.value_to_check
    conditions: dict[str, Condition] = {
        "present": lambda current: current is not None,
        "absent": lambda current: current is None,
        "equal": lambda current: current == expected,
        "absent_or_equal": lambda current: current is None or current == expected,
        "not_equal": lambda current: current != other,
        "present_and_not_equal": lambda current: current is not None and current != other,
    }
    kind = request.WhichOneof("condition")
    if kind is None:
        raise invalid_argument("A condition is needed")
    return conditions[kind]


class DictionaryCalls:
    """Calls for dictionaries."""

    def __init__(self, gate: CacheGate) -> None:
        self._gate = gate

    def methods(self) -> list[Method]:
        return [
            Method(f"{SERVICE}/DictionarySet", pb._DictionarySetRequest, self._set),
            Method(f"{SERVICE}/DictionaryGet", pb._DictionaryGetRequest, self._get),
            Method(f"{SERVICE}/DictionaryFetch", pb._DictionaryFetchRequest, self._fetch),
            Method(f"{SERVICE}/DictionaryDelete", pb._DictionaryDeleteRequest, self._delete),
            Method(f"{SERVICE}/DictionaryLength", pb._DictionaryLengthRequest, self._length),
        ]

    def _set(self, request: pb._DictionarySetRequest, credential: Credential, cache: str) -> pb._DictionarySetResponse:
        name, fields = request.dictionary_name, {item.field: item.value for item in request.items}
        items = self._gate.authorize(credential, Action.WRITE, cache, name, len(fields))
        for value in fields.values():
            self._gate.check_element_size(len(value))
        ttl_seconds = self._gate.ttl_seconds(request.ttl_milliseconds)
        items.set_fields(name, fields, ttl_seconds, refresh_ttl=request.refresh_ttl)
        return pb._DictionarySetResponse()

    def _get(self, request: pb._DictionaryGetRequest, credential: Credential, cache: str) -> pb._DictionaryGetResponse:
        name = request.dictionary_name
        found = self._gate.authorize(credential, Action.READ, cache, name, len(request.fields)).dictionary(name)
        if found is None:
            return pb._DictionaryGetResponse(missing=pb._DictionaryGetResponse._Missing())
        parts = [_part(found.get(field)) for field in request.fields]
        return pb._DictionaryGetResponse(found=pb._DictionaryGetResponse._Found(items=parts))

    def _fetch(
        self, request: pb._DictionaryFetchRequest, credential: Credential, cache: str
    ) -> pb._DictionaryFetchResponse:
        name = request.dictionary_name
        found = self._gate.authorize(credential, Action.READ, cache, name).dictionary(name)
        if found is None:
            return pb._DictionaryFetchResponse(missing=pb._DictionaryFetchResponse._Missing())
        self._gate.consume(len(found))
        pairs = [pb._DictionaryFieldValuePair(field=field, value=value) for field, value in found.items()]
        return pb._DictionaryFetchResponse(found=pb._DictionaryFetchResponse._Found(items=pairs))

    def _delete(
        self, request: pb._DictionaryDeleteRequest, credential: Credential, cache: str
    ) -> pb._DictionaryDeleteResponse:
        name, fields = request.dictionary_name, request.some.fields
        items = self._gate.authorize(credential, Action.WRITE, cache, name, len(fields))
        if request.WhichOneof("delete") == "all":
            items.delete(name)
        else:
            items.remove_fields(name, fields)
        return pb._DictionaryDeleteResponse()

    def _length(
        self, request: pb._DictionaryLengthRequest, credential: Credential, cache: str
    ) -> pb._DictionaryLengthResponse:
        name = request.dictionary_name
        found = self._gate.authorize(credential, Action.READ, cache, name).dictionary(name)
        if found is None:
            return pb._DictionaryLengthResponse(missing=pb._DictionaryLengthResponse._Missing())
        return pb._DictionaryLengthResponse(found=pb._DictionaryLengthResponse._Found(length=len(found)))


def _part(value: bytes | None) -> pb._DictionaryGetResponse._DictionaryGetResponsePart:
    part = pb._DictionaryGetResponse._DictionaryGetResponsePart
    return part(result=pb.Miss) if value is None else part(result=pb.Hit, cache_body=value)
