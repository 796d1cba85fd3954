"""A small gRPC-web client: the text form that browsers' Momento SDK speaks."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import aiohttp
from google.protobuf.message import Message
from momento_wire_types import cachepubsub_pb2 as pb

from tests.support.processes.momento import MomentoEmulator

_TRAILERS = 0x80
_HEADERS = {
    "content-type": "application/grpc-web-text",
    "accept": "application/grpc-web-text",
    "x-grpc-web": "1",
    "x-user-agent": "grpc-web-javascript/0.1",
}
_WAIT_SECONDS = 10.0


@dataclass
class WebAnswer:
    messages: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return int(self.trailers["grpc-status"])


def encode(message: Message) -> bytes:
    body = message.SerializeToString()
    return base64.b64encode(struct.pack(">BI", 0, len(body)) + body)


class FrameReader:
    """Reads frames from a response as they arrive: each is encoded and padded as base64 separately."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(_WAIT_SECONDS):
            # Eight characters encode the five bytes of the header, and the first byte of the content if any.
            raw = base64.b64decode(await self._content.readexactly(8), validate=True)
            flag, length = struct.unpack_from(">BI", raw)
            characters = -(-(5 + length) // 3) * 4
            raw += base64.b64decode(await self._content.readexactly(characters - 8), validate=True)
        assert len(raw) == 5 + length
        return flag, raw[5:]


def parse_trailers(frame: bytes) -> dict[str, str]:
    lines = frame.decode().split("\r\n")
    assert lines.pop() == "", "trailers end with a line break"
    return {name: unquote(value) for name, _, value in (line.partition(":") for line in lines)}


@dataclass
class MomentoWeb:
    session: aiohttp.ClientSession
    emulator: MomentoEmulator
    token: str

    def url(self, path: str) -> str:
        return f"{self.emulator.web_endpoint}{path}"

    async def call(self, path: str, message: Message, headers: Mapping[str, str] | None = None) -> WebAnswer:
        """A unary call; the HTTP status must be 200 whatever the gRPC status."""
        async with self.session.post(self.url(path), data=encode(message), headers=self.headers(headers)) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "application/grpc-web-text+proto"
            return await read_answer(FrameReader(response.content))

    @asynccontextmanager
    async def subscribe(self, cache: str, topic: str, *, resume_at: int = 0) -> AsyncIterator["WebStream"]:
        request = pb._SubscriptionRequest(cache_name=cache, topic=topic, resume_at_topic_sequence_number=resume_at)
        path = "/cache_client.pubsub.Pubsub/Subscribe"
        async with self.session.post(self.url(path), data=encode(request), headers=self.headers()) as response:
            yield WebStream(FrameReader(response.content))

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**_HEADERS, "authorization": self.token, **(more or {})}


async def read_answer(reader: FrameReader) -> WebAnswer:
    answer = WebAnswer()
    while not answer.trailers:
        flag, content = await reader.frame()
        if flag == _TRAILERS:
            answer.trailers = parse_trailers(content)
        else:
            answer.messages.append(content)
    return answer


class WebStream:
    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader

    async def next(self) -> pb._SubscriptionItem:
        flag, content = await self._reader.frame()
        assert flag == 0, parse_trailers(content)
        return pb._SubscriptionItem.FromString(content)

    async def next_kind(self) -> str | None:
        kind: str | None = (await self.next()).WhichOneof("kind")
        return kind

    async def item(self) -> pb._TopicItem:
        while (event := await self.next()).WhichOneof("kind") == "heartbeat":
            pass
        assert event.WhichOneof("kind") == "item", event
        return event.item

    async def trailers(self) -> dict[str, str]:
        """Read to the end of the stream, and return its trailers."""
        return (await read_answer(self._reader)).trailers


@asynccontextmanager
async def momento_web(emulator: MomentoEmulator, token: str) -> AsyncIterator[MomentoWeb]:
    async with aiohttp.ClientSession() as session:
        yield MomentoWeb(session, emulator, token)
