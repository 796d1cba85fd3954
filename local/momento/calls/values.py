"""`cache_client.Scs`: values, and what must hold before they are written."""

from momento_wire_types import cacheclient_pb2 as pb

from local.momento.calls.cache_gate import CacheGate
from local.momento.calls.call import Method
from local.momento.credentials import Credential
from local.momento.errors import invalid_argument
from local.momento.permissions import Action
from local.momento.store.items import Condition

SERVICE = "/cache_client.Scs"


class ValueCalls:
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
        body = self._gate.open(credential, Action.READ, cache, request.cache_key).get(request.cache_key)
        if body is None:
            return pb._GetResponse(result=pb.Miss)
        return pb._GetResponse(result=pb.Hit, cache_body=body)

    def _set(self, request: pb._SetRequest, credential: Credential, cache: str) -> pb._SetResponse:
        items = self._gate.open(credential, Action.WRITE, cache, request.cache_key)
        items.set(request.cache_key, self._body(request), self._gate.ttl_seconds(request.ttl_milliseconds))
        return pb._SetResponse(result=pb.Ok)

    def _set_if_not_exists(
        self, request: pb._SetIfNotExistsRequest, credential: Credential, cache: str
    ) -> pb._SetIfNotExistsResponse:
        """What the Python SDK calls."""
        answer = pb._SetIfNotExistsResponse
        if self._store_if(request, credential, cache, lambda current: current is None):
            return answer(stored=answer._Stored())
        return answer(not_stored=answer._NotStored())

    def _set_if(self, request: pb._SetIfRequest, credential: Credential, cache: str) -> pb._SetIfResponse:
        """What the web SDK calls for all its conditional writes."""
        answer = pb._SetIfResponse
        if self._store_if(request, credential, cache, condition_of(request)):
            return answer(stored=answer._Stored())
        return answer(not_stored=answer._NotStored())

    def _store_if(
        self,
        request: pb._SetIfNotExistsRequest | pb._SetIfRequest,
        credential: Credential,
        cache: str,
        condition: Condition,
    ) -> bool:
        items = self._gate.open(credential, Action.CONDITIONAL_WRITE, cache, request.cache_key)
        ttl_seconds = self._gate.ttl_seconds(request.ttl_milliseconds)
        return items.set_if(request.cache_key, self._body(request), ttl_seconds, condition)

    def _delete(self, request: pb._DeleteRequest, credential: Credential, cache: str) -> pb._DeleteResponse:
        self._gate.open(credential, Action.WRITE, cache, request.cache_key).delete(request.cache_key)
        return pb._DeleteResponse()

    def _body(self, request: pb._SetRequest | pb._SetIfNotExistsRequest | pb._SetIfRequest) -> bytes:
        self._gate.check_item_size(len(request.cache_key) + len(request.cache_body))
        return request.cache_body


def condition_of(request: pb._SetIfRequest) -> Condition:
    """The condition that the request names; raises INVALID_ARGUMENT if it names none."""
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
    named = request.WhichOneof("condition")
    if named is None:
        raise invalid_argument("A condition is needed")
    return conditions[named]
