"""The gRPC front."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message
from momento_wire_types import cachepubsub_pb2 as pubsub_pb

from local.momento.calls.call import Caller, Method
from local.momento.calls.dispatch import Service
from local.momento.calls.topics import SUBSCRIBE_PATH
from local.momento.errors import CallError, PortTakenError

_GRPC_STOP_SECONDS = 0.3
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port in use must be an error, not a second listener
    # The SDKs ping every 5 s, also without a call; by default a server disconnects such clients ("too many pings").
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    # By default concurrent calls over 1,000 are cancelled at random; the real service accepts them.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
)


class _Handlers(grpc.GenericRpcHandler):
    """Finds methods in the table that both fronts share; others are UNIMPLEMENTED."""

    def __init__(self, service: Service) -> None:
        self._handlers = {path: _unary(service, method) for path, method in service.methods.items()}
        self._handlers[SUBSCRIBE_PATH] = _stream(service)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _unary(service: Service, method: Method) -> Any:
    async def answer(request: Message, context: Any) -> Message:
        try:
            return await service.call(method, request, _caller(context))
        except CallError as error:
            await _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=method.request_type.FromString, response_serializer=_serialize
    )


def _stream(service: Service) -> Any:
    async def answer(request: pubsub_pb._SubscriptionRequest, context: Any) -> None:
        try:
            async with aclosing(service.subscribe(request, _caller(context))) as batches:
                async for batch in batches:
                    for event in batch:
                        await context.write(event)
        except CallError as error:
            await _abort(context, error)

    # Events are already serialized.
    return grpc.unary_stream_rpc_method_handler(answer, request_deserializer=pubsub_pb._SubscriptionRequest.FromString)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _caller(context: Any) -> Caller:
    metadata = dict(context.invocation_metadata() or ())
    return Caller(metadata.get("authorization", ""), metadata.get("cache", ""))


async def _abort(context: Any, error: CallError) -> NoReturn:
    # The connection of a single call cannot be dropped; a client would see UNAVAILABLE, so it does here.
    await context.abort(error.status, error.message, () if error.err is None else (("err", error.err),))
    raise AssertionError("abort always raises")


@asynccontextmanager
async def grpc_front(service: Service, host: str, port: int) -> AsyncIterator[int]:
    """Serve gRPC; yields the port. Raises `PortTakenError`."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_Handlers(service),))
    try:
        bound_port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise PortTakenError(port) from error
    await server.start()
    try:
        yield bound_port
    finally:
        await server.stop(_GRPC_STOP_SECONDS)
