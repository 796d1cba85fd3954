"""One stream of a topic, over gRPC with Momento's own messages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import cachepubsub_pb2_grpc as pb_grpc

from notification_api.client.errors import StreamError, SubscriptionRefusedError
from notification_api.client.subscription.disposable_token import Address, TopicAccess
from notification_api.client.subscription.heartbeat import HeartbeatInterval
from notification_api.client.subscription.position import Position

OPEN_SECONDS = 10.0
CHANNEL_OPTIONS = (
    # Channels to one address share connections and their backoff, which here would delay a try by up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)
LOST = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""The connection or the server failed. Every other status is a refusal."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The first message has arrived: the subscription is in force."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message of the topic. Its `text` is None for binary content, which nobody sends here."""

    page: int
    sequence: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Discontinuity:
    """Messages up to this place are missing."""

    page: int
    sequence: int


Event = Opened | Item | Discontinuity


async def read_stream(
    access: TopicAccess, start: Position, heartbeats: HeartbeatInterval, on_event: Callable[[Event], object]
) -> NoReturn:
    """Subscribe from `start` on, and call `on_event` with each event until the stream ends or this is cancelled.

    :raises SubscriptionRefusedError: when Momento refuses it, or ends it for a reason that is not the connection.
    :raises StreamError: when it breaks, ends, or is silent for too long.
    """
    clock = asyncio.get_running_loop().time
    heartbeat_at: float | None = None
    async with _subscribed(access, start) as call:
        while True:
            message = await _next(call, OPEN_SECONDS if heartbeat_at is None else heartbeats.silence_seconds)
            now = clock()
            if heartbeat_at is None:
                heartbeat_at = now
                on_event(Opened())
            kind = message.WhichOneof("kind")
            if kind == "heartbeat":
                heartbeats.measured(now - heartbeat_at)
                heartbeat_at = now
            elif kind == "item":
                on_event(_item(message.item))
            elif kind == "discontinuity":
                missing = message.discontinuity
                on_event(Discontinuity(missing.new_sequence_page, missing.new_topic_sequence))


@asynccontextmanager
async def _subscribed(access: TopicAccess, start: Position) -> AsyncIterator[Any]:
    request = pb._SubscriptionRequest(
        cache_name=access.cache_name,
        topic=access.topic,
        resume_at_topic_sequence_number=start.resume_at,
        sequence_page=start.page,
    )
    async with _channel(access.address) as channel:
        stub = pb_grpc.PubsubStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Subscribe(request, metadata=(("authorization", access.credential),))
        try:
            yield call
        finally:
            call.cancel()


def _channel(address: Address) -> grpc.aio.Channel:
    if address.uses_tls:
        return grpc.aio.secure_channel(str(address), grpc.ssl_channel_credentials(), options=CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(str(address), options=CHANNEL_OPTIONS)


async def _next(call: Any, within_seconds: float) -> pb._SubscriptionItem:
    try:
        async with asyncio.timeout(within_seconds):
            message = await call.read()
    except TimeoutError:
        raise StreamError(f"The stream was silent for {within_seconds:g} s") from None
    except grpc.aio.AioRpcError as error:
        raise _lost(error) from None
    if message is grpc.aio.EOF:
        raise StreamError("Momento ended the stream")
    return message  # type: ignore[no-any-return]


def _lost(error: grpc.aio.AioRpcError) -> StreamError:
    if error.code() in LOST:
        return StreamError(f"The stream broke: {error.code().name}: {error.details()}")
    return SubscriptionRefusedError(error.code().name, str(error.details()))


def _item(item: pb._TopicItem) -> Item:
    text = item.value.text if item.value.WhichOneof("kind") == "text" else None
    return Item(item.sequence_page, item.topic_sequence_number, text)
