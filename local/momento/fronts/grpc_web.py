"""The gRPC-web front, for browsers: text framing over HTTP/1.1."""

import asyncio
from contextlib import aclosing
from typing import TypeVar

from aiohttp import web
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from momento_wire_types import cachepubsub_pb2 as pubsub_pb

from local.momento.calls.call import Caller, Method
from local.momento.calls.dispatch import Service
from local.momento.calls.topics import SUBSCRIBE_PATH
from local.momento.errors import CallError, StreamAborted, invalid_argument
from local.momento.fronts.admin import PREFIX
from local.momento.fronts.framing import data_frame, read_message, timeout_seconds, trailers_frame
from local.web_access.access import WebAccess
from local.web_access.middleware import cors

SERVICE = web.AppKey("service", Service)
MAX_BODY_BYTES = 12 * 1024 * 1024
"""Enough for the largest item in base64."""

_REQUEST_TYPE = "application/grpc-web-text"
_EXPOSED_HEADERS = "grpc-status,grpc-message,err"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "agent,authorization,content-type,runtime-version,x-grpc-web,x-user-agent,"
    "cache,grpc-timeout",
    "Access-Control-Max-Age": "600",
}
_ANSWER = {"Content-Type": "application/grpc-web-text+proto", "Cache-Control": "no-store"}
_OK = {"grpc-status": "0"}
_Request = TypeVar("_Request", bound=Message)


def add_routes(app: web.Application, service: Service, access: WebAccess) -> None:
    app[SERVICE] = service
    app.on_response_prepare.append(cors(access, _EXPOSED_HEADERS, lambda path: not path.startswith(PREFIX)))
    app.router.add_route("OPTIONS", "/{service}/{method}", _preflight)
    app.router.add_post("/{service}/{method}", _serve)


async def _preflight(_request: web.Request) -> web.Response:
    return web.Response(status=204, headers=_PREFLIGHT)


async def _serve(request: web.Request) -> web.StreamResponse:
    if not request.content_type.startswith(_REQUEST_TYPE):
        return web.Response(status=415, text=f"only {_REQUEST_TYPE} is served here")
    if request.path == SUBSCRIBE_PATH:
        return await _subscribe(request)
    return await _unary(request)


async def _unary(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    try:
        method = _method(service, request.path)
        message = await _read(request, method.request_type)
        async with asyncio.timeout(_timeout(request)):
            answer = await service.call(method, message, _caller(request))
    except CallError as error:
        return _error_response(error)
    except TimeoutError:
        return _error_response(CallError(StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded"))
    return web.Response(body=data_frame(answer.SerializeToString()) + trailers_frame(_OK), headers=_ANSWER)


async def _subscribe(request: web.Request) -> web.StreamResponse:
    """Stream events. The response begins with the first event, so that an error before has its own HTTP status."""
    response = web.StreamResponse(headers=_ANSWER)
    trailers = _OK
    try:
        message = await _read(request, pubsub_pb._SubscriptionRequest)
        async with aclosing(request.app[SERVICE].subscribe(message, _caller(request))) as batches:
            async for batch in batches:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(b"".join(map(data_frame, batch)))
    except StreamAborted:
        if request.transport is not None:
            request.transport.abort()
        return response
    except CallError as error:
        if not response.prepared:
            return _error_response(error)
        trailers = _trailers(error)
    await response.write_eof(trailers_frame(trailers))
    return response


def _method(service: Service, path: str) -> Method:
    try:
        return service.methods[path]
    except KeyError:
        raise CallError(StatusCode.UNIMPLEMENTED, "Method not found") from None


async def _read(request: web.Request, request_type: type[_Request]) -> _Request:
    try:
        return request_type.FromString(read_message(await request.read()))
    except (ValueError, DecodeError) as error:
        raise invalid_argument(f"Malformed request: {error}") from error


def _timeout(request: web.Request) -> float | None:
    try:
        return timeout_seconds(request.headers.get("grpc-timeout"))
    except ValueError as error:
        raise invalid_argument(str(error)) from error


def _caller(request: web.Request) -> Caller:
    return Caller(request.headers.get("authorization", ""), request.headers.get("cache", ""))


def _error_response(error: CallError) -> web.Response:
    if error.http_status is not None:
        return web.Response(status=error.http_status, text=error.message)
    return web.Response(body=trailers_frame(_trailers(error)), headers=_ANSWER)


def _trailers(error: CallError) -> dict[str, str]:
    trailers = {"grpc-status": str(error.status.value[0]), "grpc-message": error.message}
    return trailers if error.err is None else trailers | {"err": error.err}
