"""One stream against a gRPC server in this process: what is sent to Momento, with TLS, and how streams end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import cachepubsub_pb2_grpc as pb_grpc

from notification_api.client.errors import StreamError, SubscriptionRefusedError
from notification_api.client.subscription import disposable_token
from notification_api.client.subscription.disposable_token import Address, TopicAccess
from notification_api.client.subscription.heartbeat import HeartbeatInterval
from notification_api.client.subscription.position import Position
from notification_api.client.subscription.stream import Discontinuity, Event, Item, Opened, read_stream

Answer = Callable[[pb._SubscriptionRequest, Any], Awaitable[None]]
HEARTBEAT = pb._SubscriptionItem(heartbeat=pb._Heartbeat())


class Pubsub(pb_grpc.PubsubServicer):
    """Answers a subscription as a test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def Subscribe(self, request: pb._SubscriptionRequest, context: Any) -> None:  # noqa: N802
        await self._answer(request, context)


@asynccontextmanager
async def serving(answer: Answer, certificate: tuple[bytes, bytes] | None = None) -> AsyncIterator[TopicAccess]:
    """Serve, and yield what a client needs to know; with a certificate and its key over TLS."""
    server = grpc.aio.server()
    pb_grpc.add_PubsubServicer_to_server(Pubsub(answer), server)  # type: ignore[no-untyped-call]
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pem, key = certificate
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, pem)]))
    await server.start()
    try:
        yield TopicAccess(address=Address("localhost", port), credential="secret", cache_name="cache", topic="user")
    finally:
        await server.stop(None)


async def read(access: TopicAccess, start: Position | None = None) -> tuple[list[Event], StreamError]:
    """Read a stream to its end; return its events and why it ended."""
    events: list[Event] = []
    with pytest.raises(StreamError) as ended:
        async with asyncio.timeout(15):
            await read_stream(access, start or Position(), HeartbeatInterval(), events.append)
    return events, ended.value


def self_signed(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


async def test_the_request_names_the_topic_and_the_place_and_has_no_deadline() -> None:
    seen: list[Any] = []

    async def answer(request: pb._SubscriptionRequest, context: Any) -> None:
        seen.extend([request, dict(context.invocation_metadata())["authorization"], context.time_remaining()])

    async with serving(answer) as access:
        await read(access, Position(page=7, sequence=3))
    request, authorization, remaining = seen
    assert (request.cache_name, request.topic) == ("cache", "user")
    assert (request.resume_at_topic_sequence_number, request.sequence_page) == (4, 7)
    assert (authorization, remaining) == ("secret", None)


async def test_events_arrive_in_order_and_binary_content_has_no_text() -> None:
    async def answer(_request: pb._SubscriptionRequest, context: Any) -> None:
        value = pb._TopicValue(text="größer 👍🏽")
        await context.write(HEARTBEAT)
        await context.write(
            pb._SubscriptionItem(item=pb._TopicItem(topic_sequence_number=1, sequence_page=7, value=value))
        )
        await context.write(pb._SubscriptionItem())  # of a later version
        await context.write(
            pb._SubscriptionItem(
                discontinuity=pb._Discontinuity(last_topic_sequence=1, new_topic_sequence=5, new_sequence_page=7)
            )
        )
        binary = pb._TopicItem(topic_sequence_number=6, sequence_page=7, value=pb._TopicValue(binary=b"x"))
        await context.write(pb._SubscriptionItem(item=binary))

    async with serving(answer) as access:
        events, ended = await read(access)
    assert events == [Opened(), Item(7, 1, "größer 👍🏽"), Discontinuity(7, 5), Item(7, 6, None)]
    assert "ended the stream" in str(ended)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED])
async def test_a_failure_of_the_server_is_a_lost_stream(code: grpc.StatusCode) -> None:
    async def answer(_request: pb._SubscriptionRequest, context: Any) -> None:
        await context.abort(code, "broken")

    async with serving(answer) as access:
        _, ended = await read(access)
    assert not isinstance(ended, SubscriptionRefusedError)
    assert code.name in str(ended)


async def test_every_other_status_is_a_refusal_with_its_name() -> None:
    async def answer(_request: pb._SubscriptionRequest, context: Any) -> None:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not your topic")

    async with serving(answer) as access:
        _, ended = await read(access)
    assert isinstance(ended, SubscriptionRefusedError)
    assert (ended.reason, ended.code) == ("PERMISSION_DENIED", "subscription_refused")


async def test_nobody_listening_is_a_lost_stream() -> None:
    async with serving(lambda _request, _context: asyncio.sleep(0)) as access:
        pass
    _, ended = await read(access)
    assert "UNAVAILABLE" in str(ended)


async def test_the_port_of_the_real_service_means_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    pem, key = self_signed("localhost")
    credentials = grpc.ssl_channel_credentials(root_certificates=pem)
    monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda: credentials)

    async def answer(_request: pb._SubscriptionRequest, context: Any) -> None:
        await context.write(HEARTBEAT)

    async with serving(answer, (pem, key)) as access:
        _, plaintext = await read(access)
        monkeypatch.setattr(disposable_token, "TLS_PORT", access.address.port)
        events, _ = await read(access)
    assert "UNAVAILABLE" in str(plaintext)
    assert events == [Opened()]


async def test_cancelling_ends_the_call_at_the_server() -> None:
    ended = asyncio.Event()

    async def answer(_request: pb._SubscriptionRequest, context: Any) -> None:
        await context.write(HEARTBEAT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    opened = asyncio.Event()
    async with serving(answer) as access, asyncio.timeout(10):
        reading = asyncio.create_task(read_stream(access, Position(), HeartbeatInterval(), lambda _event: opened.set()))
        await opened.wait()
        reading.cancel()
        await ended.wait()
