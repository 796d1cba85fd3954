"""`cache_client.Scs`: dictionaries."""

from momento_wire_types import cacheclient_pb2 as pb

from local.momento.calls.cache_gate import CacheGate
from local.momento.calls.call import Method
from local.momento.calls.values import SERVICE
from local.momento.credentials import Credential
from local.momento.permissions import Action


class DictionaryCalls:
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
        items = self._gate.open(credential, Action.WRITE, cache, name, len(fields))
        for value in fields.values():
            self._gate.check_element_size(len(value))
        ttl_seconds = self._gate.ttl_seconds(request.ttl_milliseconds)
        items.set_fields(name, fields, ttl_seconds, refresh_ttl=request.refresh_ttl)
        return pb._DictionarySetResponse()

    def _get(self, request: pb._DictionaryGetRequest, credential: Credential, cache: str) -> pb._DictionaryGetResponse:
        name = request.dictionary_name
        found = self._gate.open(credential, Action.READ, cache, name, len(request.fields)).dictionary(name)
        if found is None:
            return pb._DictionaryGetResponse(missing=pb._DictionaryGetResponse._Missing())
        parts = [_part(found.get(field)) for field in request.fields]
        return pb._DictionaryGetResponse(found=pb._DictionaryGetResponse._Found(items=parts))

    def _fetch(
        self, request: pb._DictionaryFetchRequest, credential: Credential, cache: str
    ) -> pb._DictionaryFetchResponse:
        name = request.dictionary_name
        found = self._gate.open(credential, Action.READ, cache, name).dictionary(name)
        if found is None:
            return pb._DictionaryFetchResponse(missing=pb._DictionaryFetchResponse._Missing())
        self._gate.charge(len(found))
        pairs = [pb._DictionaryFieldValuePair(field=field, value=value) for field, value in found.items()]
        return pb._DictionaryFetchResponse(found=pb._DictionaryFetchResponse._Found(items=pairs))

    def _delete(
        self, request: pb._DictionaryDeleteRequest, credential: Credential, cache: str
    ) -> pb._DictionaryDeleteResponse:
        name, fields = request.dictionary_name, request.some.fields
        items = self._gate.open(credential, Action.WRITE, cache, name, len(fields))
        if request.WhichOneof("delete") == "all":
            items.delete(name)
        else:
            items.remove_fields(name, fields)
        return pb._DictionaryDeleteResponse()

    def _length(
        self, request: pb._DictionaryLengthRequest, credential: Credential, cache: str
    ) -> pb._DictionaryLengthResponse:
        name = request.dictionary_name
        found = self._gate.open(credential, Action.READ, cache, name).dictionary(name)
        if found is None:
            return pb._DictionaryLengthResponse(missing=pb._DictionaryLengthResponse._Missing())
        return pb._DictionaryLengthResponse(found=pb._DictionaryLengthResponse._Found(length=len(found)))


def _part(value: bytes | None) -> pb._DictionaryGetResponse._DictionaryGetResponsePart:
    part = pb._DictionaryGetResponse._DictionaryGetResponsePart
    return part(result=pb.Miss) if value is None else part(result=pb.Hit, cache_body=value)
