"""`cache_client.Scs`: values."""

from momento_wire_types import cacheclient_pb2 as pb

from local.momento.cache_gate import CacheGate
from local.momento.call import Method
from local.momento.credentials import Credential
from local.momento.permissions import Action

SERVICE = "/cache_client.Scs"


class ValueCalls:
    def __init__(self, gate: CacheGate) -> None:
        self._gate = gate

    def methods(self) -> list[Method]:
        return [
            Method(f"{SERVICE}/Get", pb._GetRequest, self._get),
            Method(f"{SERVICE}/Set", pb._SetRequest, self._set),
            Method(f"{SERVICE}/SetIfNotExists", pb._SetIfNotExistsRequest, self._set_if_not_exists),
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
        items = self._gate.open(credential, Action.CONDITIONAL_WRITE, cache, request.cache_key)
        ttl_seconds = self._gate.ttl_seconds(request.ttl_milliseconds)
        if items.set_if_absent(request.cache_key, self._body(request), ttl_seconds):
            return pb._SetIfNotExistsResponse(stored=pb._SetIfNotExistsResponse._Stored())
        return pb._SetIfNotExistsResponse(not_stored=pb._SetIfNotExistsResponse._NotStored())

    def _delete(self, request: pb._DeleteRequest, credential: Credential, cache: str) -> pb._DeleteResponse:
        self._gate.open(credential, Action.WRITE, cache, request.cache_key).delete(request.cache_key)
        return pb._DeleteResponse()

    def _body(self, request: pb._SetRequest | pb._SetIfNotExistsRequest) -> bytes:
        self._gate.check_item_size(len(request.cache_key) + len(request.cache_body))
        return request.cache_body
