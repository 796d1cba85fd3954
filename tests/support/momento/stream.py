"""A topic's stream as it is on the wire, heartbeats and discontinuities included, which the SDK hides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import cachepubsub_pb2_grpc as pb_grpc

from tests.support.processes.momento import MomentoEmulator

WAIT_SECONDS = 10.0


class MomentoStream:
    def __init__(self, call: Any) -> None:
        self._call = call

    async def next(self) -> pb._SubscriptionItem:
        """The next event of any kind; raises the `grpc.aio.AioRpcError` or `EndOfStream` that the stream ends with."""
        async with asyncio.timeout(WAIT_SECONDS):
            event = await self._call.read()
        if event is grpc.aio.EOF:
            raise EndOfStreamError
        assert isinstance(event, pb._SubscriptionItem)
        return event

    async def next_kind(self) -> str | None:
        kind: str | None = (await self.next()).WhichOneof("kind")
        return kind

    async def item(self) -> pb._TopicItem:
        """The next item; heartbeats are skipped, a discontinuity fails the test."""
        while (event := await self.next()).WhichOneof("kind") == "heartbeat":
            pass
        assert event.WhichOneof("kind") == "item", event
        return event.item

    async def discontinuity(self) -> pb._Discontinuity:
        """The next discontinuity; heartbeats are skipped."""
        while (event := await self.next()).WhichOneof("kind") == "heartbeat":
            pass
        assert event.WhichOneof("kind") == "discontinuity", event
        return event.discontinuity

    async def refusal(self) -> grpc.aio.AioRpcError:
        """Read until the stream fails, and return the error."""
        try:
            while True:
                await self.next()
        except grpc.aio.AioRpcError as error:
            return error


class EndOfStreamError(Exception):
    """The stream ended with status OK."""


@asynccontextmanager
async def momento_stream(
    emulator: MomentoEmulator, token: str, cache: str, topic: str, *, resume_at: int = 0, page: int = 0
) -> AsyncIterator[MomentoStream]:
    """Subscribe; nothing is read yet, the first heartbeat included."""
    request = pb._SubscriptionRequest(
        cache_name=cache, topic=topic, resume_at_topic_sequence_number=resume_at, sequence_page=page
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{emulator.grpc_port}") as channel:
        stub = pb_grpc.PubsubStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Subscribe(request, metadata=(("authorization", token),))
        try:
            yield MomentoStream(call)
        finally:
            call.cancel()
